"""Measures of poses and of motion, as pure functions of tensors or arrays.

Each returns one number a frame (or a bone, or a clip), so that the caller chooses what to average: over frames and
sequences pooled, as the papers do, `.mean()` is the published figure. Lengths keep the unit of the inputs. A joint
that is NaN in a frame makes that frame's number NaN unless a function says otherwise; `.nanmean()` then leaves the
frame out, as the SmoothNet and DeciWatch evaluation does. Integers are computed as float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.errors import ShapeError
from poseworks.core.shapes import expect_shape

Array: TypeAlias = Tensor | NDArray[Any]

#: Thresholds of MPI-INF-3DHP's AUC, in millimetres.
AUC_THRESHOLDS_MM = tuple(range(0, 151, 5))


def root_relative(joints: Array, root: Sequence[int]) -> Tensor:
    """(..., J, D) joints relative to the mean of the `root` joints of the same frame.

    Raises:
        ShapeError: `joints` is not (..., J, D), or `root` is empty or out of range.
    """
    x = _tensor("joints", joints, "... J D=2|3")
    num_joints = x.shape[-2]
    if not root or not all(0 <= joint < num_joints for joint in root):
        raise ShapeError(f"root: expected joints from 0 to {num_joints - 1}, at least one, got {list(root)}.")
    return x - x[..., list(root), :].mean(dim=-2, keepdim=True)


def mpjpe(predicted: Array, target: Array, root: Sequence[int] | None = None) -> Tensor:
    """Distance between joints, averaged over the joints of a frame: (...); protocol 1 with `root`.

    Args:
        predicted: (..., J, D) joints, such as (T, J, 3).
        target: same shape and unit.
        root: joints whose mean is subtracted from each first; None compares positions as they are.

    Raises:
        ShapeError: the shapes differ, or `root` is out of range.
    """
    x, y = _pair(predicted, target, "... J D=2|3")
    if root is not None:
        x, y = root_relative(x, root), root_relative(y, root)
    return _length(x - y).mean(dim=-1)


def pa_mpjpe(predicted: Array, target: Array) -> Tensor:
    """`mpjpe` after the best similarity transform of each frame: (...); protocol 2.

    Raises:
        ShapeError: the shapes differ.
    """
    x, y = _pair(predicted, target, "... J D=2|3")
    return _length(similarity_align(x, y) - y).mean(dim=-1)


def similarity_align(predicted: Array, target: Array) -> Tensor:
    """`predicted` (..., J, D), each frame scaled, turned and moved onto `target` in the least-squares sense.

    The rotation is proper: a mirrored pose is not mirrored back (Umeyama 1991). Computed in float64. A pose that is
    a single point becomes the target's centroid; a frame with a NaN in either is NaN.

    Raises:
        ShapeError: the shapes differ.
    """
    x, y = _pair(predicted, target, "... J D=2|3")
    known = torch.isfinite(x).all(-1).all(-1) & torch.isfinite(y).all(-1).all(-1)
    mask = known[..., None, None]
    p, q = (torch.where(mask, z, torch.zeros_like(z)).double() for z in (x, y))
    p_mean, q_mean = p.mean(-2, keepdim=True), q.mean(-2, keepdim=True)
    p, q = p - p_mean, q - q_mean
    u, singular, vh = torch.linalg.svd(p.mT @ q)
    signs = torch.ones_like(singular)
    signs[..., -1] = torch.linalg.det(u @ vh).sign()
    rotation = (u * signs[..., None, :]) @ vh
    variance = (p * p).sum(dim=(-2, -1))
    # Coordinates that differ in rounding alone are a point too: a scale of 1e15 would blow the rounding up.
    point = variance <= p_mean.square().sum(dim=(-2, -1)) * p.shape[-2] * torch.finfo(x.dtype).eps ** 2
    scale = torch.where(point, 0.0, (singular * signs).sum(-1) / torch.where(point, 1.0, variance))
    aligned = scale[..., None, None] * (p @ rotation) + q_mean
    return torch.where(mask, aligned, torch.nan).to(x.dtype)


def n_mpjpe(predicted: Array, target: Array, root: Sequence[int] | None = None) -> Tensor:
    """`mpjpe` after scaling each predicted frame to fit best: (...) (Rhodin et al. 2018, sec. 4).

    The scale is <p, q> / <p, p>; a pose that is zero throughout stays zero.

    Args:
        predicted: (..., J, D) joints.
        target: same shape and unit.
        root: joints whose mean is subtracted from each first; None takes positions as relative already.

    Raises:
        ShapeError: the shapes differ, or `root` is out of range.
    """
    x, y = _pair(predicted, target, "... J D=2|3")
    if root is not None:
        x, y = root_relative(x, root), root_relative(y, root)
    return mpjpe(scale_align(x, y), y)


def scale_align(predicted: Array, target: Array) -> Tensor:
    """`predicted` (..., J, D), each frame scaled about 0 onto `target` in the least-squares sense; zeros stay zeros.

    Raises:
        ShapeError: the shapes differ.
    """
    x, y = _pair(predicted, target, "... J D=2|3")
    squared = (x * x).sum(dim=(-2, -1), keepdim=True)
    scale = (x * y).sum(dim=(-2, -1), keepdim=True) / torch.where(squared == 0, torch.ones_like(squared), squared)
    return scale * x


def pve(predicted: Array, target: Array) -> Tensor:
    """Distance between the vertices of two meshes, averaged over the vertices of a frame: (...). No alignment.

    Args:
        predicted: (..., V, 3) vertices.
        target: same shape and unit.

    Raises:
        ShapeError: the shapes differ.
    """
    x, y = _pair(predicted, target, "... V D=3")
    return _length(x - y).mean(dim=-1)


def pck(predicted: Array, target: Array, threshold: float, size: Array | float = 1.0) -> Tensor:
    """Share, 0 to 1, of a frame's joints within `threshold` x `size` of the target: (...).

    A NaN in `predicted` is a miss. Joints that are NaN in `target` are not counted; a frame with none is NaN.

    Args:
        predicted: (..., J, D) joints.
        target: same shape and unit.
        threshold: in the unit of the inputs (PCK@150mm), or a fraction of `size`.
        size: 1, or a length for each frame (...): Sub-JHMDB takes max(width, height) of the person's box.

    Raises:
        ShapeError: the shapes differ, or `size` fits no frame.
    """
    x, y = _pair(predicted, target, "... J D=2|3")
    sizes = torch.as_tensor(size, dtype=x.dtype, device=x.device)
    if sizes.ndim and sizes.shape != x.shape[:-2]:
        raise ShapeError(f"size: expected a number or {tuple(x.shape[:-2])}, got {tuple(sizes.shape)}.")
    counted = torch.isfinite(y).all(dim=-1)
    hit = (_length(x - y) <= (threshold * sizes)[..., None]) & counted
    return hit.sum(dim=-1, dtype=x.dtype) / counted.sum(dim=-1)


def auc(predicted: Array, target: Array, thresholds: Sequence[float]) -> Tensor:
    """Mean of `pck` over thresholds: (...), 0 to 1 (Mehta et al. 2017).

    Args:
        predicted: (..., J, D) joints.
        target: same shape and unit.
        thresholds: in the unit of the inputs; the published ones are `AUC_THRESHOLDS_MM`.

    Raises:
        ShapeError: the shapes differ, or there is no threshold.
    """
    if not thresholds:
        raise ShapeError("thresholds: expected at least one, such as AUC_THRESHOLDS_MM, got none.")
    return torch.stack([pck(predicted, target, threshold) for threshold in thresholds]).mean(dim=0)


def accel_error(predicted: Array, target: Array) -> Tensor:
    """Distance between second differences over time, averaged over joints (Kanazawa et al. 2019).

    Args:
        predicted: (..., T, J, D) joints, T >= 3.
        target: same shape, unit and frame as `predicted`.

    Returns:
        (..., T - 2), in the unit of the inputs per frame squared: the caller chooses what to average.

    Raises:
        ShapeError: the shapes differ, or T < 3.
    """
    x, y = _pair(predicted, target, "... T>=3 J D=2|3")
    return _length((x - y).diff(n=2, dim=-3)).mean(dim=-1)


def accel_error_padded(predicted: Array, target: Array) -> Tensor:
    """`accel_error` with a 0 for the first and the last frame: (..., T). SmoothNet's published figures average these.

    Raises:
        ShapeError: the shapes differ, or T < 3.
    """
    return torch.nn.functional.pad(accel_error(predicted, target), (1, 1))


def acceleration(joints: Array) -> Tensor:
    """Length of the second difference over time, averaged over joints: (..., T - 2), per frame squared.

    Raises:
        ShapeError: `joints` is not (..., T, J, D) with T >= 3.
    """
    return _length(_tensor("joints", joints, "... T>=3 J D=2|3").diff(n=2, dim=-3)).mean(dim=-1)


def jerk(joints: Array) -> Tensor:
    """Length of the third difference over time, averaged over joints: (..., T - 3), per frame cubed.

    Raises:
        ShapeError: `joints` is not (..., T, J, D) with T >= 4.
    """
    return _length(_tensor("joints", joints, "... T>=4 J D=2|3").diff(n=3, dim=-3)).mean(dim=-1)


def foot_contacts(joints: Array, feet: Sequence[int], *, up: Sequence[float], height: float) -> Tensor:
    """(..., T - 1, F) bool: foot f stands on the ground from frame t to t + 1.

    The rule: in both frames the foot is less than `height` above its own ground, which is the 5 % quantile of its
    heights over the clip. Speed plays no part, as that is what `foot_slide` measures. NaN is no contact.

    Args:
        joints: (..., T, J, 3), T >= 2, in a frame that does not move with the person.
        feet: the joints to watch, such as both ankles.
        up: (3,) direction against gravity, such as (0, 0, 1), or (0, -1, 0) in a level camera's frame.
        height: in the unit of `joints`; 0.03 m suits ankles.

    Raises:
        ShapeError: `joints` or `up` has another shape, T < 2, or a foot is out of range.
    """
    x = _feet(joints, feet)
    level = x @ _direction(up, x)
    ground = torch.nanquantile(level, 0.05, dim=-2, keepdim=True)
    low = level - ground < height
    return low[..., 1:, :] & low[..., :-1, :]


def foot_slide(joints: Array, feet: Sequence[int], contacts: Array, *, up: Sequence[float], fps: float) -> Tensor:
    """Mean horizontal speed of the feet while they stand on the ground: (...), per second; NaN if they never do.

    Args:
        joints: (..., T, J, 3), T >= 2, in a frame that does not move with the person.
        feet: the joints to watch.
        contacts: (..., T - 1, F) bool from `foot_contacts`; to compare two versions of a motion, give both the same.
        up: (3,) direction against gravity.
        fps: frames per second.

    Raises:
        ShapeError: an argument has another shape, T < 2, or a foot is out of range.
    """
    x = _feet(joints, feet)
    direction = _direction(up, x)
    step = x.diff(dim=-3)
    horizontal = step - (step @ direction)[..., None] * direction
    standing = torch.as_tensor(contacts, dtype=torch.bool, device=x.device)
    if standing.shape != horizontal.shape[:-1]:
        raise ShapeError(f"contacts: expected {tuple(horizontal.shape[:-1])}, got {tuple(standing.shape)}.")
    speed = torch.where(standing, _length(horizontal) * fps, torch.nan)
    return speed.nanmean(dim=(-2, -1))


def bone_length_spread(joints: Array, bones: Sequence[tuple[int, int]]) -> Tensor:
    """Standard deviation over time of each bone's length, relative to its mean: (..., B); 0 for a rigid body.

    Frames in which an end is NaN are left out. A bone that is never seen, or is always of length 0, is NaN.

    Args:
        joints: (..., T, J, D).
        bones: B pairs of joints, such as `Skeleton.bone_indices`.

    Raises:
        ShapeError: `joints` has another shape, or a bone's end is out of range.
    """
    x = _tensor("joints", joints, "... T J D=2|3")
    ends = [end for bone in bones for end in bone]
    if any(not 0 <= end < x.shape[-2] for end in ends):
        raise ShapeError(f"bones: expected joints from 0 to {x.shape[-2] - 1}, got {list(bones)}.")
    lengths = _length(x[..., ends[::2], :] - x[..., ends[1::2], :])
    mean = lengths.nanmean(dim=-2, keepdim=True)
    variance = (lengths - mean).square().nanmean(dim=-2)
    return variance.sqrt() / mean.squeeze(-2)


def _length(vectors: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return length


def _feet(joints: Array, feet: Sequence[int]) -> Tensor:
    """(..., T, F, 3) of the joints that are feet."""
    x = _tensor("joints", joints, "... T>=2 J D=3")
    if not feet or not all(0 <= joint < x.shape[-2] for joint in feet):
        raise ShapeError(f"feet: expected joints from 0 to {x.shape[-2] - 1}, at least one, got {list(feet)}.")
    return x[..., list(feet), :]


def _direction(up: Sequence[float], like: Tensor) -> Tensor:
    direction = torch.as_tensor(up, dtype=like.dtype, device=like.device)
    if direction.shape != (3,) or not direction.any():
        raise ShapeError(f"up: expected 3 numbers, not all 0, got {list(up)}.")
    return direction / _length(direction)


def _tensor(name: str, x: Array, pattern: str) -> Tensor:
    """`x` as a floating-point tensor of the stated shape."""
    # A copy, because torch warns about arrays that may not be written.
    tensor = x if isinstance(x, Tensor) else torch.from_numpy(np.array(x))
    if not tensor.is_floating_point():
        tensor = tensor.double()
    expect_shape(name, tensor, pattern)
    return tensor


def _pair(predicted: Array, target: Array, pattern: str) -> tuple[Tensor, Tensor]:
    """Both as floating-point tensors of one shape and of the wider dtype."""
    x, y = _tensor("predicted", predicted, pattern), _tensor("target", target, pattern)
    if x.shape != y.shape:
        raise ShapeError(
            f"target: expected {tuple(x.shape)} as predicted, got {tuple(y.shape)}. "
            "Both need the same frames and the same skeleton; nothing is broadcast."
        )
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.to(dtype), y.to(dtype)
