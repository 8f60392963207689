"""Users' body files: what they hold comes out, wrong files are told apart, damaged and hostile ones are refused."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from poseworks.core.body_models import load_body, read_body, read_extra_regressor, read_h36m_regressor
from poseworks.core.body_models.data import BodyData
from poseworks.core.body_models.files import gender_in_name
from poseworks.core.body_models.free import free_body
from poseworks.core.errors import ConfigError, DataError, FormatError, PoseworksError
from poseworks.core.testing import mutations
from poseworks.core.testing_bodies import (
    body_arrays,
    csc_parts,
    foreign_classes,
    foreign_pickle,
    synthetic_body,
    write_body_pickle,
)

FREE_FILE = Path(__file__).parents[2] / "src/poseworks/core/body_models/free_body/free_body.npz"


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    return body_arrays(synthetic_body())


def check(body: BodyData, arrays: dict[str, Any]) -> None:
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights"):
        assert_array_equal(getattr(body, name), arrays[name])
    assert_array_equal(body.faces, arrays["f"])


@pytest.mark.long
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_official_pickles(arrays: dict[str, Any], tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "basicModel_f_lbs_10_207_0_v1.0.0.pkl"
    write_body_pickle(path, arrays, protocol)
    body = read_body(path)
    check(body, arrays)
    assert (body.info.name, body.info.gender, body.info.source) == ("smpl", "female", path.name)


def test_npz_with_other_keys_and_a_signed_tree(arrays: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "renamed.npz"
    tree = arrays["kintree_table"].astype(np.int64)
    tree[0, 0] = -1
    np.savez(path, **{**arrays, "kintree_table": tree}, joint2num=np.array({"pelvis": 0}, dtype=object))
    check(read_body(path, "male"), arrays)
    assert read_body(path).info.gender == "neutral"
    assert read_body(path, "male").info.gender == "male"


@pytest.mark.long
def test_300_directions_of_which_as_many_are_kept_as_asked_for(arrays: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "SMPL_NEUTRAL.npz"
    more = np.concatenate((arrays["shapedirs"], np.zeros((6890, 3, 290))), axis=2)
    np.savez(path, **{**arrays, "shapedirs": more})
    assert load_body(path).num_betas == 10
    assert load_body(path, num_betas=300).num_betas == 300
    with pytest.raises(ConfigError, match="has 1 to 300, got 301"):
        load_body(path, num_betas=301)


def test_a_folder_of_bodies(arrays: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no neutral body of SMPL here \(found: no .pkl and no .npz\).*smpl.is.tue.mpg.de"
    ):
        load_body(tmp_path)
    below = tmp_path / "smpl"
    below.mkdir()
    np.savez(below / "SMPL_MALE.npz", **arrays)
    assert load_body(tmp_path, gender="male").info.gender == "male"
    with pytest.raises(DataError, match=r"no female body .*found: SMPL_MALE.npz.*SMPL_FEMALE.pkl"):
        load_body(tmp_path, gender="female")
    (below / "basicModel_m_lbs_10_207_0_v1.0.0.pkl").touch()
    with pytest.raises(DataError, match="several male bodies"):
        load_body(tmp_path, gender="male")
    with pytest.raises(ConfigError, match="the name says male, expected female"):
        load_body(below / "SMPL_MALE.npz", gender="female")


@pytest.mark.parametrize(
    ("name", "gender"),
    [
        ("SMPL_NEUTRAL.pkl", "neutral"),
        ("basicmodel_m_lbs_10_207_0_v1.1.0.pkl", "male"),
        ("basicModel_f_lbs_10_207_0_v1.0.0.pkl", "female"),
        ("smpl.pkl", None),
        ("female_or_male.pkl", None),
    ],
)
def test_genders_in_names(name: str, gender: str | None) -> None:
    assert gender_in_name(name) == gender


def test_a_copy_of_the_free_body_is_the_free_body() -> None:
    body = read_body(FREE_FILE)
    assert body.info.name == "free"
    assert_array_equal(body.v_template, free_body().v_template)


OTHERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "9 rows": (lambda p: np.save(p, np.zeros((9, 6890))), "J_regressor_extra.npy of SPIN and the toolbox, 9 rows"),
    "14 rows": (lambda p: np.save(p, np.zeros((14, 6890))), "J_regressor_extra.npy of GraphCMR and Graphormer"),
    "17 rows": (lambda p: np.save(p, np.zeros((17, 6890))), "Human3.6M's joints"),
    "mean parameters": (lambda p: np.savez(p, pose=0, shape=0, cam=0), "mean parameters"),
    "hierarchy": (lambda p: np.savez(p, A=0, U=0, D=0, F=0), "mesh hierarchy"),
    "prior": (lambda p: p.write_bytes(pickle.dumps({"means": 0, "covars": 0, "weights": 0})), "a pose prior"),
    "amass": (lambda p: np.savez(p, poses=0, betas=0, trans=0), "AMASS"),
    "hands": (lambda p: np.savez(p, v_template=0, hands_componentsl=0), "with hands.*extra smplx"),
    "human data": (lambda p: np.savez(p, keypoints2d=0), "HumanData"),
    "list": (lambda p: p.write_bytes(pickle.dumps([1])), "a pickled list"),
    "part": (lambda p: np.savez(p, v_template=0), "misses shapedirs, posedirs"),
    "text": (lambda p: p.write_text("hello"), "pickle: "),
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_told_apart(tmp_path: Path, name: str) -> None:
    write, message = OTHERS[name]
    path = tmp_path / ("file.npy" if "rows" in name else "file.npz")
    write(path)
    with pytest.raises(FormatError, match=message):
        read_body(path)


def test_a_missing_file_says_where_bodies_come_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist. SMPL's files come from .* the free body comes"):
        load_body(tmp_path / "SMPL_NEUTRAL.pkl")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v_template": np.zeros((10475, 3))}, "this is an SMPL-X body"),
        ({"kintree_table": np.zeros((2, 52), np.int64)}, "kintree_table: expected SMPL's 24 joints"),
        ({"posedirs": np.zeros((6890, 3, 9))}, r"posedirs: expected \(6890, 3, 207\)"),
        ({"weights": np.zeros((6890, 24))}, "weights: rows must sum to 1"),
        ({"shapedirs": np.full((6890, 3, 10), np.nan)}, "shapedirs: holds NaN"),
        ({"f": np.full((5, 3), 6890, np.uint32)}, "faces: expected vertices 0 to 6889"),
        ({"f": np.zeros((5, 3))}, "faces: expected whole numbers"),
        ({"J_regressor": np.array(["x"])}, "J_regressor: expected numbers"),
    ],
)
def test_contradicting_arrays_are_refused(
    arrays: dict[str, Any], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "body.npz"
    np.savez(path, **{**arrays, **change})
    with pytest.raises(FormatError, match=message):
        read_body(path)


def foreign_faults(kind: str) -> Any:
    """A J_regressor or a v_template whose parts contradict each other."""
    with foreign_classes() as (ch, select, csc):
        good = csc_parts(np.eye(3))
        values = {
            "no array": ch(),
            "beyond": select(a=ch(x=np.zeros(3)), idxs=np.array([3])),
            "shape": select(a=ch(x=np.zeros(3)), idxs=np.array([0, 1]), preferred_shape=(3, 3)),
            "pointers": csc(**{**good, "indptr": np.array([0, 5, 2, 3])}),
            "rows": csc(**{**good, "indices": np.array([0, 1, 7])}),
            "missing": csc(data=np.zeros(3)),
        }
        return foreign_pickle(
            {
                "v_template": values[kind],
                **{k: np.zeros(3) for k in ("shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")},
            }
        )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no array", "v_template: a chumpy.ch.Ch object that holds no array"),
        ("beyond", "beyond the end"),
        ("shape", "whose shape is none"),
        ("pointers", "contradict each other"),
        ("rows", "contradict each other"),
        ("missing", "contradict each other"),
    ],
)
def test_damaged_foreign_objects_are_refused(tmp_path: Path, kind: str, message: str) -> None:
    path = tmp_path / "body.pkl"
    path.write_bytes(foreign_faults(kind))
    with pytest.raises(FormatError, match=message):
        read_body(path)


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


def test_hostile_pickles_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps({"v_template": _Runs()}))
    with pytest.raises(FormatError, match="refused; nothing was run"):
        read_body(path)
    # A class of the packages that are stood in for is not made either: not with arguments, not as a function.
    for data in (
        b"\x80\x02cchumpy.ch\nCh\nK\x01\x85\x81.",
        b"\x80\x02cscipy.sparse\nload_npz\nX\x01\x00\x00\x00x\x85R.",
        b"\x80\x02cchumpy.ch\nCh\n)\x81K\x01b.",
    ):
        path.write_bytes(data)
        with pytest.raises(FormatError, match="pickle: "):
            read_body(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("suffix", [".pkl", ".npz"])
def test_damaged_files_are_errors_of_ours_or_bodies(tmp_path: Path, suffix: str) -> None:
    """Of a small body: what is read before sizes are checked is the same."""
    few = {
        "v_template": np.zeros((4, 3)), "shapedirs": np.zeros((4, 3, 2)), "posedirs": np.zeros((4, 3, 207)),
        "J_regressor": np.eye(24, 4), "weights": np.eye(4, 24), "kintree_table": np.zeros((2, 24), np.int64),
        "f": np.zeros((1, 3), np.int64), "J": np.zeros((24, 3)),
    }  # fmt: skip
    path = tmp_path / f"body{suffix}"
    if suffix == ".pkl":
        write_body_pickle(path, few)
    else:
        np.savez(path, **few)
    data = path.read_bytes()
    for damaged in mutations(data, np.random.default_rng(0), 200):
        path.write_bytes(damaged)
        with pytest.raises(PoseworksError):
            read_body(path)


class TestRegressors:
    @pytest.fixture
    def right_first(self) -> np.ndarray:
        return free_body().regressors["h36m17"].matrix

    def test_the_legs_are_told_apart(self, tmp_path: Path, right_first: np.ndarray) -> None:
        path = tmp_path / "J_regressor_h36m.npy"
        left_first = right_first[[0, 4, 5, 6, 1, 2, 3, *range(7, 17)]]
        for matrix, first in ((right_first, "right_hip"), (left_first, "left_hip")):
            np.save(path, matrix.astype(np.float64))
            for body in (free_body(), load_body("free")):
                assert read_h36m_regressor(path, body).joint_names[1] == first

    def test_rows_that_are_no_legs_are_refused(self, tmp_path: Path, right_first: np.ndarray) -> None:
        path = tmp_path / "J_regressor_h36m.npy"
        np.save(path, right_first[[0, 1, 5, 3, 4, 2, 6, *range(7, 17)]])
        with pytest.raises(FormatError, match="do not lie on opposite sides"):
            read_h36m_regressor(path, free_body())

    def test_the_two_extra_files(self, tmp_path: Path) -> None:
        path = tmp_path / "J_regressor_extra.npy"
        np.save(path, np.full((9, 6890), 1 / 6890))
        assert read_extra_regressor(path, 9).joint_names[3] == "headtop"
        with pytest.raises(FormatError, match=r"expected the .* GraphCMR.*14 rows.*it is the .* SPIN"):
            read_extra_regressor(path, 14)
        np.save(path, np.full((14, 6890), 1 / 6890))
        assert read_extra_regressor(path, 14).joint_names[:2] == ("nose", "right_eye")
        with pytest.raises(FormatError, match=r"it is the J_regressor_extra\.npy of GraphCMR"):
            read_extra_regressor(path, 9)
        np.save(path, np.zeros((9, 6890)))
        with pytest.raises(FormatError, match="must sum to 1"):
            read_extra_regressor(path, 9)
