"""Poses of any kind as the keypoints that lifting starts from, or an error that says why they are none. NumPy only."""

from __future__ import annotations

from poseworks.core import PoseSequence
from poseworks.core.errors import DataError, SkeletonError
from poseworks.core.image_keypoints import in_pixels, refuse_other_than_keypoints, refuse_other_units
from poseworks.core.skeletons import H36M_17, conversion, convert, skeleton_from_names


def h36m_keypoints(poses: PoseSequence) -> PoseSequence:
    """The same people and frames: h36m17, 2D, in pixels of an image whose size is known.

    Raises:
        DataError: no keypoints of an image, not of a known size, in another unit than stated, or of nobody.
        SkeletonError: joints are missing, or the skeleton is not known.
    """
    refuse_what_cannot_be_lifted(poses)
    return convert(in_pixels(poses), H36M_17)


def refuse_what_cannot_be_lifted(poses: PoseSequence) -> None:
    """Nothing, unless these are no keypoints of an image, or h36m17 cannot be made from them.

    Raises:
        DataError: no keypoints of an image, not of a known size, in another unit than stated, or of nobody.
        SkeletonError: joints are missing, or the skeleton is not known.
    """
    refuse_other_than_keypoints(poses, "Lifting")
    if poses.image_size is None:
        raise DataError(
            "poses: the size of the image is not stated, and the shape of a person cannot be told from its perspective "
            "without. Give it: --image-size 1920x1080 (in Python: image_size=(1920, 1080))."
        )
    refuse_other_units(poses)
    plan = conversion(poses.known_skeleton() or skeleton_from_names(poses.joint_names), H36M_17)
    if plan.missing:
        seventeen = " Arrays of 17 joints are coco17 or h36m17, in orders that differ." * (poses.num_joints == 17)
        raise SkeletonError(
            f"poses: no rule makes {', '.join(plan.missing)} of h36m17 from the joints {_some(poses)} (skeleton "
            f"{poses.skeleton}).{seventeen} State the skeleton when the file is read: --skeleton coco17."
        )


def _some(poses: PoseSequence) -> str:
    """A few of the joints' names."""
    names = ", ".join(poses.joint_names[:4])
    return f"{names}, ..." if poses.num_joints > 4 else names
