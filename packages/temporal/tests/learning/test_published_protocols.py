"""Every published claim has a protocol; what is stated of each is as the papers state it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.testing import fill, seeded_input
from poseworks.temporal.learning.published_data import PublishedData, PublishedSequence
from poseworks.temporal.learning.published_protocols import (
    CLAIM_TABLES,
    ClaimRow,
    data_of,
    load_row,
    measure_row,
    protocols,
    weight_file,
)
from poseworks.temporal.learning.recipes import PublishedDeciWatch, PublishedSmoothNet, read_recipe, shipped_recipes
from poseworks.temporal.published import claim_rows, published_weights
from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig

ROWS = {table: protocols(table) for table in CLAIM_TABLES}
ALL = [row for rows in ROWS.values() for row in rows]
PAPER_3DPW = {"hidden": 512, "residual_hidden": 16, "blocks": 1}


def row_of(table: Any, label: str) -> ClaimRow:
    return next(row for row in ROWS[table] if row.label == label)


def write_smoothnet(path: Path, window: int, sizes: Mapping[str, int]) -> SmoothNet:
    """A checkpoint in the papers' form, filled with values that depend on the names alone."""
    network = SmoothNet(SmoothNetConfig(window=window, output=window, **sizes)).eval()
    tensors = fill({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    state = {name: torch.from_numpy(values) for name, values in tensors.items()}
    network.load_state_dict(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": 70, "state_dict": state, "performance": [], "optimizer": {}}, path)
    return network


def test_no_claim_is_left_out() -> None:
    sizes = {table: len(rows) for table, rows in ROWS.items()}
    assert sizes == {
        "smoothnet_toolkit": 4, "deciwatch_toolkit": 10, "smoothnet_paper": 33, "deciwatch_paper": 10,
        "deciwatch_intervals": 180, "deciwatch_intervals_pck": 20, "smoothnet_pose_toolkit": 4,
    }  # fmt: skip
    known = published_weights()
    for row in ALL:
        assert row.reason or (row.variant in known and row.places), row.label
        assert all(np.isfinite(pair).all() for pair in row.claims.values() if pair is not None)
    reasons = {row.label: row.reason for row in ALL if row.reason}
    assert reasons == {
        "3DPW EFT 3D, 3DPW (extra training)": "no file name is known for the weights 3DPW (extra training)",
        "interval 19, q 5, H36M FCN 3D": "not published",
    }


def test_claims_are_those_of_the_tables() -> None:
    assert row_of("deciwatch_intervals", "interval 3, q 33, H36M FCN 3D").claims == {
        "mpjpe": (54.55, 52.95), "accel": (19.18, 3.1),
    }  # fmt: skip
    assert row_of("deciwatch_intervals", "interval 20, q 5, AIST++ SPIN SMPL").claims["accel"] == (33.83, 6.97)
    assert row_of("smoothnet_paper", "Human3.6M HRNet 2D").claims == {
        "mpjpe": (4.59, 4.54),
        "accel_padded": (1.01, 0.13),
    }
    assert row_of("deciwatch_paper", "interval 10, q 1, Sub-JHMDB SimplePose 2D").claims["pck_0.2"] == (93.94, 98.75)
    assert row_of("deciwatch_toolkit", "interval 5, q 3, 3DPW SPIN smpl").claims == {"mpjpe": (99.45, 94.84)}


@pytest.mark.parametrize(
    ("name", "estimators", "root", "kept"),
    [
        ("AIST++", ("SPIN", "TCMR*", "VIBE*"), (2, 3), 0),
        ("3DPW", ("SPIN", "EFT", "PARE"), (2, 3), 14),
        ("3DPW", ("TCMR*", "VIBE*"), (2, 3), 0),
        ("Human3.6M", ("TCMR*", "VIBE*"), (2, 3), 0),
        ("Human3.6M", ("FCN", "RLE", "Videopose(T=27)*", "Videopose(T=81)*", "Videopose(T=243)*"), (0,), 0),
        ("MPI-INF-3DHP", ("SPIN", "TCMR*", "VIBE*"), (14,), 0),
        ("MuPoTS", ("TposeNet*", "TposeNet+RefineNet*"), (14,), 0),
    ],
)
def test_root_joints_are_the_published_ones(name: str, estimators: tuple[str, ...], root: Any, kept: int) -> None:
    for estimator in estimators:
        row = row_of("smoothnet_paper", f"{name} {estimator} 3D")
        assert row.data.root == root
        assert len(row.data.keep_joints) == kept
        assert not row.data.centre
        assert set(row.claims) == {"mpjpe", "accel_padded"}


def test_how_deciwatch_pixels_and_rotations_are_read() -> None:
    for row in (*ROWS["deciwatch_paper"], *ROWS["deciwatch_intervals"]):
        assert row.data.centre == (row.data.representation == "3D")
        assert "accel_padded" not in row.claims
    h36m = row_of("smoothnet_paper", "Human3.6M CPN 2D").data
    assert (h36m.root, h36m.pixel_scale, h36m.pixel_shift) == ((), 500, 1)  # p / 500 - 1 = (p - 500) / 500
    jhmdb = ROWS["deciwatch_intervals_pck"][0].data
    assert (jhmdb.set, jhmdb.estimator, jhmdb.pixel_scale, jhmdb.pixel_shift) == ("jhmdb", "simplepose", None, 0)
    assert {row.data.six_d_layout for row in ROWS["deciwatch_toolkit"]} == {"rows"}
    assert {row.data.six_d_layout for row in ROWS["deciwatch_intervals"]} == {"columns"}
    with pytest.raises(ConfigError, match="root joints of this set"):
        data_of("3DPW", "somebody", "3D")


def test_the_recipes_read_the_same_data() -> None:
    recipes = [read_recipe(name) for name in shipped_recipes()]
    published = [r for r in recipes if isinstance(r, PublishedSmoothNet | PublishedDeciWatch)]
    assert len(published) == 13
    rows = [*ROWS["smoothnet_paper"], *ROWS["deciwatch_paper"]]
    trained_on = [row for row in rows if row.interval is not None or row.data.representation == "3D"]
    by_set = {(row.variant, row.data.set, row.data.estimator): row for row in trained_on}
    for recipe in published:
        row = by_set[recipe.claims_of, recipe.data.set, recipe.data.estimator]
        assert row.data == recipe.data
        if isinstance(recipe, PublishedDeciWatch):
            assert (row.interval, row.q) == (recipe.network.interval, recipe.network.q)
            assert row.stride == (recipe.evaluation_stride or recipe.network.interval)


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEWORKS_WEIGHTS", str(tmp_path))
    for name in (
        "checkpoint_32.pth.tar",
        "checkpoint.pth.tar",
        "checkpoint_i5_q20.pth.tar",
        "smoothnet_windowsize8.pth.tar",
    ):
        (tmp_path / name).touch()
    found = {row.label for row in ALL if weight_file(row) is not None}
    assert found == {"window 8, 3DPW SPIN 3D"}  # the toolkit's name is the only one that says all
    for place in (
        "smoothnet-paper-3dpw-w32/checkpoint_32.pth.tar",
        "deciwatch-paper-3dpw-eft-smpl/checkpoint_i5_q20.pth.tar",
        "deciwatch-paper-h36m-fcn-3d/checkpoint.pth.tar",
        "aist_vibe_3D/checkpoint_32.pth.tar",
    ):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).touch()
    assert {row.label for row in ROWS["deciwatch_intervals"] if weight_file(row)} == {
        "interval 5, q 20, 3DPW EFT SMPL",
        "interval 10, q 10, H36M FCN 3D",
    }
    weights = {"3DPW": "smoothnet-paper-3dpw-w32", "AIST++": "aist_vibe_3D", "H36M": None}
    for row, claim in zip(ROWS["smoothnet_paper"], claim_rows("smoothnet_paper"), strict=True):
        path = weight_file(row)
        assert (path.parent.name if path else None) == weights.get(claim["weight"])


def test_a_file_of_other_sizes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_32.pth.tar"
    write_smoothnet(path, 32, {**PAPER_3DPW, "blocks": 2})
    with pytest.raises(CheckpointError, match="not smoothnet-paper-3dpw-w32: blocks 2 instead of 1"):
        load_row(row_of("smoothnet_paper", "3DPW SPIN 3D"), path)
    write_smoothnet(path, 32, PAPER_3DPW)
    network = load_row(row_of("smoothnet_paper", "3DPW SPIN 3D"), path)
    assert network.window == 32
    with pytest.raises(CheckpointError, match="window 32 instead of 8"):
        load_row(row_of("smoothnet_toolkit", "window 8, 3DPW SPIN 3D"), path)


class Added:
    """Adds 1 to all that it sees."""

    window, stride = 8, 1
    reads = torch.ones(8, dtype=torch.bool)

    def run_windows(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def test_the_pose_toolkit_does_not_smooth_the_root() -> None:
    truth = seeded_input("clip", (20, 51))
    truth[:, :3] = 0
    ones = np.ones(51, dtype=np.float32)
    row = ROWS["smoothnet_pose_toolkit"][0]
    measured = {r.measure: r for r in measure_row(row, [PublishedSequence("a", truth, truth, ones, 0 * ones)], Added())}
    assert measured["mpjpe"].after == pytest.approx(1000 * np.sqrt(3) * 16 / 17, rel=1e-5)  # 16 of 17 joints move
    assert measured["mpjpe"].before == 0
    assert measured["mpjpe"].frames == 20


def test_without_a_network_the_input_is_measured_over_the_same_frames() -> None:
    row = row_of("deciwatch_toolkit", "interval 5, q 2, 3DPW SPIN smpl")
    assert isinstance(row.data, PublishedData)
    six = np.tile(np.array([1, 0, 0, 0, 1, 0], dtype=np.float32), (38, 24))
    turned = np.tile(np.array([0, 1, 0, -1, 0, 0], dtype=np.float32), (38, 24))  # rows: a quarter turn about z
    ones = np.ones(144, dtype=np.float32)
    (measured,) = measure_row(row, [PublishedSequence("a", turned, six, ones, 0 * ones)], None)
    assert measured.measure == "rotation_error_deg"
    assert measured.before == measured.after == pytest.approx(90, abs=1e-3)
    assert measured.frames == 36  # windows of 11 at 0, 5, ..., 25
