"""The published pipelines, from a recording to heatmap volumes: here is the order of their steps. NumPy only.

testing    sample frames, compact, resize, middle square (pyskl: stretch to a square),                     draw
training   sample frames, compact, resize (pyskl: stretch), random box, stretch to a square, maybe mirror, draw
"""

# ruff: noqa: PT028 - test_volumes is no test

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
from pydantic import ValidationError

from poseworks.core.config import describe_faults
from poseworks.core.errors import ConfigError, DataError, ShapeError, SkeletonError
from poseworks.skeleton_action.annotation import Annotation, AnyAnnotation, as_annotation
from poseworks.skeleton_action.geometry import (
    Box,
    Sample,
    center_crop_box,
    compact,
    compact_box,
    crop,
    flip,
    random_crop_box,
    resize,
    resize_short_side,
    take_frames,
)
from poseworks.skeleton_action.heatmaps import Volumes, paste, patches_of
from poseworks.skeleton_action.layouts import COCO_LAYOUT, JointLayout, Stream
from poseworks.skeleton_action.preparation import Flavour, Preparation
from poseworks.skeleton_action.sampling import Source, sample_frames

EPSILON: Mapping[Flavour, float] = {"mmaction": 1e-4, "pyskl": 1e-3}
"""Scores below it are not drawn."""


def test_volumes(
    annotation: AnyAnnotation,
    stream: Stream = "joint",
    num_clips: int = 10,
    mirror: bool = True,
    flavour: Flavour = "mmaction",
    *,
    layout: JointLayout = COCO_LAYOUT,
    clip_len: int = 48,
    size: int = 64,
    sigma: float = 0.6,
    out: Volumes | None = None,
) -> Volumes:
    """The views of a recording that are tested, (views, C, clip_len, size, size): all clips, then all mirrored.

    The published test takes 10 clips and mirrors them; its validation takes 1 and does not.

    Args:
        annotation: the published dict or its typed form.
        stream: a channel for each joint, or for each limb.
        num_clips: how often frames are drawn, each time from the whole recording.
        mirror: views twice the clips.
        flavour: the published code line to follow.
        layout: the annotation's joints, and limbs between them.
        clip_len: frames of a clip.
        size: height and width in pixels.
        sigma: of the Gaussians, in pixels.
        out: see `draw_views`.

    Raises:
        DataError: the annotation is at fault, or nobody is in it.
        SkeletonError: it has other joints than the layout.
        ConfigError: a setting is out of its range.
        ShapeError: `out` does not fit.
    """
    try:
        preparation = Preparation(
            stream=stream, flavour=flavour, layout=layout, clip_len=clip_len, size=size, sigma=sigma
        )
    except ValidationError as error:
        raise ConfigError(f"test_volumes: {'; '.join(describe_faults(error, Preparation))}.") from error
    sample = sample_to_test(annotation, preparation, num_clips)
    return draw_views(sample, preparation, clips=num_clips, mirror=mirror, out=out)


def sample_to_test(annotation: AnyAnnotation, preparation: Preparation, num_clips: int = 1) -> Sample:
    """The clips of a recording in testing, one after the other, in the pixels of the volume but not yet drawn.

    Raises:
        DataError, SkeletonError: as `test_volumes`.
    """
    annotation = checked_annotation(annotation, preparation.layout)
    p = preparation
    sample = take_frames(annotation, sample_frames(annotation.num_frames, p.clip_len, num_clips, p.flavour))
    return framed(sample, compact_box(sample), p.flavour, p.size)


def framed(sample: Sample, box: Box | None, flavour: Flavour, size: int) -> Sample:
    """What is inside the box of `compact_box` (None: everything) in the size x size pixels of a volume for testing."""
    sample = compact(sample, box)
    if flavour == "pyskl":
        return resize(sample, (size, size))
    sample = resize_short_side(sample, size)
    return crop(sample, center_crop_box(sample.size, size))


def sample_to_train(
    annotation: AnyAnnotation,
    preparation: Preparation,
    rng: Source,
    offsets: random.Random,
    *,
    size: int = 56,
    size_before_crop: int = 64,
) -> Sample:
    """One clip of a recording as training sees it, in the pixels of the volume but not yet drawn.

    Args:
        annotation: the published dict or its typed form.
        preparation: flavour, layout and clip length.
        rng: of frames, boxes and mirrors, drawn in this order.
        offsets: of the places of boxes, for which the published code has another generator.
        size: height and width in pixels of the volumes that training sees.
        size_before_crop: short side of the image that a box is taken out of.

    Raises:
        DataError, SkeletonError: as `test_volumes`.
    """
    annotation = checked_annotation(annotation, preparation.layout)
    p = preparation
    indices = sample_frames(annotation.num_frames, p.clip_len, 1, p.flavour, test=False, rng=rng)
    sample = take_frames(annotation, indices)
    sample = compact(sample, compact_box(sample))
    sample = resize_short_side(sample, size_before_crop)
    sample = crop(sample, random_crop_box(sample.size, rng, offsets))
    sample = resize(sample, (size, size))
    return flip(sample, p.layout) if rng.random() < 0.5 else sample


def draw_views(
    sample: Sample,
    preparation: Preparation,
    *,
    clips: int = 1,
    mirror: bool = False,
    out: Volumes | None = None,
) -> Volumes:
    """Volumes (views, C, T / clips, H, W) of the sample's T frames: all clips, then all mirrored.

    mmaction mirrors the keypoints and draws them again, pyskl mirrors the volume: the first lies a pixel to the right.

    Args:
        sample: people in the pixels of the volume.
        preparation: stream, flavour, layout and sigma.
        clips: into how many clips the frames are cut.
        mirror: views twice the clips.
        out: float32 and contiguous; written to, whatever it holds, and returned. A buffer that is used again spares
            the system new pages.

    Raises:
        SkeletonError: the sample has other joints than the layout.
        ShapeError: `out` does not fit.
    """
    p = preparation
    height, width = sample.size
    shape = ((1 + mirror) * clips, p.layout.channels(p.stream), sample.keypoints.shape[1] // clips, height, width)
    if out is None:
        out = np.zeros(shape, dtype=np.float32)
    else:
        if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ShapeError(f"out: expected float32 {shape}, contiguous; got {out.dtype} {out.shape}.")
        out.fill(0)
    people = patches_of(sample, p.layout, p.stream, p.sigma, EPSILON[p.flavour])
    paste(people, out[:clips])
    if mirror:
        if p.flavour == "pyskl":
            turn = p.layout.flip(p.stream)
            twins = [[patches.mirrored(width, turn) for patches in person] for person in people]
        else:
            twins = patches_of(flip(sample, p.layout), p.layout, p.stream, p.sigma, EPSILON[p.flavour])
        paste(twins, out[clips:])
    return out


def checked_annotation(annotation: AnyAnnotation, layout: JointLayout) -> Annotation:
    """The typed form, if volumes can be drawn of it.

    Raises:
        DataError: it is at fault, nobody is in it, or its image shape is (width, height).
        SkeletonError: it has other joints than the layout.
    """
    annotation = as_annotation(annotation)
    where = f"annotation {annotation.identifier!r}"
    if annotation.num_joints != layout.num_joints:
        raise SkeletonError(
            f"{where}: expected {layout.num_joints} joints ({layout.skeleton}), got {annotation.num_joints}. "
            "Convert the poses, or name the layout that they have."
        )
    if annotation.num_people == 0:
        raise DataError(f"{where}: nobody is in it (0 people). Leave it out of the data.")
    height, width = annotation.image_shape
    x, y = annotation.keypoints[..., 0], annotation.keypoints[..., 1]
    outside = np.count_nonzero((x > width) | (y > height))
    if 2 * outside > np.count_nonzero((x != 0) & (y != 0)) and not ((x > height) | (y > width)).any():
        raise DataError(
            f"{where}: most keypoints lie outside of an image of height {height} and width {width}, and all inside if "
            "these change places. Expected the image shape as (height, width)."
        )
    return annotation
