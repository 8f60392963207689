"""Runs by a recipe from published files to saved networks, in one process and in two.

Run as a script it trains as one of two processes; it forks after it has imported torch once.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core.cli import run as run_command_line
from poseworks.core.errors import ConfigError, DataError
from poseworks.lifting.cli import app
from poseworks.lifting.distillation import Distiller
from poseworks.lifting.ehgformer import EHGFormer, EHGFormerConfig
from poseworks.lifting.lcn import LCN
from poseworks.lifting.learning.building import build, synthetic_recordings
from poseworks.lifting.learning.published_files import write_ehgformer
from poseworks.lifting.learning.training import train_recipe
from poseworks.lifting.loading import load

LCN_SMALL = ("network.channels=4", "network.layers=1", "training.batch_size=50", "training.epochs=2")
CLIPS_SMALL = ("network.width=16", "network.blocks=2", "network.frames=9", "clip_stride=9", "training.epochs=1")
LESSON = ("lesson.teacher_blocks=[0, 1, 2]", "lesson.student_blocks=[0, 1, 1]")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both published layouts, of eight recordings of 60 frames."""
    folder = tmp_path_factory.mktemp("data") / "h36m"
    recordings = synthetic_recordings(60, rng=np.random.default_rng(0))
    of_each = ([one for one in recordings if one.numbers[0] == subject][:4] for subject in (1, 9))
    build([one for part in of_each for one in part], folder)
    return folder


def assert_equal_weights(a: torch.nn.Module, b: torch.nn.Module) -> None:
    assert a.config == b.config
    for name, x in a.state_dict().items():
        assert torch.equal(x, b.state_dict()[name]), name


@pytest.mark.parametrize("name", ["h36m_gt_flip_lcn", "h36m_dt_ft_confidence_lcn"])
def test_lcn_is_trained_from_published_files(name: str, data: Path, tmp_path: Path) -> None:
    trained = train_recipe(name, tmp_path / "run", data=data, overrides=LCN_SMALL, quiet=True)
    assert isinstance(trained.network, LCN)
    assert trained.network.config.in_features == (3 if "confidence" in name else 2)
    rows = 480 if "flip" in name else 240
    assert trained.run.steps == 2 * (rows // 50)
    assert set(trained.run.validation) == {"normalised_mse"}
    assert_equal_weights(load(tmp_path / "run" / "model"), trained.network)
    final = load(tmp_path / "run" / "final")
    assert isinstance(final, LCN)
    again = train_recipe(name, tmp_path / "run", data=data, overrides=LCN_SMALL, resume=True, quiet=True)
    assert_equal_weights(again.network, trained.network)
    text = (tmp_path / "run" / "validation.csv").read_text().splitlines()
    assert len(text) == 3  # a validation after each of two epochs


def test_ehgformer_is_trained_and_then_teaches_a_small_one(data: Path, tmp_path: Path) -> None:
    trained = train_recipe("ehgformer_static_p1", tmp_path / "full", data=data, overrides=CLIPS_SMALL, quiet=True)
    assert trained.run.steps == -(-12 // 4)  # 4 recordings of 30 used frames give 3 clips each
    assert set(trained.run.validation) == {"mpjpe", "pa_mpjpe"}
    assert all(0 < value < 10_000 for value in trained.run.validation.values())
    published = tmp_path / "full" / "best_epoch.bin"
    assert_equal_weights(load(published), trained.network)
    overrides = (*CLIPS_SMALL, f"teacher={tmp_path / 'teacher.bin'}", *LESSON)
    torch.manual_seed(0)
    write_ehgformer(EHGFormer(EHGFormerConfig(frames=9, width=24, blocks=3)), tmp_path / "teacher.bin")
    student = train_recipe("distil_static_p1.toml", tmp_path / "small", data=data, overrides=overrides, quiet=True)
    assert isinstance(student.network, EHGFormer)
    assert {"space", "time", "generation"} <= set(student.run.losses)
    assert_equal_weights(load(tmp_path / "small" / "best_epoch.bin"), student.network)
    assert isinstance(load(tmp_path / "small" / "distiller"), Distiller)
    write_ehgformer(EHGFormer(EHGFormerConfig(frames=9, width=24, blocks=3)), tmp_path / "teacher.bin")
    with pytest.raises(ConfigError, match=r"recipe\.teacher_sha256"):
        train_recipe("distil_static_p1", tmp_path / "small", data=data, overrides=overrides, resume=True, quiet=True)


def test_data_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"h36m_train\.pkl and h36m_test\.pkl and h36m_sh_dt_ft\.pkl"):
        train_recipe("h36m_dt_ft_lcn", tmp_path / "run", data=tmp_path)
    status = run_command_line(app, ["train", "ehgformer_dynamic_p2.toml", "--data", str(tmp_path), "-o", "run"])
    assert status == 2
    assert "h36m_sh_conf_cam_source_final.pkl" in capsys.readouterr().err


def test_the_verb_trains(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = [word for override in (*LCN_SMALL, "training.epochs=1") for word in ("--set", override)]
    folder = tmp_path / "run"
    words = ["train", "h36m_gt_lcn.toml", "--data", str(data), "-o", str(folder), *sets, "--seed", "3", "--json"]
    assert run_command_line(app, words) == 0
    assert '"steps": 4' in capsys.readouterr().out
    assert (folder / "model" / "model.safetensors").is_file()
    assert '"seed": 3' in (folder / "settings.json").read_text()
    assert run_command_line(app, words) == 2
    assert "--resume" in capsys.readouterr().err


# --- two processes ----------------------------------------------------------------------------------------------------

# Without dropout and flips both processes together do what one does with batches of twice the size.
SHARED = (*CLIPS_SMALL, "network.drop_path=0.0", "flip=false")


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_share_the_clips_of_each_batch(data: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(data), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    alone = train_recipe("ehgformer_dynamic_p1", tmp_path / "alone", data=data, overrides=SHARED, quiet=True)
    first, second = (torch.load(tmp_path / f"weights-{rank}.pt", weights_only=True) for rank in range(2))
    for name, x in alone.network.state_dict().items():
        assert torch.equal(first[name], second[name]), name
        assert_close(first[name], x, rtol=1e-3, atol=1e-5)
    saved = load(tmp_path / "pair" / "model").state_dict()
    assert all(torch.equal(x, first[name]) for name, x in saved.items())


def train_as_one_of_two(data: Path, folder: Path, rank: int, port: int) -> None:
    """What torchrun starts: processes that find their number in the environment."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    overrides = (*SHARED, "training.batch_size=2")
    trained = train_recipe("ehgformer_dynamic_p1", folder / "pair", data=data, overrides=overrides, quiet=True)
    torch.save(trained.network.state_dict(), folder / f"weights-{rank}.pt")


def main(data: Path, folder: Path) -> int:
    """Forks both; 0 if both end well."""
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # torch imports most of itself here
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            try:
                train_as_one_of_two(data, folder, rank, port)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
