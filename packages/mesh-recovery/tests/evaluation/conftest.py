"""Data sets of each layout and the bodies that they need, made of formulas and random numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poseworks.core.formats.human_data import HumanData, write_human_data
from poseworks.core.keypoint_conventions import index_table
from poseworks.core.testing_bodies import body_arrays, synthetic_body, synthetic_regressor
from poseworks.core.video import write_picture
from poseworks.mesh_recovery import HMR, HMRConfig, ResNetConfig

ROWS = 5
GENDER = ("m", "f", "f", "m", "m")


@pytest.fixture
def hmr() -> Callable[..., HMR]:
    """A small HMR with new weights, of these fields of its config."""

    def made(**config: Any) -> HMR:
        torch.manual_seed(0)
        backbone = ResNetConfig(width=2, blocks=(1, 1, 1, 1))
        return HMR(HMRConfig(backbone=backbone, feature_size=64, hidden=8, **config)).eval()

    return made


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, leg_regressor: np.ndarray) -> Path:
    """Pictures, data sets of each layout, and the bodies of three genders with their regressors."""
    home = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    pose, betas = 0.4 * rng.normal(size=(ROWS, 24, 3)), rng.normal(size=(ROWS, 10))
    (home / "smpl").mkdir()
    arrays = body_arrays(synthetic_body())
    for number, gender in enumerate(("NEUTRAL", "MALE", "FEMALE")):
        changed = {"v_template": (1 + 0.1 * number) * arrays["v_template"]}
        np.savez(home / "smpl" / f"SMPL_{gender}.npz", **{**arrays, **changed})  # type: ignore[arg-type]
    np.save(home / "smpl" / "J_regressor_h36m.npy", leg_regressor)
    np.save(home / "smpl" / "J_regressor_extra.npy", synthetic_regressor(9, 401, 7, 5))
    names = []
    for row in range(ROWS):
        names.append(f"imageFiles/walk/image_{row + (row > 2):05d}.png")  # number 3 is missing
        write_picture_below(home / names[-1], rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    boxes = np.tile([10.0, 5, 40, 50, 1], (ROWS, 1))
    smpl = {"global_orient": pose[:, 0], "body_pose": pose[:, 1:], "betas": betas}
    three: dict[str, Any] = {"image_path": tuple(names), "bbox_xywh": boxes}
    write_human_data(
        HumanData(**three, smpl=smpl, other={"meta": {"gender": np.array(GENDER)}}), home / "pw3d_test.npz"
    )
    labels = {}
    for name, convention in (("h36m", "h36m"), ("mi", "mpi_inf_3dhp_test")):
        points, mask = np.zeros((ROWS, 190, 4)), np.zeros(190, np.uint8)
        mask[index_table(convention, "human_data")[0]] = 1
        points[:] = rng.normal(size=points.shape)
        points[..., 3] = 1
        points *= mask[:, None]
        labels[name] = HumanData(**three, keypoints3d=points, keypoints3d_mask=mask)
    write_human_data(labels["h36m"], home / "h36m_valid.npz")
    write_human_data(labels["mi"], home / "mpi_inf_3dhp_test.npz")
    write_human_data(HumanData(**three, smpl=smpl, other={"meta": {"body": "free"}}), home / "rendered.npz")
    spin: dict[str, Any] = {
        "imgname": np.array(names),
        "center": boxes[:, :2] + boxes[:, 2:4] / 2,
        "scale": np.full(ROWS, 0.25),
    }
    np.savez(home / "3dpw_spin.npz", **spin, pose=pose.reshape(ROWS, 72), shape=betas, gender=np.array(GENDER))
    joints = np.concatenate([rng.normal(size=(ROWS, 24, 3)), np.ones((ROWS, 24, 1))], axis=-1)
    joints[-1, 18, 3] = 0  # a joint that counts is not known there
    np.savez(home / "mpi_inf_3dhp_valid.npz", **spin, S=joints)
    return home


def write_picture_below(path: Path, rgb: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, rgb)
