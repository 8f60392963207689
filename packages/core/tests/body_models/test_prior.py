"""The pose prior: the formula in float64, users' files, and what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core.body_models import pose_prior
from poseworks.core.body_models.free import free_pose_prior
from poseworks.core.errors import FormatError, ShapeError


@pytest.fixture(scope="module")
def mixture() -> dict[str, Any]:
    return {name: array.astype(np.float64) for name, array in free_pose_prior().items()}


def test_the_energy_is_that_of_the_formula(mixture: dict[str, Any]) -> None:
    pose = 0.3 * torch.randn(2, 5, 23, 3, generator=torch.Generator().manual_seed(0))
    means, covars, weights = mixture["means"], mixture["covars"], mixture["weights"]
    away = pose.double().numpy().reshape(10, 1, 69) - means
    squared = np.einsum("nki,kij,nkj->nk", away, np.linalg.inv(covars), away)
    roots = np.sqrt(np.linalg.det(covars))
    energies = (squared / 2 - np.log(weights / ((2 * np.pi) ** 34.5 * roots / roots.min()))).min(1)
    assert_close(pose_prior()(pose), torch.from_numpy(energies.reshape(2, 5)).float(), rtol=1e-4, atol=1e-3)


def test_standing_is_likelier_than_random_joints_and_gradients_lead_back() -> None:
    prior = pose_prior("free")
    pose = torch.randn(1, 23, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert prior(torch.zeros(23, 3)) < prior(pose[0])
    energy = prior(pose).sum()
    (gradient,) = torch.autograd.grad(energy, pose)
    assert prior(pose - 1e-3 * gradient).sum() < energy
    assert prior.state_dict() == {}


@pytest.mark.parametrize("suffix", [".pkl", ".npz"])
def test_users_files(mixture: dict[str, Any], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"gmm_08{suffix}"
    if suffix == ".npz":
        np.savez(path, **mixture)
    else:
        path.write_bytes(pickle.dumps(mixture, 2))
    prior = pose_prior(path)
    assert prior.source == path.name
    pose = torch.full((23, 3), 0.1)
    assert_close(prior(pose), pose_prior()(pose))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("covars"), "expected arrays means, covars, weights, got means, weights"),
        (lambda m: m.update(means=m["means"][:, :63]), r"means: expected \(8, 69\), got \(8, 63\)"),
        (lambda m: m.update(covars=m["covars"] * np.nan), "covars: expected finite"),
        (lambda m: m.update(weights=m["weights"] * 2), "sum to 1"),
        (lambda m: m.update(covars=-m["covars"]), "positive definite"),
        (lambda m: m.update(covars=m["covars"] + np.arange(69)), "symmetric"),
    ],
)
def test_wrong_mixtures_are_refused(
    mixture: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    changed = dict(mixture)
    change(changed)
    path = tmp_path / "gmm_08.pkl"
    path.write_bytes(pickle.dumps(changed))
    with pytest.raises(FormatError, match=message):
        pose_prior(path)


def test_a_pose_with_its_root_is_refused() -> None:
    with pytest.raises(ShapeError, match="Leave the root out"):
        pose_prior()(torch.zeros(24, 3))
