"""Training: schedules, exact resume after a kill, several processes, logs, refusals.

Run as a script it makes what one process cannot: runs that are killed, and one of two processes. It forks after it has
imported torch once, which is most of their time.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from poseworks.core.errors import CheckpointError, ConfigError, DataError
from poseworks.core.training import (
    Permutations,
    Place,
    TrainResult,
    TrainSettings,
    average_weight,
    chained_batch,
    epoch_batch,
    epoch_steps,
    last_weights,
    learning_rate_at,
    make_optimizer,
    train,
)
from poseworks.core.training.optimizers import TensorFlowAdam
from poseworks.core.training.random import derived_seed, seed_everything

BASE: dict[str, Any] = {"steps": 40, "steps_per_epoch": 10, "batch_size": 8, "log_every": 7, "checkpoint_every": 6}
FULL: dict[str, Any] = {**BASE, "ema_decay": 0.9, "keep": "best", "validate_every": 9, "clip_norm": 0.5}


class Toy:
    """Learns the sum of four numbers; uses every source of randomness that a task may use."""

    def __init__(self, kill_at: int | None = None, nan_at: int | None = None) -> None:
        state = torch.get_rng_state()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
        torch.set_rng_state(state)
        self.kill_at, self.nan_at = kill_at, nan_at

    def step_loss(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        if step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        x = torch.randn(8, 4, generator=generator)
        x = x + 0.1 * random.random() + 0.1 * float(np.random.random())  # noqa: NPY002 (what is tested)
        error = self.network(x) - x.sum(1, keepdim=True)
        factor = float("nan") if step == self.nan_at else 1.0
        return {"loss": factor * (error**2).mean(), "mean_error": error.abs().mean()}

    def validate(self) -> dict[str, float]:
        x = torch.randn(32, 4)
        return {"error": float((self.network(x) - x.sum(1, keepdim=True)).abs().mean()), "noise": random.random()}


def run(folder: Path, task: Toy | None = None, settings: Mapping[str, Any] = BASE, **options: Any) -> TrainResult:
    return train(task or Toy(), TrainSettings(**settings), folder, quiet=True, **options)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def assert_equal_weights(a: nn.Module, b: nn.Module) -> None:
    for name, x in a.state_dict().items():
        assert torch.equal(x, b.state_dict()[name]), name


# Schedules


def test_the_published_schedule_decays_once_an_epoch() -> None:
    settings = TrainSettings(epochs=3, steps_per_epoch=10, batch_size=1, learning_rate=1e-3)
    assert settings.total_steps == 30
    assert learning_rate_at(0, settings) == learning_rate_at(9, settings) == 1e-3
    assert learning_rate_at(10, settings) == pytest.approx(0.95e-3)
    assert learning_rate_at(29, settings) == pytest.approx(1e-3 * 0.95**2)


def test_cosine_begins_at_the_rate_and_ends_near_zero_and_warm_up_is_linear() -> None:
    settings = TrainSettings(steps=110, batch_size=1, learning_rate=2.0, schedule="cosine", warmup_steps=10)
    assert [learning_rate_at(step, settings) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])
    assert learning_rate_at(10, settings) == pytest.approx(2.0)
    assert learning_rate_at(60, settings) == pytest.approx(1.0)
    assert learning_rate_at(109, settings) < 0.001
    constant = TrainSettings(steps=5, batch_size=1, learning_rate=2.0, schedule="constant")
    assert learning_rate_at(4, constant) == 2.0


def test_the_exponential_schedule_falls_at_every_step() -> None:
    settings = TrainSettings(steps=9, batch_size=1, schedule="exponential", lr_decay=0.96, decay_steps=32_000)
    for step in (0, 1, 16_000, 32_000, 1_500_000):
        assert learning_rate_at(step, settings) == pytest.approx(1e-3 * 0.96 ** (step / 32_000), rel=1e-12)
    assert learning_rate_at(32_000, settings) == pytest.approx(0.96e-3)


def test_the_steps_schedule_keeps_a_rate_up_to_and_with_its_boundary() -> None:
    settings = TrainSettings(steps=9, batch_size=1, schedule="steps", boundaries=(250, 500), rates=(7e-4, 4e-4))
    expected = {0: 1e-3, 250: 1e-3, 251: 7e-4, 500: 7e-4, 501: 4e-4, 10_000: 4e-4}
    assert {step: learning_rate_at(step, settings) for step in expected} == expected


def test_boundaries_may_be_counted_in_epochs() -> None:
    fields = {"batch_size": 1, "schedule": "steps", "boundaries": (3,), "boundaries_in": "epochs", "rates": (1e-4,)}
    settings = TrainSettings(epochs=9, steps_per_epoch=10, **fields)
    assert [learning_rate_at(step, settings) for step in (0, 29, 30, 89)] == [1e-3, 1e-3, 1e-4, 1e-4]
    with pytest.raises(ConfigError, match="steps_per_epoch: missing"):
        TrainSettings(steps=9, **fields).total_steps  # noqa: B018 (what is tested)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schedule": "exponential"}, "decay_steps is needed"),
        ({"optimizer": "sgd"}, "momentum is needed by the optimizer sgd, and by no other"),
        ({"momentum": 0.9}, "momentum is needed by the optimizer sgd, and by no other"),
        ({"decay_steps": 5}, "decay_steps is needed by the schedule exponential, and by no other"),
        ({"schedule": "steps"}, "boundaries and rates are needed"),
        ({"boundaries_in": "epochs"}, "boundaries_in is of the schedule steps alone"),
        ({"schedule": "steps", "boundaries": (5,)}, "boundaries and rates are needed"),
        ({"schedule": "steps", "boundaries": (5, 6), "rates": (1.0,)}, "2 boundaries, but 1 rates"),
        ({"schedule": "steps", "boundaries": (5, 5), "rates": (1.0, 0.5)}, "boundaries must rise"),
    ],
)
def test_schedules_ask_for_what_they_need(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainSettings(steps=9, batch_size=1, **fields)


def test_optimizers_are_those_of_the_settings() -> None:
    network = Toy().network
    adam = make_optimizer(network, TrainSettings(**BASE))
    assert isinstance(adam, torch.optim.Adam)
    assert adam.defaults["amsgrad"]
    assert not make_optimizer(network, TrainSettings(**BASE, optimizer="adam")).defaults["amsgrad"]
    adamw = make_optimizer(network, TrainSettings(**BASE, optimizer="adamw", weight_decay=0.1))
    assert isinstance(adamw, torch.optim.AdamW)
    assert [(len(g["params"]), g["weight_decay"]) for g in adamw.param_groups] == [(2, 0.1), (4, 0.0)]
    everything = make_optimizer(network, TrainSettings(**BASE, optimizer="adamw_all", weight_decay=0.1))
    assert isinstance(everything, torch.optim.AdamW)
    assert [(len(g["params"]), g["weight_decay"]) for g in everything.param_groups] == [(6, 0.1)]
    plain = make_optimizer(network, TrainSettings(**BASE, optimizer="sgd", momentum=0.9, weight_decay=0.1))
    assert isinstance(plain, torch.optim.SGD)
    assert [(len(g["params"]), g["momentum"], g["weight_decay"]) for g in plain.param_groups] == [(6, 0.9, 0.1)]


def test_adam_of_tensorflow_adds_epsilon_to_the_uncorrected_root() -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = TensorFlowAdam([weight], lr=0.1)
    w, m, v = weight.detach().numpy().copy(), np.zeros(2), np.zeros(2)
    rng = np.random.default_rng(0)
    for t in range(1, 6):
        gradient = rng.normal(size=2) * 1e-7  # so small that epsilon counts
        weight.grad = torch.from_numpy(gradient)
        optimizer.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        w -= 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)
        np.testing.assert_allclose(weight.detach().numpy(), w, rtol=1e-12)
    plain = torch.optim.Adam([nn.Parameter(torch.zeros(1, dtype=torch.float64))], lr=0.1)
    assert plain.defaults["betas"] == optimizer.defaults["betas"]


def test_the_first_update_is_adams(tmp_path: Path) -> None:
    class One:
        def __init__(self) -> None:
            self.network = nn.Linear(1, 1, bias=False)
            nn.init.constant_(self.network.weight, 3.0)

        def step_loss(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
            return {"loss": (self.network.weight**2).sum()}

    task = One()
    train(task, TrainSettings(steps=1, batch_size=1, learning_rate=0.25, schedule="constant"), tmp_path, quiet=True)
    assert task.network.weight.item() == pytest.approx(2.75)  # Adam's first step is the rate times the sign


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    for fields in ({"batch_size": 1}, {"batch_size": 1, "steps": 1, "epochs": 1}):
        with pytest.raises(ValidationError, match="either steps or epochs"):
            TrainSettings(**fields)
    for fields in ({"epochs": 2}, {"steps": 2}):
        with pytest.raises(ConfigError, match="steps_per_epoch: missing"):
            run(tmp_path / "run", settings={"batch_size": 1, **fields})
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        run(tmp_path / "run", settings={**BASE, "amp": "fp16"})
    assert not (tmp_path / "run").exists()


# Order of samples


def test_permutations_follow_from_seed_and_place_alone() -> None:
    order = Permutations(7, seed=3)
    row = order[0:21]
    for number in range(3):
        assert sorted(row[7 * number : 7 * number + 7]) == list(range(7))
    assert not np.array_equal(row[:7], row[7:14])
    np.testing.assert_array_equal(Permutations(7, seed=3)[5:16], row[5:16])  # begun anywhere
    np.testing.assert_array_equal(order[2:4], row[2:4])  # and gone back to
    assert not np.array_equal(Permutations(7, seed=4)[0:7], row[:7])
    assert len(order[4:4]) == 0


def test_chained_batches_run_across_the_ends_of_permutations() -> None:
    order = Permutations(10, seed=0)
    alone = [chained_batch(order, step, 4, Place(0, 1)) for step in range(6)]
    np.testing.assert_array_equal(np.concatenate(alone), order[0:24])
    pair = [chained_batch(order, step, 4, Place(rank, 2)) for step in range(3) for rank in range(2)]
    np.testing.assert_array_equal(np.concatenate(pair), order[0:24])


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_batches_of_an_epoch_hold_each_sample_once(processes: int) -> None:
    order, places = Permutations(10, seed=1), [Place(rank, processes) for rank in range(processes)]
    steps = epoch_steps(10, 2, places[0])
    assert steps == -(-10 // (2 * processes))
    for epoch in range(2):
        batches = [
            [epoch_batch(order, epoch * steps + number, 2, here).tolist() for here in places] for number in range(steps)
        ]
        assert all(1 <= len(batch) <= 2 for step in batches for batch in step)
        assert {sample for step in batches for batch in step for sample in batch} == set(range(10))
        if processes != 3:  # three have six, then four: one has nothing left and takes the epoch's first
            assert sum(len(batch) for step in batches for batch in step) == 10


def test_two_permutations_are_kept_at_the_most() -> None:
    order = Permutations(5, seed=0)
    assert len(order[0:50]) == 50
    assert len(order._drawn) <= 2


# Repeats and resume


def test_equal_seeds_give_equal_weights_whatever_the_caller_drew(tmp_path: Path) -> None:
    first, second, third = Toy(), Toy(), Toy()
    run(tmp_path / "a", first)
    torch.manual_seed(99)
    random.seed(99)
    before = (random.getstate(), torch.get_rng_state())
    run(tmp_path / "b", second)
    assert random.getstate() == before[0]  # and leaves the caller's random state alone
    assert torch.equal(torch.get_rng_state(), before[1])
    assert_equal_weights(first.network, second.network)
    run(tmp_path / "c", third, {**BASE, "seed": 1})
    assert not torch.equal(first.network[0].weight, third.network[0].weight)


@pytest.fixture(scope="module")
def other_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `main` makes."""
    folder = tmp_path_factory.mktemp("processes")
    command = [sys.executable, __file__, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("moment", ["step", "write"])
def test_a_killed_run_continues_to_bit_equal_weights_and_logs(
    tmp_path: Path, other_processes: Path, moment: str
) -> None:
    whole = Toy()
    expected = run(tmp_path / "whole", whole, FULL)
    killed = other_processes / moment
    assert len(rows(killed / "log.csv")) >= 3
    rest = Toy()
    result = run(killed, rest, FULL, resume=True)
    assert 0 < result.resumed_from < 30
    assert_equal_weights(whole.network, rest.network)
    assert (result.kept_step, result.losses, result.validation) == (
        expected.kept_step,
        expected.losses,
        expected.validation,
    )
    for name in ("log.csv", "validation.csv"):
        assert rows(killed / name) == rows(tmp_path / "whole" / name)


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,loss\n1,2\n5,")
    task, other = Toy(), Toy()
    assert run(tmp_path, task, resume=True).resumed_from == 0
    run(tmp_path / "other", other)
    assert_equal_weights(task.network, other.network)
    assert rows(tmp_path / "log.csv") == rows(tmp_path / "other" / "log.csv")


def test_a_finished_run_gives_its_weights_again(tmp_path: Path) -> None:
    first, again = Toy(), Toy()
    expected = run(tmp_path, first, FULL)
    result = run(tmp_path, again, FULL, resume=True)
    assert result.resumed_from == result.steps == 40
    assert result.kept_step == expected.kept_step
    assert_equal_weights(first.network, again.network)
    assert not again.network.training


def test_resume_with_other_settings_lists_the_differences(tmp_path: Path) -> None:
    run(tmp_path, recipe={"data": {"files": ["a.npz"]}})
    other = {**BASE, "learning_rate": 0.5, "seed": 3, "log_every": 1}
    with pytest.raises(ConfigError) as caught:
        run(tmp_path, settings=other, resume=True, recipe={"data": {"files": ["b.npz"]}})
    message = str(caught.value)
    assert "settings.learning_rate: 0.001 then, 0.5 now" in message
    assert "settings.seed: 0 then, 3 now" in message
    assert "recipe.data.files: ['a.npz'] then, ['b.npz'] now" in message
    assert "log_every" not in message


def test_resume_with_another_network_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    task = Toy()
    task.network[4] = nn.Linear(16, 2)
    with pytest.raises(CheckpointError, match="misshapen"):
        run(tmp_path, task, resume=True)


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: bytes | None) -> None:
    run(tmp_path)
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:500] if damage is None else damage)
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: cannot be read"):
        run(tmp_path, resume=True)
    torch.save({"format": "other"}, file)
    with pytest.raises(CheckpointError, match="not a training checkpoint of this version"):
        run(tmp_path, resume=True)


def test_a_folder_in_use_is_refused_unless_overwritten(tmp_path: Path) -> None:
    run(tmp_path / "run")
    (tmp_path / "run" / "mine.txt").write_text("kept")
    with pytest.raises(ConfigError, match="Continue with --resume"):
        run(tmp_path / "run")
    run(tmp_path / "run", settings={**BASE, "seed": 5}, overwrite=True)
    assert (tmp_path / "run" / "mine.txt").exists()
    assert [row["step"] for row in rows(tmp_path / "run" / "log.csv")] == ["1", "7", "14", "21", "28", "35", "40"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        run(tmp_path / "file")


# Faults, logs, averages


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"stopped at step 21: loss nan"):
        run(tmp_path, Toy(nan_at=20))
    assert rows(tmp_path / "log.csv")[-1]["step"] == "14"
    assert run(tmp_path, resume=True).resumed_from == 18


def test_the_log_begins_at_step_one_and_holds_means(tmp_path: Path) -> None:
    class Count:
        def __init__(self) -> None:
            self.network = nn.Linear(1, 1)

        def step_loss(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
            return {"loss": 0 * self.network.weight.sum() + step}

    result = train(Count(), TrainSettings(**{**BASE, "steps": 11, "log_every": 5}), tmp_path, quiet=True)
    found = [(row["step"], float(row["loss"])) for row in rows(tmp_path / "log.csv")]
    assert found == [("1", 0.0), ("5", 2.5), ("10", 7.0), ("11", 10.0)]
    assert result.losses["loss"] == 10
    assert not (tmp_path / "validation.csv").exists()


def test_the_average_is_that_of_the_weights(tmp_path: Path) -> None:
    class Slide:
        """A loss that moves the weight by the rate at each step."""

        def __init__(self) -> None:
            self.network = nn.Linear(1, 1, bias=False)
            nn.init.zeros_(self.network.weight)

        def step_loss(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
            return {"loss": -self.network.weight.sum()}

    task = Slide()
    settings = TrainSettings(steps=30, batch_size=1, learning_rate=1.0, schedule="constant", ema_decay=0.5)
    train(task, settings, tmp_path, quiet=True)
    expected = 0.0
    for step in range(30):
        expected += (1 - min(0.5, (1 + step) / (10 + step))) * (step + 1 - expected)
    assert task.network.weight.item() == pytest.approx(expected, rel=1e-4)
    assert average_weight(0, 0.999) == pytest.approx(0.1)


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    class Drift:
        """The weight moves from 0 upwards; the best of it is 10."""

        def __init__(self) -> None:
            self.network = nn.Linear(1, 1, bias=False)
            nn.init.zeros_(self.network.weight)

        def step_loss(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
            return {"loss": -self.network.weight.sum()}

        def validate(self) -> dict[str, float]:
            return {"other": 0.0, "distance": abs(self.network.weight.item() - 10)}

    task = Drift()
    settings = TrainSettings(
        steps=20,
        batch_size=1,
        learning_rate=1.0,
        schedule="constant",
        keep="best",
        best_by="distance",
        validate_every=1,
    )
    result = train(task, settings, tmp_path, quiet=True)
    assert result.kept_step == 10
    assert task.network.weight.item() == pytest.approx(10, rel=1e-3)
    assert last_weights(tmp_path)["weight"].item() == pytest.approx(20, rel=1e-3)
    with pytest.raises(ConfigError, match=r"best_by: speed is not among .*\(other, distance\)"):
        train(Drift(), settings.model_copy(update={"best_by": "speed"}), tmp_path / "b", quiet=True)


def test_bfloat16_and_deterministic_runs_learn_and_leave_torch_as_it_was(tmp_path: Path) -> None:
    result = run(tmp_path, settings={**BASE, "amp": "bf16", "deterministic": True, "learning_rate": 0.02})
    losses = [float(row["loss"]) for row in rows(tmp_path / "log.csv")]
    assert losses[-1] < 0.7 * losses[0]
    assert result.steps == 40
    assert not torch.are_deterministic_algorithms_enabled()


def test_tensorboard_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"poseworks-core\[tensorboard\]"):
        run(tmp_path / "run", settings={**BASE, "tensorboard": True})
    assert not (tmp_path / "run").exists()


def test_tensorboard_gets_the_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run(tmp_path, settings={**BASE, "tensorboard": True})
    assert list(tmp_path.glob("events.out.tfevents*"))


def test_seeds_differ_by_process_and_step_and_reach_every_generator() -> None:
    assert len({derived_seed(seed, rank, step) for seed in range(3) for rank in range(3) for step in range(9)}) == 81
    generator = torch.Generator()
    draws = []
    for _ in range(2):
        seed_everything(generator, 1, 2, 3)
        drawn = torch.rand(1, generator=generator).item(), torch.rand(1).item(), random.random()
        draws.append((*drawn, float(np.random.random())))  # noqa: NPY002 (what is tested)
    assert draws[0] == draws[1]
    assert len(set(draws[0])) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_average_the_gradients_of_their_own_samples(tmp_path: Path, other_processes: Path) -> None:
    first, second = (torch.load(other_processes / f"pair-{rank}.pt", weights_only=True) for rank in range(2))
    both = Pair(shards=2)
    train(both, TrainSettings(**BASE), tmp_path / "alone", quiet=True)
    for name, x in both.network.state_dict().items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], x, rtol=1e-4, atol=1e-5)
    pair_log = rows(other_processes / "pair" / "log.csv")
    assert [row["step"] for row in pair_log] == ["1", "7", "14", "21", "28", "35", "40"]
    ours, theirs = (log[-1]["loss"] for log in (pair_log, rows(tmp_path / "alone" / "log.csv")))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-3)


class Pair:
    """A task without dropout; alone, it takes the samples of `shards` processes in one step."""

    def __init__(self, shards: int = 1) -> None:
        self.network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        for i, x in enumerate(self.network.parameters()):
            nn.init.constant_(x, 0.1 * (i + 1))
        self.shards = shards

    def step_loss(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        losses = []
        for rank in range(self.shards):
            if self.shards > 1:
                generator.manual_seed(derived_seed(0, rank, step))
            x = torch.randn(8, 4, generator=generator)
            losses.append(((self.network(x) - x.sum(1, keepdim=True)) ** 2).mean())
        return {"loss": torch.stack(losses).mean()}


def train_to_death(folder: Path, moment: str) -> None:
    """Dies at step 27, or half-way through writing the fourth checkpoint."""
    if moment == "step":
        run(folder / moment, Toy(kill_at=27), FULL)
    save, calls = torch.save, []

    def die_writing(content: Any, path: Any) -> None:
        calls.append(path)
        save(content, path)
        if len(calls) == 4:
            Path(path).write_bytes(Path(path).read_bytes()[:700])
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = die_writing
    run(folder / moment, Toy(), FULL)


def train_as_one_of_two(folder: Path, rank: int, port: int) -> None:
    """What torchrun starts: processes that find their number in the environment."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    task = Pair()
    train(task, TrainSettings(**BASE), folder / "pair", quiet=True)
    torch.save(task.network.state_dict(), folder / f"pair-{rank}.pt")


def fork(function: Callable[..., None], *arguments: Any) -> int:
    """Process id of a child that runs the function and ends."""
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return child


def main(folder: Path) -> None:
    make_optimizer(Toy().network, TrainSettings(**BASE))  # torch imports most of itself here
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pair = [fork(train_as_one_of_two, folder, rank, port) for rank in range(2)]
    statuses = [os.waitpid(child, 0)[1] for child in pair]
    assert statuses == [0, 0], statuses
    for moment in ("step", "write"):
        _, status = os.waitpid(fork(train_to_death, folder, moment), 0)
        assert os.WIFSIGNALED(status), moment
        assert os.WTERMSIG(status) == signal.SIGKILL


if __name__ == "__main__":
    main(Path(sys.argv[1]))
