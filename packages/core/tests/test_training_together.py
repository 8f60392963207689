"""An adversary in the loop, what a task keeps beside its network, and batch norms over several processes.

Run as a script it is two processes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from poseworks.core.errors import CheckpointError, DataError
from poseworks.core.training import Adversary, SharedBatchNorm, TrainSettings, share_batch_norms, train
from poseworks.core.training.random import derived_seed

SETTINGS: dict[str, Any] = {
    "steps": 12, "batch_size": 8, "optimizer": "sgd", "momentum": 0.5, "learning_rate": 0.02, "schedule": "constant",
    "checkpoint_every": 5, "log_every": 1,
}  # fmt: skip


class Duel:
    """Learns to put samples where an adversary takes them for real; counts its steps beside."""

    def __init__(self, shards: int = 1, stop_at: int | None = None, hidden: int = 4) -> None:
        self.network = nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 2))
        judge = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        for network in (self.network, judge):
            for number, weight in enumerate(network.parameters()):
                with torch.no_grad():
                    weight.copy_(torch.linspace(-0.5, 0.7, weight.numel()).reshape(weight.shape) + 0.05 * number)
        self.adversary = Adversary(judge, 1e-2)
        self.shards, self.stop_at, self.seen = shards, stop_at, 0

    def step_loss(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        if step == self.stop_at:
            raise KeyboardInterrupt
        self.seen += 1
        noise = []
        for rank in range(self.shards):
            if self.shards > 1:
                generator.manual_seed(derived_seed(0, rank, step))
            noise.append(torch.randn(8, 2, generator=generator))
        x = torch.cat(noise)
        fake = self.network(x)
        judge = self.adversary.network
        told_apart = (judge(3 + 0.1 * x) - 1).square().mean() + judge(fake.detach()).square().mean()
        self.adversary.update(told_apart)
        with self.adversary.frozen():
            loss = (judge(fake) - 1).square().mean()
        return {"loss": loss, "adversary": told_apart.detach()}

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.seen = state["seen"]


def run(task: Duel, folder: Path, **options: Any) -> None:
    changed = {name: options.pop(name) for name in list(options) if name in TrainSettings.model_fields}
    train(task, TrainSettings(**{**SETTINGS, **changed}), folder, quiet=True, **options)


def tensors(task: Duel) -> dict[str, Tensor]:
    judge = {f"judge.{name}": x for name, x in task.adversary.network.state_dict().items()}
    return {**task.network.state_dict(), **judge}


def test_an_adversary_and_the_state_of_a_task_are_continued_exactly(tmp_path: Path) -> None:
    whole, first, rest = Duel(), Duel(stop_at=8), Duel()
    run(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(first, tmp_path / "killed")
    run(rest, tmp_path / "killed", resume=True)
    assert rest.seen == whole.seen == 12
    for name, x in tensors(whole).items():
        assert torch.equal(x, tensors(rest)[name]), name
    assert not torch.equal(tensors(whole)["judge.0.weight"], tensors(Duel())["judge.0.weight"])


def test_a_judge_takes_no_gradient() -> None:
    duel = Duel()
    with duel.adversary.frozen() as judge:
        judge(duel.network(torch.randn(4, 2))).sum().backward()
    assert all(weight.grad is None for weight in duel.adversary.weights)
    assert all(weight.grad is not None for weight in duel.network.parameters())


def test_another_adversary_is_not_continued(tmp_path: Path) -> None:
    run(Duel(), tmp_path)
    with pytest.raises(CheckpointError, match=r"checkpoint.pt \(adversary\)"):
        run(Duel(hidden=5), tmp_path, resume=True)


def test_a_loss_of_the_adversary_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    duel = Duel()
    with torch.no_grad():
        duel.adversary.weights[0].fill_(float("nan"))
    with pytest.raises(DataError, match=r"step 1: .*adversary nan"):
        run(duel, tmp_path)


def test_alone_a_shared_batch_norm_is_a_batch_norm() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5, momentum=0.3), nn.Sequential(nn.BatchNorm2d(5)))
    x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    kept = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    expected = plain(x)
    after = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    plain.load_state_dict(kept)
    shared = share_batch_norms(plain)
    assert [type(layer) for layer in shared.modules()].count(SharedBatchNorm) == 2
    assert torch.equal(shared(x), expected)
    assert {name: x.tolist() for name, x in shared.state_dict().items()} == {k: v.tolist() for k, v in after.items()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_with_shared_batch_norms_are_one_with_twice_the_samples(tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    alone = Duel(shards=2)
    run(alone, tmp_path / "alone")
    for name, x in tensors(alone).items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], x, rtol=1e-4, atol=1e-5)


def train_as_one_of_two(folder: Path, rank: int, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    task = Duel()
    run(task, folder / "pair", sync_batch_norm=True)
    torch.save(tensors(task), folder / f"{rank}.pt")


def main(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            try:
                train_as_one_of_two(folder, rank, port)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
