"""Smooth rotations by a window network, in six numbers each (Zhou et al. 2019), as both papers and the toolkit do.

    matrix  ->  6D (two of its rows, or of its columns)  ->  windows  ->  Gram-Schmidt  ->  matrix

SmoothNet treats channels alike: the layout only decides which vectors are made orthogonal. DeciWatch mixes channels:
its weights belong to the layout they were trained with.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from poseworks.core.errors import DataError, ShapeError
from poseworks.core.rotations import SixDLayout, matrix_to_six_d, six_d_to_matrix
from poseworks.core.shapes import expect_shape
from poseworks.core.windows import Tail, WindowNetwork, apply_windows

Matrices = TypeVar("Matrices", Tensor, npt.NDArray[np.floating])

TOLERANCE = 1e-3  # largest entry of R^T R - I that still counts as a rotation

_HOW_TO_CONVERT = (
    "Convert other forms first: poseworks.core.rotations.axis_angle_to_matrix, quaternion_to_matrix or six_d_to_matrix."
)


def smooth_rotations(network: WindowNetwork, matrices: Matrices, layout: SixDLayout = "rows") -> Matrices:
    """Smoothed rotation matrices (T, J, 3, 3), always proper rotations; kind and dtype as they came.

    The toolkit's filters: SmoothNet at every frame; DeciWatch every `interval` frames, with the frames behind its last
    window as they came. A clip of T < W frames comes back unchanged. Frames that a DeciWatch does not read may be NaN.
    A rotation whose smoothed 6D vectors are parallel, which no rotation is read from, keeps its own value.

    Args:
        network: SmoothNet or DeciWatch, of 6 J channels or of any number.
        matrices: (T, J, 3, 3).
        layout: which vectors of a matrix make its 6D: "rows" as the toolkit, "columns" as the papers.

    Raises:
        ShapeError: not (T, J, 3, 3) or not floating. DataError: a matrix that is read is no rotation, or not finite.
    """
    clip = _as_double(matrices)
    frames, joints = clip.shape[:2]
    _refuse_non_rotations(clip)
    six_d = matrix_to_six_d(clip, layout).reshape(frames, 6 * joints)
    tail: Tail = "keep" if network.stride > 1 else "cover"
    smoothed = apply_windows(network, six_d.float(), stride=network.stride, tail=tail, short="identity")
    result = six_d_to_matrix(smoothed.double().reshape(frames, joints, 6), layout)
    valid = _orthogonality_error(result) < TOLERANCE
    result = torch.where(valid[..., None, None], result, clip)
    if isinstance(matrices, Tensor):
        return result.to(matrices.device, matrices.dtype)
    return result.cpu().numpy().astype(matrices.dtype)


def _as_double(matrices: Tensor | npt.NDArray[np.floating]) -> Tensor:
    """(T, J, 3, 3) in float64."""
    if not isinstance(matrices, Tensor | np.ndarray):
        raise ShapeError(f"matrices: expected a tensor or an array (T, J, 3, 3), got {type(matrices).__name__}.")
    expect_shape("matrices", matrices, "T J R=3 C=3", fix=_HOW_TO_CONVERT)
    tensor = matrices.detach() if isinstance(matrices, Tensor) else torch.from_numpy(np.array(matrices))
    if not tensor.is_floating_point():
        raise ShapeError(f"matrices: expected floating numbers, got {tensor.dtype}. Convert them first.")
    return tensor.double()


def _refuse_non_rotations(clip: Tensor) -> None:
    """DataError that names the first finite matrix that is no rotation; missing ones are the windows' business."""
    finite = clip.isfinite().all(-1).all(-1)
    fine = _orthogonality_error(clip) < TOLERANCE
    mirrored = torch.linalg.det(torch.where(finite[..., None, None], clip, torch.zeros_like(clip))) < 0
    faults = (finite & (mirrored | ~fine)).nonzero()
    if len(faults):
        frame, joint = faults[0].tolist()
        what = "a reflection" if bool(mirrored[frame, joint] & fine[frame, joint]) else "not orthogonal"
        raise DataError(
            f"matrices: expected rotations, but frame {frame}, joint {joint} is {what} ({len(faults)} such in all, "
            f"tolerance {TOLERANCE}). {_HOW_TO_CONVERT}"
        )


def _orthogonality_error(matrices: Tensor) -> Tensor:
    """(..., ): largest entry of |R^T R - I|."""
    identity = torch.eye(3, dtype=matrices.dtype, device=matrices.device)
    return (matrices.mT @ matrices - identity).abs().amax((-2, -1))
