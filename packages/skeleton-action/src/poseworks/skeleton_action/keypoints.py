"""Poses of any kind as the keypoints that volumes are drawn from, or an error that says why they are none."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from poseworks.core.errors import SkeletonError
from poseworks.core.image_keypoints import in_pixels, refuse_other_than_keypoints, refuse_other_units
from poseworks.core.notes import some
from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import SKELETONS, Skeleton, conversion, convert, skeleton_from_names
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.layouts import JointLayout

_LEAST_JOINTS = 0.5  # of a layout; with fewer a body cannot be told


def layout_keypoints(poses: PoseSequence, layout: JointLayout) -> PoseSequence:
    """The same people and frames in pixels, on the joints of a layout.

    Joints are converted by name. Those that nothing makes are missing throughout, as their channels will be; a face,
    for one, has little to say about what a body does.

    Raises:
        DataError: no keypoints of an image, in another unit than stated, or of nobody.
        SkeletonError: fewer than half of the layout's joints can be made.
    """
    refuse_other_than_keypoints(poses, "Recognition")
    refuse_other_units(poses)
    refuse_other_skeletons(poses.known_skeleton() or skeleton_from_names(poses.joint_names), layout)
    return convert(in_pixels(poses), skeleton_of(layout), partial=True)


def refuse_other_skeletons(skeleton: Skeleton, layout: JointLayout) -> None:
    """Nothing, unless too few joints of the layout can be made from those of the skeleton.

    Raises:
        SkeletonError: fewer than half.
    """
    target = skeleton_of(layout)
    missing = conversion(skeleton, target).missing
    if len(missing) > (1 - _LEAST_JOINTS) * target.num_joints:
        raise SkeletonError(
            f"skeleton {skeleton.name}: only {target.num_joints - len(missing)} of the {target.num_joints} joints that "
            f"the network reads ({target.name}) can be made from {some(skeleton.joint_names)}. State the skeleton of "
            "the keypoints, such as --skeleton coco17."
        )


def skeleton_of(layout: JointLayout) -> Skeleton:
    """The joints of a layout as a skeleton."""
    return SKELETONS.get(layout.skeleton) or skeleton_from_names(layout.joint_names)


def annotation_of(
    keypoints: PoseSequence,
    people: Sequence[int],
    identifier: str,
    label: int | None = None,
    *,
    min_confidence: float = 0.0,
) -> Annotation:
    """Some people of `layout_keypoints` as one recording; they will share a volume.

    Keypoints that were not observed, or of a confidence below `min_confidence`, have the score 0 and no place. Where
    the size of the image is not stated it is the smallest that holds all keypoints: it counts only for people who are
    smaller than 10 pixels.
    """
    rows = list(people)
    confidence = keypoints.confidence[rows]
    seen = keypoints.observed[rows] & (confidence >= min_confidence)
    return Annotation(
        identifier=identifier,
        keypoints=np.where(seen[..., None], keypoints.positions[rows], np.float32(np.nan)),
        scores=np.where(seen, confidence, np.float32(0)),
        image_shape=image_shape(keypoints),
        label=label,
    )


def image_shape(keypoints: PoseSequence) -> tuple[int, int]:
    """(height, width) as stated, or else the smallest that holds all keypoints."""
    if keypoints.image_size is not None:
        width, height = keypoints.image_size
        return height, width
    points = keypoints.positions[keypoints.observed]
    if not len(points):
        return 1, 1
    width, height = (max(1, math.ceil(value)) for value in points.max(axis=0))
    return height, width
