"""How likely a pose is: a mixture of normal distributions over axis-angles (Bogo et al. 2016, sec. 3.3).

    E(x) = min_k [ (x - m_k)T C_k^-1 (x - m_k) / 2 - log c_k ]
    c_k  = w_k / ((2 pi)^(69/2) sqrt|C_k| / min_j sqrt|C_j|)

The minimum stands for the sum over the components. The division by the smallest determinant is the published code's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseworks.core.body_models.free import free_pose_prior
from poseworks.core.errors import FormatError
from poseworks.core.formats.reading import read_head, read_npz
from poseworks.core.shapes import expect_shape
from poseworks.core.unpickling import restricted_load

JOINTS = 23


class PosePrior(nn.Module):
    """`prior(body_pose)` -> the energy above; low for poses that people take.

    Attributes:
        source: name of the file that it was read from.
    """

    means: Tensor
    roots: Tensor
    offsets: Tensor
    constants: Tensor

    def __init__(self, means: NDArray[Any], covars: NDArray[Any], weights: NDArray[Any], source: str = "") -> None:
        """The mixture of K components with means (K, 69), covariances (K, 69, 69) and weights (K,), in radians.

        Raises:
            FormatError: with all that is wrong.
        """
        super().__init__()
        self.source = source
        factors = _checked_factors(means, covars, weights, source or "pose prior")
        half_logs = np.log(factors.diagonal(axis1=1, axis2=2)).sum(1)  # log sqrt|C|
        constants = means.shape[1] / 2 * np.log(2 * np.pi) + half_logs - half_logs.min() - np.log(weights)
        # L^-1 x - L^-1 m has the squared length of (x - m)T C^-1 (x - m); all components are one product.
        roots = np.linalg.inv(factors)
        # None of these is ever part of a state dict: a licensed prior is not to be stored again.
        for name, array in (
            ("means", means), ("roots", roots.reshape(-1, means.shape[1]).T),
            ("offsets", (roots @ means[..., None]).reshape(-1)), ("constants", constants),
        ):  # fmt: skip
            self.register_buffer(name, torch.tensor(array, dtype=torch.float32), persistent=False)

    def forward(self, body_pose: Tensor) -> Tensor:
        """(...) energies of (..., 23, 3) axis-angles in radians, of joints 1 to 23.

        Raises:
            ShapeError: another shape.
        """
        expect_shape("body_pose", body_pose, f"... J={JOINTS} C=3", fix="Leave the root out: pose[..., 1:, :].")
        whitened = body_pose.flatten(-2) @ self.roots - self.offsets
        squared = whitened.square().reshape(*whitened.shape[:-1], len(self.means), -1).sum(-1)
        return (squared / 2 + self.constants).min(dim=-1).values


def pose_prior(source: str | os.PathLike[str] = "free") -> PosePrior:
    """A pose prior in float32.

    Args:
        source: ``free``: the one that comes with the package; else a file with arrays means (K, 69), covars
            (K, 69, 69) and weights (K,): SMPLify's gmm_08.pkl, or an npz.

    Raises:
        FormatError: the file holds something else, or more than data.
        DataError: it cannot be read.
    """
    if os.fspath(source) == "free":
        arrays, name = free_pose_prior(), "free_pose_prior.npz"
    else:
        path = Path(source)
        name = path.name
        value = read_npz(path) if read_head(path, 2) == b"PK" else restricted_load(path)
        keys = ("means", "covars", "weights")
        if not isinstance(value, dict) or not all(isinstance(value.get(key), np.ndarray) for key in keys):
            found = ", ".join(map(str, list(value)[:8])) if isinstance(value, dict) else type(value).__name__
            raise FormatError(f"{path}: not a pose prior: expected arrays means, covars, weights, got {found}.")
        arrays = {key: value[key] for key in keys}
    return PosePrior(**arrays, source=name)


def _checked_factors(
    means: NDArray[Any], covars: NDArray[Any], weights: NDArray[Any], source: str
) -> NDArray[np.float64]:
    """(K, 69, 69) Cholesky factors L of the covariances L LT."""
    size = 3 * JOINTS
    count = len(means) if means.ndim else 0
    expected = {
        "means": (means, (count, size)),
        "covars": (covars, (count, size, size)),
        "weights": (weights, (count,)),
    }
    faults = []
    for name, (array, shape) in expected.items():
        if array.shape != shape:
            faults.append(f"{name}: expected {shape}, got {array.shape}")
        elif array.dtype.kind != "f" or not np.isfinite(array).all():
            faults.append(f"{name}: expected finite floating-point numbers")
    if not faults and (not count or weights.min() <= 0 or abs(weights.sum() - 1) > 1e-3):
        faults.append("weights: expected positive numbers that sum to 1")
    if not faults:
        try:
            if np.allclose(covars, covars.swapaxes(1, 2)):
                return np.linalg.cholesky(covars.astype(np.float64))
        except np.linalg.LinAlgError:
            pass
        faults.append("covars: expected symmetric, positive definite matrices")
    raise FormatError(f"{source}: not a pose prior: {'; '.join(faults)}.")
