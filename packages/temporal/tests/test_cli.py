"""The command, as a stranger would call it: files in, files out, one line for every fault."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core import COCO_17, H36M_17, poses_from_arrays, read_poses, write_poses
from poseworks.core.cli import run
from poseworks.core.errors import ConfigError
from poseworks.core.testing import walking_poses
from poseworks.temporal import Gaussian, SmoothNet, SmoothNetConfig, save
from poseworks.temporal.cli import app
from poseworks.temporal.filter_options import parse_filter
from poseworks.temporal.filters import Chain, Median, OneEuro
from poseworks.temporal.smooth_command import ModelChoice

FILTER = ["--filter", "gaussian:sigma_frames=1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files of poses, in 3D and in pixels."""
    rng = np.random.default_rng(1)
    write_poses(walking_poses(50, rng=rng, noise=0.01), tmp_path / "walk.npz")
    write_poses(walking_poses(50, people=2, dims=2, rng=rng, noise=0.01), tmp_path / "flat.npz")
    return tmp_path


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a faulty command line leaves."""
    assert run(app, [str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def test_a_file_is_smoothed_and_described(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = folder / "out.npz", folder / "page.html"
    assert run(app, ["smooth", str(folder / "walk.npz"), "-o", str(out), "--report", str(page), *FILTER]) == 0
    poses = read_poses(folder / "walk.npz")
    expected = Gaussian(sigma_frames=1)(poses.positions[0].reshape(50, -1)).reshape(50, 17, 3)
    np.testing.assert_allclose(read_poses(out).positions[0], expected, atol=1e-6)
    assert page.read_text().startswith("<!")
    text = capsys.readouterr().out
    assert "smoother, motion kept" in text
    assert "acceleration" in text


def test_a_frame_rate_that_nobody_states_is_assumed_aloud(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    detections = folder / "tracks.json"
    write_poses(read_poses(folder / "flat.npz").select_people([0]).replace(person_ids=None, skeleton="coco17",
                joint_names=COCO_17.joint_names, unit="px", frame="image"), detections)  # fmt: skip
    assert run(app, ["smooth", str(detections), "-o", str(folder / "out.npz"), *FILTER]) == 0
    assert "30 frames per second were assumed (state it: --fps N)" in capsys.readouterr().err
    result = read_poses(folder / "out.npz")
    assert result.fps == 30
    assert [entry["verb"] for entry in result.history[-2:]] == ["assume", "smooth"]
    assert run(app, ["smooth", str(detections), "--fps", "25", "-o", str(folder / "out25.npz"), *FILTER]) == 0
    assert "assumed" not in capsys.readouterr().err


def test_json_is_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out.npz"
    assert run(app, ["smooth", str(folder / "flat.npz"), "-o", str(out), "--json", "--guard", *FILTER]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["output"] == str(out)
    assert len(content["harm"]["people"]) == 2
    assert any("guarded" in note for note in content["notes"])
    assert content["history"]["settings"]["guard"] is True


def test_several_inputs_make_a_folder(folder: Path) -> None:
    inputs = [str(folder / name) for name in ("walk.npz", "flat.npz")]
    arguments = ["smooth", *inputs, "-o", str(folder / "done"), "--report", str(folder / "pages"), *FILTER, "-q"]
    assert run(app, arguments) == 0
    assert sorted(p.name for p in (folder / "done").iterdir()) == ["flat.npz", "walk.npz"]
    assert sorted(p.name for p in (folder / "pages").iterdir()) == ["flat.html", "walk.html"]
    assert run(app, arguments) == 2
    assert run(app, [*arguments, "--overwrite"]) == 0


def test_a_model_of_ones_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    save(SmoothNet(SmoothNetConfig(window=8, output=8, hidden=16, residual_hidden=8)).eval(), folder / "net")
    out = folder / "out.csv"
    arguments = ["smooth", folder / "walk.npz", "-o", out, "--model", folder / "net", "--json"]
    assert run(app, [str(a) for a in arguments]) == 0
    history = json.loads(capsys.readouterr().out)["history"]
    assert history["model"] == str(folder / "net")
    assert len(history["model_sha256"]) == 64
    assert read_poses(out).num_frames == 50


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "expected at least one file"),
        (("missing.npz",), "missing.npz"),
        (("walk.npz", "--filter", "gausian:sigma_frames=2"), "expected one of gaussian"),
        (("walk.npz", "--filter", "gaussian:sigma=2"), "sigma_frames"),
        (("walk.npz", "--filter", "gaussian:sigma_frames=-1"), "sigma_frames"),
        (("walk.npz", "--filter", "gaussian:3"), "FIELD=NUMBER"),
        (("walk.npz", "--filter", "median:window=3+one_euro:min_cutoff_hz=1,beta=1"), "one_euro"),
        (("walk.npz", *FILTER, "--model", "x"), "drop --model"),
        (("walk.npz", *FILTER, "--q", "3"), "drop --q"),
        (("walk.npz", "--model", "no-such-model"), "no-such-model"),
        (("walk.npz", *FILTER, "--latency", "-1"), "latency_frames"),
        (("walk.npz", *FILTER, "--latency", "1", "--guard"), "Drop one"),
        (("walk.npz", *FILTER, "--min-confidence", "2"), "min_confidence"),
        (("walk.npz", *FILTER, "--video", "v.mp4"), "--report"),
        (("walk.npz", *FILTER, "--fps", "0"), "fps"),
        (("walk.npz", *FILTER, "--fps", "25"), "fps"),
        (("walk.npz", "walk.npz", *FILTER), "two inputs"),
        (("--nonsense",), "nonsense"),
    ],
)
def test_faults_are_one_line_and_leave_nothing(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert said in failure(capsys, "smooth", *arguments, "-o", "out.npz")
    assert sorted(folder.iterdir()) == before


def test_outputs_that_cannot_be_are_refused_before_any_work(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walk = folder / "walk.npz"
    assert "already exists" in failure(capsys, "smooth", folder / "flat.npz", "-o", walk, *FILTER)
    assert "is an input" in failure(capsys, "smooth", walk, "-o", walk, "--overwrite", *FILTER)
    assert "does not exist" in failure(capsys, "smooth", walk, "-o", folder / "no" / "out.npz", *FILTER)
    assert "names no format" in failure(capsys, "smooth", walk, "-o", folder / "out.txt", *FILTER)
    same = folder / "both.npz"
    assert "output as well" in failure(capsys, "smooth", walk, "-o", same, "--report", same, *FILTER)


def test_no_file_stays_when_the_page_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.mp4").write_bytes(b"")
    before = sorted(folder.iterdir())
    arguments = ["--report", folder / "page.html", "--video", folder / "broken.mp4", *FILTER]
    run(app, [str(a) for a in ("smooth", folder / "flat.npz", "-o", folder / "out.npz", *arguments)])
    left = sorted(set(folder.iterdir()) - set(before))
    assert left in ([], [folder / "out.npz", folder / "page.html"])


def test_units_that_are_not_known_name_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    save(SmoothNet(SmoothNetConfig(window=8, output=8, hidden=16, residual_hidden=8)).eval(), folder / "net")
    positions = np.random.default_rng(0).normal(size=(20, 17, 3))
    write_poses(poses_from_arrays(positions, H36M_17, fps=30, unit="normalised", frame="camera"), folder / "odd.npz")
    line = failure(capsys, "smooth", folder / "odd.npz", "-o", folder / "out.npz", "--model", folder / "net")
    assert "odd.npz" in line
    assert "--unit m" in line


def test_inspect_tells_poses_from_checkpoints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    net = SmoothNet(SmoothNetConfig(window=8, output=8, hidden=512, residual_hidden=16, blocks=1))
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, folder / "c.pth.tar"
    )
    assert run(app, ["inspect", str(folder / "walk.npz"), "--json"]) == 0
    poses = json.loads(capsys.readouterr().out)
    assert (poses["what"], poses["format"], poses["frames"], poses["unit"]) == ("poses", "poses", 50, "m")
    assert run(app, ["inspect", str(folder / "c.pth.tar"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["method"], facts["prefix"], facts["nested_in"]) == ("SmoothNet", "module.", "state_dict")
    assert facts["variant"] == "smoothnet-paper-3dpw-w8"
    torch.save({"something": torch.zeros(3)}, folder / "odd.pth")
    assert run(app, ["inspect", str(folder / "odd.pth"), "--json"]) == 0
    assert "neither a SmoothNet" in json.loads(capsys.readouterr().out)["problem"]
    assert "nothing.txt" in failure(capsys, "inspect", folder / "nothing.txt")
    assert "mean nothing" in failure(capsys, "inspect", folder / "walk.npz", "--q", "3")


def test_convert_makes_a_folder_that_smooth_takes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    net = SmoothNet(SmoothNetConfig(window=8, output=8, hidden=512, residual_hidden=16, blocks=1))
    torch.save({"state_dict": net.state_dict()}, folder / "checkpoint_8.pth.tar")
    assert run(app, ["convert", str(folder / "checkpoint_8.pth.tar"), "-o", str(folder / "ours")]) == 0
    for model, out in (("checkpoint_8.pth.tar", "a.npz"), ("ours", "b.npz")):
        arguments = ["smooth", folder / "walk.npz", "-o", folder / out, "--model", folder / model, "-q"]
        assert run(app, [str(a) for a in arguments]) == 0
    a, b = (read_poses(folder / name).positions for name in ("a.npz", "b.npz"))
    np.testing.assert_array_equal(a, b)
    capsys.readouterr()
    assert "already exists" in failure(capsys, "convert", folder / "checkpoint_8.pth.tar", "-o", folder / "ours")


def test_models_lists_the_published_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, ["models", "--json"]) == 0
    models = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["models"]}
    assert models["smoothnet-toolkit-w8"]["parameters"] == 2_635_272
    assert models["deciwatch-paper-3dpw-spin-3d"]["parameters"] == 242_708


def test_train_and_evaluate_name_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "no such recipe" in failure(capsys, "train", "nonsense", "-o", tmp_path / "run")
    assert "data" in failure(capsys, "train", "smoothnet-general-w8", "-o", tmp_path / "run")
    assert "no such recipe" in failure(capsys, "evaluate", "nonsense")
    assert "not a published recipe" in failure(capsys, "evaluate", "smoothnet-general-w8")
    assert not (tmp_path / "run").exists()


def test_export_wants_an_onnx_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert ".onnx" in failure(capsys, "export", "whatever", "-o", tmp_path / "model.bin")


def test_filters_are_written_as_stated() -> None:
    assert parse_filter("gaussian:sigma_frames=3", 25) == Gaussian(sigma_frames=3)
    both = parse_filter("median:window=7 + gaussian:sigma_frames=2", 25)
    assert both == Chain(filters=(Median(window=7), Gaussian(sigma_frames=2)))
    assert parse_filter("one-euro:min_cutoff_hz=1.5,beta=2", 25) == OneEuro(min_cutoff_hz=1.5, beta=2, fps=25)
    assert parse_filter("gaussian-paper", 25) == Gaussian(sigma_frames=3)
    with pytest.raises(ConfigError, match="odd window"):
        parse_filter("median:window=4", 25)


def test_a_latency_chooses_the_weights_made_for_it() -> None:
    choice = ModelChoice(None, None, {})
    assert choice.name(None) == choice.name(20) == "smoothnet-general-w32"
    assert [choice.name(k)[-2:] for k in (0, 1, 3, 4, 7)] == ["k0", "k1", "k1", "k4", "k4"]


def test_help_imports_neither_torch_nor_scipy() -> None:
    code = (
        "import sys\nfrom poseworks.core.cli import run\nfrom poseworks.temporal.cli import app\n"
        "status = run(app, ['smooth', '--help'])\n"
        "sys.exit(status or int(bool({'torch', 'scipy', 'pydantic', 'numpy'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "--guard" in done.stdout
