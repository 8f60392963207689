"""Heatmap volumes drawn sparsely: only about 1 % of their voxels is not zero (Duan et al. 2022, sec. 3.2). NumPy only.

    joint  v exp(-|p - m|^2 / 2 s^2)            m: the joint, v: its score, s: sigma
    limb   v exp(-dist(p, [a, b])^2 / 2 s^2)    v: the lower score of its ends a and b

Each is cut off at a window: 3 s around the joint, or around the box of the limb. Windows of one size are computed
together, as arrays with the windows along the last axis, and then pasted; people are merged by maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, SkeletonError
from poseworks.skeleton_action.geometry import Sample
from poseworks.skeleton_action.layouts import JointLayout, Stream

Volumes: TypeAlias = NDArray[np.float32]
_Floats: TypeAlias = NDArray[np.floating[Any]]
_Integers: TypeAlias = NDArray[np.intp]
_STEP = 6
"""Pixels to which the windows of limbs are widened, so that there are few sizes."""
_FAR = 1e15
"""Pixels; a Gaussian is exactly 0 there."""


@dataclass(frozen=True, eq=False)
class Patches:
    """N windows of one size, at most one for each heatmap.

    Attributes:
        values: (h, w, N) float32.
        frame: (N,) which frame of the sample each belongs to.
        channel: (N,) which channel.
        top: (N,) row of the heatmap where it begins.
        left: (N,) column.
    """

    values: Volumes
    frame: _Integers
    channel: _Integers
    top: _Integers
    left: _Integers

    def mirrored(self, width: int, flip: NDArray[np.intp]) -> Patches:
        """For heatmaps of `width` columns in reverse order; `flip` is the channel that takes the place of each."""
        return replace(
            self,
            values=self.values[:, ::-1],
            channel=flip[self.channel],
            left=width - self.values.shape[1] - self.left,
        )


def patches_of(
    sample: Sample, layout: JointLayout, stream: Stream, sigma: float = 0.6, epsilon: float = 1e-4
) -> list[list[Patches]]:
    """The windows of each person, to be pasted into heatmaps of the size of the sample's image.

    Args:
        sample: people in the pixels of the volume; where a keypoint is NaN nothing is drawn.
        layout: its joints, and limbs between them.
        stream: a channel for each joint, or for each limb.
        sigma: of the Gaussians, in pixels.
        epsilon: what has a lower score is not drawn; 1e-4 in mmaction, 1e-3 in pyskl.

    Raises:
        SkeletonError: the sample has other joints than the layout.
        ConfigError: `stream` is neither.
    """
    if sample.keypoints.shape[2] != layout.num_joints:
        raise SkeletonError(
            f"keypoints: expected {layout.num_joints} joints ({layout.skeleton}), got {sample.keypoints.shape[2]}. "
            "Convert the poses, or name the layout that they have."
        )
    scores = np.where(np.isnan(sample.keypoints).any(axis=-1), np.float32(0), sample.scores)
    people = zip(sample.keypoints, scores, strict=True)
    match stream:
        case "joint":
            return [_joints(keypoints, scores, sample.size, sigma, epsilon) for keypoints, scores in people]
        case "limb":
            limbs = np.array(layout.limbs, dtype=np.intp)
            return [_limbs(keypoints, scores, limbs, sample.size, sigma, epsilon) for keypoints, scores in people]
        case _:
            raise ConfigError(f"stream: expected 'joint' or 'limb', got {stream!r}.")


def paste(people: Sequence[Sequence[Patches]], volumes: Volumes) -> None:
    """Draws what `patches_of` found into volumes (clips, C, T, H, W) of zeros, contiguous."""
    _, channels, frames, height, width = volumes.shape
    flat = volumes.reshape(-1)
    for number, patches in enumerate(people):
        for patch in patches:
            clip, frame = np.divmod(patch.frame, frames)
            heatmap = (clip * channels + patch.channel) * frames + frame
            h, w = patch.values.shape[:2]
            pixels = (np.arange(h)[:, None] * width + np.arange(w))[..., None]
            places = pixels + ((heatmap * height + patch.top) * width + patch.left)
            # The first person's windows lie in heatmaps that are still empty.
            flat[places] = patch.values if number == 0 else np.maximum(flat[places], patch.values)


def _joints(
    keypoints: _Floats, scores: NDArray[np.float32], size: tuple[int, int], sigma: float, epsilon: float
) -> list[Patches]:
    """Of one person: keypoints (T, V, 2). A Gaussian is the product of one along x and one along y."""
    frame, channel = np.nonzero(scores >= epsilon)
    m, v = keypoints[frame, channel], scores[frame, channel]
    count = int(6 * sigma) + 2
    (left, along_x), (top, along_y) = (
        _gaussian_along(m[:, axis], min(count, size[1 - axis]), size[1 - axis], sigma) for axis in (0, 1)
    )
    return [Patches((along_y * v)[:, None] * along_x, frame, channel, top, left)]


def _gaussian_along(center: _Floats, count: int, length: int, sigma: float) -> tuple[_Integers, Volumes]:
    """Where the windows begin along one axis (N,), and `count` values of each Gaussian from there (count, N)."""
    first, last = _window(center, center, sigma)
    begin = np.clip(first, 0, length - count).astype(np.intp)
    pixels = begin + np.arange(count)[:, None]
    values = _gaussian(np.square((pixels - center).astype(np.float32)), sigma)
    values[(pixels < first) | (pixels > last)] = 0
    return begin, values


def _limbs(
    keypoints: _Floats,
    scores: NDArray[np.float32],
    limbs: _Integers,
    size: tuple[int, int],
    sigma: float,
    epsilon: float,
) -> list[Patches]:
    """Of one person; a limb shorter than one pixel is drawn as its joint `a`."""
    lower = np.minimum(scores[:, limbs[:, 0]], scores[:, limbs[:, 1]])
    frame, channel = np.nonzero(lower >= epsilon)
    a, b = (keypoints[frame, limbs[channel, end]] for end in (0, 1))
    short = np.square(b - a).sum(axis=1) < 1
    b[short] = a[short]
    v = np.where(short, scores[frame, limbs[channel, 0]], lower[frame, channel])
    extent = np.array(size[::-1], dtype=np.intp)
    first, last = (
        np.clip(end, -1, extent).astype(np.intp) for end in _window(np.minimum(a, b), np.maximum(a, b), sigma)
    )
    first, last = np.maximum(first, 0), np.minimum(last, extent - 1)
    counts = np.minimum(-(-(last - first + 1) // _STEP) * _STEP, extent)
    kind = np.where((last >= first).all(axis=1), counts[:, 0] + counts[:, 1] * (size[1] + 1), 0)
    found = []
    for number in np.unique(kind[kind > 0]):
        n = np.flatnonzero(kind == number)
        count = counts[n[0]]
        begin = np.minimum(first[n], extent - count)
        values = _limb_values(a[n], b[n], v[n], (begin, first[n], last[n]), count, sigma)
        found.append(Patches(values, frame[n], channel[n], begin[:, 1], begin[:, 0]))
    return found


def _limb_values(
    a: _Floats,
    b: _Floats,
    v: NDArray[np.float32],
    window: tuple[_Integers, _Integers, _Integers],
    count: _Integers,
    sigma: float,
) -> Volumes:
    """(h, w, N) = `count` pixels of each limb from `begin`, 0 before its `first` and after its `last`.

    p - a, and u, which part of the way from a to b is nearest to p, are sums of a part (w, N) and a part (h, N).
    """
    begin, first, last = window
    way = (b - a).astype(np.float32)
    step = way / np.maximum(np.square(way).sum(axis=1, keepdims=True), 1)
    (x, far_x), (y, far_y) = (
        _offsets(begin[:, i] + np.arange(count[i])[:, None], a[:, i], first[:, i], last[:, i]) for i in (0, 1)
    )
    u = (x * step[:, 0])[None] + (y * step[:, 1])[:, None]
    np.clip(u, 0, 1, out=u)
    squared, along_y = far_x - u * way[:, 0], far_y[:, None] - u * way[:, 1]
    np.square(squared, out=squared)
    squared += np.square(along_y, out=along_y)
    values = _gaussian(squared, sigma)
    values *= v
    return values


def _offsets(pixels: _Integers, a: _Floats, first: _Integers, last: _Integers) -> tuple[Volumes, Volumes]:
    """From `a` to each pixel, and the same with what is outside of the window so far off that nothing is drawn."""
    offsets = (pixels - a).astype(np.float32)
    return offsets, np.where((pixels < first) | (pixels > last), np.float32(_FAR), offsets)


def _window(low: _Floats, high: _Floats, sigma: float) -> tuple[_Floats, _Floats]:
    """First and last pixel, 3 sigma around; both are truncated toward zero, as published."""
    return np.trunc(low - 3 * sigma), np.trunc(high + 3 * sigma)


def _gaussian(squared: Volumes, sigma: float) -> Volumes:
    squared *= np.float32(-0.5 / sigma**2)
    return np.exp(squared, out=squared)
