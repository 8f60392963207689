"""Rotations as axis-angle, matrix, unit quaternion (w x y z) and both 6D forms, over any leading shape.

Every function keeps the dtype, has finite gradients at angle 0 and at and near pi, and passes NaN on. Angles that are
read from a matrix or a quaternion lie in [0, pi]; at pi the sign of the axis is arbitrary, so compare there as
matrices. Matrices multiply columns from the left: v' = R v.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.shapes import expect_shape

SixDLayout = Literal["rows", "columns"]

# Below this squared angle a series of four terms is exact to 1e-16, and a division by the angle is not.
_SMALL = 1e-4


def axis_angle_to_quaternion(axis_angle: Tensor) -> Tensor:
    """(..., 4) unit quaternions w x y z = (cos a/2, axis sin a/2) of (..., 3) rotation vectors, a = their length.

    Raises:
        ShapeError: the last axis is not 3, or the dtype no floating point.
    """
    _expect("axis_angle", axis_angle, "... C=3")
    squared = (axis_angle * axis_angle).sum(-1, keepdim=True)
    small = squared < _SMALL
    # Both branches are differentiated, so the root must not see a zero in the branch that is not taken.
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    cos_series = 1 - squared / 8 + squared**2 / 384 - squared**3 / 46080
    sin_series = 0.5 - squared / 48 + squared**2 / 3840 - squared**3 / 645120
    cos = torch.where(small, cos_series, (angle / 2).cos())
    sin_over_angle = torch.where(small, sin_series, (angle / 2).sin() / angle)
    return torch.cat((cos, sin_over_angle * axis_angle), dim=-1)


def quaternion_to_axis_angle(quaternion: Tensor) -> Tensor:
    """(..., 3) rotation vectors, of length 0 to pi, of (..., 4) quaternions w x y z of any length but 0 (that: NaN).

    Raises:
        ShapeError: the last axis is not 4, or the dtype no floating point.
    """
    _expect("quaternion", quaternion, "... C=4")
    unit = _upper(_unit(quaternion))
    w, xyz = unit[..., :1], unit[..., 1:]
    squared = (xyz * xyz).sum(-1, keepdim=True)
    small = squared < _SMALL
    sin = torch.where(small, torch.ones_like(squared), squared).sqrt()
    tan2 = squared / torch.where(small, w, torch.ones_like(w)) ** 2
    # 2 atan(t) / (w t), t = sin / w
    series = 2 * (1 - tan2 / 3 + tan2**2 / 5 - tan2**3 / 7) / torch.where(small, w, torch.ones_like(w))
    return torch.where(small, series, 2 * torch.atan2(sin, w) / sin) * xyz


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """(..., 3, 3) rotation matrices of (..., 4) quaternions w x y z of any length but 0 (that: NaN).

    Raises:
        ShapeError: the last axis is not 4, or the dtype no floating point.
    """
    _expect("quaternion", quaternion, "... C=4")
    return _turned_axes(_unit(quaternion))


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """(..., 4) unit quaternions w x y z, w >= 0, of (..., 3, 3) rotation matrices (Shepperd 1978).

    4 q qT is linear in the matrix; the row of the largest component, brought to unit length, is q. No root of a
    difference is taken, so the result and its gradient are safe at every angle.

    Raises:
        ShapeError: the last axes are not (3, 3), or the dtype no floating point.
    """
    _expect("matrix", matrix, "... R=3 C=3")
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (row.unbind(-1) for row in matrix.unbind(-2))
    rows = (
        (1 + m00 + m11 + m22, m21 - m12, m02 - m20, m10 - m01),
        (m21 - m12, 1 + m00 - m11 - m22, m10 + m01, m02 + m20),
        (m02 - m20, m10 + m01, 1 - m00 + m11 - m22, m21 + m12),
        (m10 - m01, m02 + m20, m21 + m12, 1 - m00 - m11 + m22),
    )
    outer = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    largest = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = outer.take_along_dim(largest[..., None, None], dim=-2).squeeze(-2)
    return _upper(_unit(row))


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """(..., 3, 3) rotation matrices of (..., 3) rotation vectors; raises as `axis_angle_to_quaternion` does."""
    return _turned_axes(axis_angle_to_quaternion(axis_angle))


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """(..., 3) rotation vectors, of length 0 to pi, of (..., 3, 3) rotation matrices.

    Raises:
        ShapeError: the last axes are not (3, 3), or the dtype no floating point.
    """
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def six_d_to_matrix(six_d: Tensor, layout: SixDLayout) -> Tensor:
    """(..., 3, 3) rotation matrices of (..., 6) numbers by Gram-Schmidt (Zhou et al. 2019, sec. B).

    a / |a|, b minus its part along a, brought to unit length, and their cross product are the rows or the columns.
    Lengths below 1e-12 count as 1e-12: parallel a and b, or zeros, give a matrix that is no rotation.

    Args:
        six_d: (..., 6).
        layout: ``rows``: the first two rows, r00 r01 r02 r10 r11 r12 (the toolkit's). ``columns``: the first two
            columns, interleaved, r00 r01 r10 r11 r20 r21 (the papers').

    Raises:
        ShapeError: the last axis is not 6, or the dtype no floating point.
        ConfigError: another layout.
    """
    _expect("six_d", six_d, "... C=6")
    _expect_layout(layout)
    pair = six_d.reshape(*six_d.shape[:-1], 2, 3) if layout == "rows" else six_d.reshape(*six_d.shape[:-1], 3, 2).mT
    a, b = pair.unbind(-2)
    a = normalize(a, dim=-1, eps=1e-12)
    b = normalize(b - (a * b).sum(-1, keepdim=True) * a, dim=-1, eps=1e-12)
    return torch.stack((a, b, torch.linalg.cross(a, b)), dim=-2 if layout == "rows" else -1)


def matrix_to_six_d(matrix: Tensor, layout: SixDLayout) -> Tensor:
    """(..., 6): the first two rows or columns of (..., 3, 3) matrices, ordered as `six_d_to_matrix` reads them.

    Raises:
        ShapeError: the last axes are not (3, 3), or the dtype no floating point.
        ConfigError: another layout.
    """
    _expect("matrix", matrix, "... R=3 C=3")
    _expect_layout(layout)
    return (matrix[..., :2, :] if layout == "rows" else matrix[..., :, :2]).flatten(-2)


def geodesic_distance(a: Tensor, b: Tensor) -> Tensor:
    """(...) angles in [0, pi] of the rotation between (..., 3, 3) matrices, from both sine and cosine.

    The gradient is 0 where the matrices are equal, where the distance has a kink.

    Raises:
        ShapeError: the last axes are not (3, 3), or the dtype no floating point.
    """
    _expect("a", a, "... R=3 C=3")
    _expect("b", b, "... R=3 C=3")
    relative = a.mT @ b
    skew = relative - relative.mT
    twice_sin = torch.stack((skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]), dim=-1)
    twice_cos = relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1
    return torch.atan2(torch.linalg.vector_norm(twice_sin, dim=-1), twice_cos)


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """(..., 4) unit quaternions on the shorter arc from `a` (t = 0) to `b` (t = 1), at constant speed (Shoemake 1985).

    Args:
        a: (..., 4) quaternions w x y z of any length but 0.
        b: (..., 4), as `a`.
        t: number, or (...) broadcast against the leading shape; outside [0, 1] it extrapolates.

    Raises:
        ShapeError: the last axis of `a` or `b` is not 4, or a dtype no floating point.
    """
    _expect("a", a, "... C=4")
    _expect("b", b, "... C=4")
    a = _unit(a)
    inverse = a * a.new_tensor((1, -1, -1, -1))
    arc = quaternion_to_axis_angle(_product(inverse, _unit(b)))
    share = torch.as_tensor(t, dtype=arc.dtype, device=arc.device)[..., None]
    return _product(a, axis_angle_to_quaternion(share * arc))


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product of (..., 4) quaternions."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        (
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ),
        dim=-1,
    )


def _turned_axes(unit: Tensor) -> Tensor:
    """(..., 3, 3) of unit quaternions (w, u): as columns e + 2 (w u x e + u x (u x e)) of each axis e."""
    w, u = unit[..., :1, None], unit[..., 1:, None]
    eye = torch.eye(3, dtype=unit.dtype, device=unit.device).expand(*unit.shape[:-1], 3, 3)
    across = torch.linalg.cross(u, eye, dim=-2)
    turned: Tensor = eye + 2 * (w * across + torch.linalg.cross(u, across, dim=-2))
    return turned


def _unit(quaternion: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(quaternion, dim=-1, keepdim=True)
    return quaternion / length


def _upper(quaternion: Tensor) -> Tensor:
    """The one of q and -q, which turn alike, that has w >= 0: the turn by at most pi."""
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def _expect(name: str, x: Tensor, pattern: str) -> None:
    if not x.is_floating_point():
        raise ShapeError(f"{name}: expected floating point, got {x.dtype}. Convert it first: {name}.float().")
    expect_shape(name, x, pattern)


def _expect_layout(layout: str) -> None:
    if layout not in get_args(SixDLayout):
        raise ConfigError(f"layout: expected one of {', '.join(get_args(SixDLayout))}, got {layout!r}.")
