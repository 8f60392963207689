"""`--unswap`: left and right are exchanged back before smoothing, and the result says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from poseworks.core import H36M_17, PoseSequence, read_poses, write_poses
from poseworks.core.cli import run
from poseworks.core.errors import ConfigError
from poseworks.core.testing import walking_poses
from poseworks.temporal import Gaussian, SmoothSettings, smooth
from poseworks.temporal.cli import app

EXCHANGED = [12, *range(30, 45)]
NOTE = "16 frames of person 5 had left and right exchanged: exchanged back"
SMOOTHER = Gaussian(sigma_frames=1)


@pytest.fixture
def clean() -> PoseSequence:
    poses = walking_poses(90, people=2, rng=np.random.default_rng(6), noise=0.01)
    return poses.replace(person_ids=np.array([3, 5]))


@pytest.fixture
def given(clean: PoseSequence) -> PoseSequence:
    """The second person with left and right exchanged in some frames."""
    positions = clean.positions.copy()
    for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"):
        left, right = H36M_17.indices([f"left_{name}", f"right_{name}"])
        positions[1, EXCHANGED, left], positions[1, EXCHANGED, right] = (
            clean.positions[1, EXCHANGED, right],
            clean.positions[1, EXCHANGED, left],
        )
    return clean.replace(positions=positions)


def test_the_result_is_that_of_poses_without_an_exchange(clean: PoseSequence, given: PoseSequence) -> None:
    result = smooth(given, SMOOTHER, SmoothSettings(unswap=True))
    expected = smooth(clean, SMOOTHER)
    np.testing.assert_array_equal(result.poses.positions, expected.poses.positions)
    assert [entry["verb"] for entry in result.poses.history[-2:]] == ["repair_swaps", "smooth"]
    assert result.poses.history[-2]["settings"]["people"][1]["frames"] == [[12, 12], [30, 44]]
    assert NOTE in result.notes
    assert not any("person 3 had" in note for note in result.notes)


def test_harm_is_judged_against_the_repaired_poses(clean: PoseSequence, given: PoseSequence) -> None:
    result = smooth(given, SMOOTHER, SmoothSettings(unswap=True))
    assert result.harm == smooth(clean, SMOOTHER).harm
    assert any(note.startswith("the harm report compares with") for note in result.notes)


def test_nothing_is_exchanged_without_being_asked(clean: PoseSequence, given: PoseSequence) -> None:
    assert [entry["verb"] for entry in smooth(given, SMOOTHER).poses.history] == ["smooth"]
    looked = smooth(clean, SMOOTHER, SmoothSettings(unswap=True))
    assert looked.poses.history[0]["settings"]["people"][1] == {"person": 5, "exchanged": 0, "frames": []}
    assert not any("exchanged" in note for note in looked.notes)


def test_a_latency_forbids_it(given: PoseSequence) -> None:
    with pytest.raises(ConfigError, match=r"^unswap: it compares .* a latency forbids\. Drop one of the two\.$"):
        smooth(given, SMOOTHER, SmoothSettings(unswap=True, latency_frames=4))


def test_the_command(
    clean: PoseSequence, given: PoseSequence, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_poses(given, tmp_path / "given.npz")
    arguments = ["smooth", str(tmp_path / "given.npz"), "-o", str(tmp_path / "out.npz"), "--unswap", "--json"]
    assert run(app, [*arguments, "--filter", "gaussian:sigma_frames=1"]) == 0
    assert NOTE in json.loads(capsys.readouterr().out)["notes"]
    out = read_poses(tmp_path / "out.npz")
    np.testing.assert_array_equal(out.positions, smooth(clean, SMOOTHER).poses.positions)
    assert out.history[-2]["verb"] == "repair_swaps"
