"""Chains that lift: what is written, in which unit and frame, what the page says, and what stays 2D."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core import read_poses, write_poses
from poseworks.core.cli import run as run_command_line
from poseworks.core.errors import CheckpointError, DataError, SkeletonError
from poseworks.core.testing import walking_poses
from poseworks.lifting import EHGFormer, EHGFormerConfig, load
from poseworks.lifting.body_scale import standing_height
from poseworks.lifting.lifter import lift_people
from poseworks.lifting.published import ehgformer_names
from poseworks.pipeline import ChainConfig, FilterStep, LiftStep, run_chain, run_recording
from poseworks.pipeline.cli import app
from poseworks.temporal.filters import Gaussian
from poseworks.temporal.smoothing import smooth

SMOOTH = FilterStep(filter=Gaussian(sigma_frames=2))
WALK = walking_poses(40, 2, dims=2, rng=np.random.default_rng(1), noise=2.0)
UNKNOWN = WALK.replace(skeleton="custom", joint_names=tuple(f"joint {number}" for number in range(17)))

Capture = pytest.CaptureFixture[str]


def status(*words: object) -> int:
    return run_command_line(app, [str(word) for word in words])


def test_3d_stands_beside_the_2d_it_was_lifted_from(tmp_path: Path, lifter: str) -> None:
    result = run_chain(WALK, tmp_path / "out", ChainConfig(steps=(SMOOTH, LiftStep(model=lifter))))
    names = {"poses": "poses2d.npz", "smooth": "poses2d.smooth.npz", "lifted": "poses3d.npz", "report": "report.html"}
    assert {what: path.name for what, path in result.files.items()} == names
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names.values())
    lifted = read_poses(result.files["lifted"])
    assert (lifted.skeleton, lifted.unit, lifted.frame) == ("h36m17", "normalised", "root")
    assert [entry["verb"] for entry in lifted.history] == ["smooth", "lift"]
    assert lifted.history[-1]["model"] == lifter
    alone = lift_people(smooth(WALK, SMOOTH.filter).poses, load(lifter))
    np.testing.assert_allclose(lifted.positions, alone.poses.positions, atol=1e-6)
    np.testing.assert_array_equal(read_poses(result.files["smooth"]).positions, result.after.positions)
    assert result.harm == run_chain(WALK, tmp_path / "flat", ChainConfig(steps=(SMOOTH,))).harm
    assert result.lifted_harm is None
    assert set(alone.notes) <= set(result.notes)


def test_a_height_makes_metres_and_a_focal_length_places(tmp_path: Path, lifter: str) -> None:
    tall = LiftStep(model=lifter, height=1.8, focal=1500)
    lifted = run_chain(WALK, tmp_path / "out", ChainConfig(steps=(SMOOTH, tall))).lifted
    assert lifted is not None
    assert (lifted.unit, lifted.frame) == ("m", "camera")
    heights = [np.median(standing_height(lifted.positions[person].astype(float))) for person in range(2)]
    np.testing.assert_allclose(heights, 1.8, rtol=1e-5)
    assert lifted.positions[:, :, 0, 2].min() > 0.5  # in front of it


def test_a_camera_file_is_read_before_any_work_and_again_with_the_size(tmp_path: Path, lifter: str) -> None:
    camera = tmp_path / "camera.json"
    chain = ChainConfig(steps=(LiftStep(model=lifter, camera=camera),))
    camera.write_text('{"focal": 1500, "colour": "red"}')
    with pytest.raises(ValueError, match="colour: unknown"):
        run_chain(WALK, tmp_path / "out", chain)
    camera.write_text('{"focal": 1500}')
    placed = run_chain(WALK, tmp_path / "out", chain).lifted
    stated = run_chain(WALK, tmp_path / "same", ChainConfig(steps=(LiftStep(model=lifter, focal=1500),))).lifted
    assert placed is not None
    assert stated is not None
    np.testing.assert_array_equal(placed.positions, stated.positions)


def test_what_comes_after_lifting_works_on_3d(tmp_path: Path, lifter: str) -> None:
    result = run_chain(WALK, tmp_path / "out", ChainConfig(steps=(SMOOTH, LiftStep(model=lifter), SMOOTH)))
    assert result.files["lifted_smooth"].name == "poses3d.smooth.npz"
    first, last = read_poses(result.files["lifted"]), read_poses(result.files["lifted_smooth"])
    assert result.lifted is not None
    np.testing.assert_array_equal(last.positions, result.lifted.positions)
    assert [entry["verb"] for entry in last.history] == ["smooth", "lift", "smooth"]
    assert [entry["verb"] for entry in first.history] == ["smooth", "lift"]
    assert result.harm is not None
    assert result.lifted_harm is not None
    assert (result.harm.unit, result.lifted_harm.unit) == ("px", "normalised")
    page = result.files["report"].read_text(encoding="utf-8")
    assert "Harm report: person 0 in 3D" in page


def test_lifting_alone_leaves_nothing_to_compare(tmp_path: Path, lifter: str) -> None:
    result = run_chain(WALK, tmp_path / "out", ChainConfig(steps=(LiftStep(model=lifter),)))
    assert sorted(result.files) == ["lifted", "poses", "report"]
    assert result.harm is None
    assert "Harm report" not in result.files["report"].read_text(encoding="utf-8")


def test_the_page_has_all_tracks_and_says_the_unit(tmp_path: Path, lifter: str) -> None:
    said = {}
    for height in (None, 1.7):
        chain = ChainConfig(steps=(SMOOTH, LiftStep(model=lifter, height=height)))
        page = run_chain(WALK, tmp_path / str(height), chain).files["report"].read_text(encoding="utf-8")
        data = json.loads(page.split('id="data">')[1].split("</script>")[0])
        assert [track["label"] for track in data["tracks"]] == ["Detected", "Smoothed", "Lifted"]
        assert [track["shape"][-1] for track in data["tracks"]] == [2, 2, 3]
        said[height] = data["tracks"][2]["unit"], "No metres" in page, "Smoothed, lifted to 3D" in page
    assert said == {None: ("normalised", True, True), 1.7: ("m", False, True)}


def test_poses_that_cannot_be_lifted_stay_2d_with_a_note_or_are_refused(tmp_path: Path, lifter: str) -> None:
    step = LiftStep(model=lifter, optional=True)
    shares = WALK.replace(image_size=None, unit="normalised", positions=WALK.positions / 2000)
    for name, poses, reason in (("a", UNKNOWN, "of h36m17"), ("b", shares, "the size of the image")):
        result = run_chain(poses, tmp_path / name, ChainConfig(steps=(SMOOTH, step)))
        assert sorted(result.files) == ["poses", "report", "smooth"]
        assert result.lifted is None
        assert any(note.startswith("not lifted to 3D: ") and reason in note for note in result.notes)
    wanted = ChainConfig(steps=(SMOOTH, LiftStep(model=lifter)))
    with pytest.raises(SkeletonError, match="of h36m17"):
        run_chain(UNKNOWN, tmp_path / "c", wanted)
    with pytest.raises(DataError, match="3D already"):
        run_chain(walking_poses(20, rng=np.random.default_rng(0)), tmp_path / "c", wanted)
    with pytest.raises(CheckpointError, match="no-such-lifter"):
        run_chain(WALK, tmp_path / "c", ChainConfig(steps=(LiftStep(model="no-such-lifter"),)))
    assert not (tmp_path / "c").exists()


def test_3d_poses_are_not_lifted_again(tmp_path: Path) -> None:
    result = run_chain(walking_poses(40, rng=np.random.default_rng(0)), tmp_path / "out")
    assert result.lifted is None
    assert [entry["verb"] for entry in result.after.history] == ["repair_swaps", "smooth"]
    assert not any("lifted" in note for note in result.notes)


def test_a_recording_is_lifted(tmp_path: Path, clip: Path, lifter: str) -> None:
    chain = ChainConfig(steps=(SMOOTH, LiftStep(model=lifter, height=1.7)))
    result = run_recording(clip, tmp_path / "out", chain=chain)
    assert result.lifted is not None
    assert result.lifted.num_frames == result.after.num_frames == 26
    assert np.isfinite(result.lifted.positions).all()
    verbs = ["detect", "repair_swaps", "smooth", "convert", "lift"]
    assert [entry["verb"] for entry in result.lifted.history] == verbs


def test_run_lifts_as_it_is_told(tmp_path: Path, lifter: str, capsys: Capture) -> None:
    write_poses(WALK, tmp_path / "walk.npz")
    words = ["run", tmp_path / "walk.npz", "--filter", "gaussian:sigma_frames=2", "--no-body", "--lift-model", lifter]
    assert status(*words, "-o", tmp_path / "a", "--bone", "left_thigh=0.45", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["lifted"]["unit"], found["lifted"]["frame"], found["lifted"]["harm"]) == ("m", "root", None)
    assert Path(found["files"]["lifted"]).is_file()
    assert status(*words, "-o", tmp_path / "b", "--focal", "1500") == 0
    assert "in 3D: 2 people, 40 frames at 30 fps, h36m17 (17 joints), 3D normalised, camera" in capsys.readouterr().out
    assert status(*words[:5], "-o", tmp_path / "c", "--no-lift", "--no-recognize", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lifted"] is None
    assert sorted(found["files"]) == ["poses", "report", "smooth"]
    assert found["notes"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--no-lift", "--no-body", "--height", "1.7", "--focal", "900"],
            "--no-lift: leaves out what --height, --focal",
        ),
        (["--no-lift", "--bone", "thigh=0.4", "--focal", "900"], "--no-lift: leaves out what --bone speak of"),
        (["--height", "172"], "expected metres from 0.4 to 2.6"),
        (["--height", "1.7", "--bone", "thigh=0.4"], "State one of the two"),
        (["--bone", "thigh"], "NAME=METRES"),
        (["--focal", "900", "--camera", "camera.json"], "states it already"),
        (["--focal", "-900"], "focal"),
        (["--camera", "no.json"], "no.json"),
        (["--lift-model", "no-such-lifter"], "no-such-lifter"),
        (["--config", "chain.toml", "--height", "1.7"], "a step of kind lift into the file"),
    ],
)
def test_faults_in_what_is_said_of_lifting_are_one_line(
    tmp_path: Path, capsys: Capture, words: list[str], message: str
) -> None:
    write_poses(WALK, tmp_path / "walk.npz")
    assert status("run", tmp_path / "walk.npz", "-o", tmp_path / "out", *words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_asking_for_3d_of_what_cannot_be_lifted_is_an_error(tmp_path: Path, lifter: str, capsys: Capture) -> None:
    write_poses(walking_poses(40, rng=np.random.default_rng(0)), tmp_path / "space.npz")
    words = ["run", tmp_path / "space.npz", "-o", tmp_path / "out"]
    assert status(*words, "--lift", "--lift-model", lifter) == 2
    assert "3D already" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_lifters_are_inspected_listed_and_converted(tmp_path: Path, lifter: str, capsys: Capture) -> None:
    assert status("inspect", lifter, "--json") == 0
    assert json.loads(capsys.readouterr().out)["method"] == "LCN"
    assert status("models", "--json") == 0
    assert "EHGFormer" in capsys.readouterr().out
    network = EHGFormer(EHGFormerConfig(frames=9, width=32, blocks=2, heads=2))
    tensors = {
        published: network.state_dict()[name] for name, published in ehgformer_names(network.state_dict()).items()
    }
    for block in range(2):
        edge = f"STEblocks.{block}.hyper_attn_blk.hyper_edge"
        groups = torch.tensor(network.config.groups)
        tensors |= {f"{edge}.joint_label": groups, f"{edge}.hyper_matrix": torch.eye(int(groups.max()) + 1)[groups]}
        tensors[f"{edge}.merge_weight"] = torch.ones(1)
    original = tmp_path / "best_epoch.bin"
    torch.save({"model_pos": tensors}, original)
    assert status("inspect", original, "--json") == 0
    assert json.loads(capsys.readouterr().out)["looks_like"] == "an EHGFormer"
    assert status("convert", original, "-o", tmp_path / "folder", "--json") == 0
    assert json.loads(capsys.readouterr().out)["config"]["kind"] == "ehgformer"
    assert (tmp_path / "folder" / "model.safetensors").is_file()
    assert status("convert", original, "-o", tmp_path / "folder") == 2
    assert "already exists" in capsys.readouterr().err
    assert status("convert", original, "-o", tmp_path / "x", "--to-skeleton", "coco17") == 2
    assert "holds weights" in capsys.readouterr().err
    assert status("inspect", "smoothnet-general-w32", "--json") == 0
    assert json.loads(capsys.readouterr().out)["method"] == "SmoothNet"
