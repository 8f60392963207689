"""The seeded training loop of every method: mixed precision, several processes, logs, exact resume.

Every random number of step n follows from (seed, process, n): the generator that the task is given and the global
ones of python, NumPy and torch (dropout) are seeded anew before each step. A run that was killed at any moment
therefore goes on from its last checkpoint to bit-equal weights on the same machine.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from poseworks.core.checkpoints import load_strict
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.progress import progress as progress_bar
from poseworks.core.training.adversary import Adversary
from poseworks.core.training.batch_norm import share_batch_norms
from poseworks.core.training.files import RunFolder, TrainState, summary_writer
from poseworks.core.training.optimizers import make_optimizer
from poseworks.core.training.processes import Processes, processes
from poseworks.core.training.random import deterministic_torch, kept_random_state, seed_everything
from poseworks.core.training.settings import TrainSettings, average_weight, learning_rate_at


class Task(Protocol):
    """What `train` needs from a method. There may be as well:

    - ``validate() -> dict[str, float]``: values of the network in eval mode;
    - ``adversary``: an `Adversary` that `step_loss` updates;
    - ``state() -> dict`` and ``restore(state)``: what else a run needs to go on exactly, as tensors, numbers and text;
      the same in all processes, of which the first one's is saved.
    """

    @property
    def network(self) -> nn.Module:
        """What is trained: all its weights that ask for a gradient."""
        ...

    def step_loss(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The scalar ``loss`` of a fresh batch and its parts by name; all randomness from `generator` (on the CPU)."""
        ...


@dataclass(frozen=True)
class TrainResult:
    """What a run came to; the task's network holds the kept weights, in eval mode."""

    steps: int
    kept_step: int
    losses: dict[str, float]
    validation: dict[str, float]
    resumed_from: int
    seconds: float
    folder: Path


def train(
    task: Task,
    settings: TrainSettings,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    recipe: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    quiet: bool = False,
) -> TrainResult:
    """Trains `task.network` in place and says how it went; under ``torchrun`` with all its processes.

    `folder` gets ``settings.json``, ``log.csv`` (from the first step), ``validation.csv`` and ``checkpoint.pt``. With
    `resume` the run in it goes on. `recipe` is whatever else defines the run (data, network) as JSON: like the
    settings, it must be the same on resume.

    Raises:
        ConfigError: the folder is in use, the settings differ on resume (all differences are listed), or something
            is asked for that is not here.
        DataError: a loss or a gradient is not finite; names the step.
        CheckpointError: the checkpoint in the folder cannot be read.
    """
    settings.total_steps  # noqa: B018 (raises before anything is written)
    with ExitStack() as stack:
        team = stack.enter_context(processes(device))
        stack.enter_context(kept_random_state())
        stack.enter_context(deterministic_torch(settings.deterministic))
        _check_amp(settings, team.device)
        run = _Run(task, settings, team)
        files = RunFolder(Path(folder), settings.model_dump(mode="json"), dict(recipe or {}), team.size)
        if team.rank == 0:
            if settings.tensorboard:
                summary_writer()  # raises before anything is written
            files.prepare(resume=resume, overwrite=overwrite)
        team.wait()
        saved = files.read() if resume else None
        if saved is not None:
            run.restore(saved)
        run.share()
        if team.rank == 0:
            stack.enter_context(files.logs(run.state.step, settings.tensorboard))
        return run.finish(_loop(run, files, quiet or team.rank > 0), files.folder)


def _check_amp(settings: TrainSettings, device: torch.device) -> None:
    if settings.amp == "fp16" and device.type == "cpu":
        raise ConfigError("training.amp: fp16 needs a GPU; on a CPU use bf16 or off.")


def _loop(run: _Run, files: RunFolder, quiet: bool) -> int:
    """Trains to the last step; returns the step at which it began."""
    settings, state = run.settings, run.state
    begun, total = state.step, settings.total_steps
    started = time.monotonic() - state.seconds
    with progress_bar(total, "training", quiet=quiet, delay_s=0.5) as advance:
        advance(begun)
        while state.step < total:
            values = run.step()
            state.seconds = time.monotonic() - started
            advance(1, f"loss {values['loss']:.4g}")
            last = state.step == total
            if state.step == 1 or state.step % settings.log_every == 0 or last:
                files.log("log", state.step, {**state.take_means(), "seconds": round(state.seconds, 2)})
            if last or (settings.validate_every and state.step % settings.validate_every == 0):
                files.log("validation", state.step, run.validate())
            if last or state.step % settings.checkpoint_every == 0:
                run.collect()
                if run.team.rank == 0:
                    files.write(state)
    run.team.wait()
    return begun


class _Run:
    """A network, its optimizer and what must be saved to go on."""

    def __init__(self, task: Task, settings: TrainSettings, team: Processes) -> None:
        self.task, self.settings, self.team = task, settings, team
        if settings.sync_batch_norm and team.size > 1:
            share_batch_norms(task.network)
        self.network = task.network.to(team.device)
        self.adversary: Adversary | None = getattr(task, "adversary", None)
        if self.adversary is not None:
            self.adversary.join(team)
        self.weights = [p for p in self.network.parameters() if p.requires_grad]
        if not self.weights:
            raise ConfigError("the network has no weights that ask for a gradient: nothing to train.")
        self.optimizer = make_optimizer(self.network, settings)
        self.scaler = torch.amp.GradScaler(team.device.type, enabled=settings.amp == "fp16")
        self.generator = torch.Generator()
        self.state = TrainState()
        self.average = _copy(self.network) if settings.ema_decay is not None else None

    def share(self) -> None:
        """Gives every process the weights of the first."""
        self.team.share_weights(self.network)
        if self.adversary is not None:
            self.adversary.share()

    def restore(self, state: TrainState) -> None:
        """Goes back to a checkpoint."""
        self.state = state
        load_strict(self.network, state.network, source="checkpoint.pt")
        self.optimizer.load_state_dict(state.optimizer)
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state.scaler)
        if self.average is not None:
            self.average = {name: x.to(self.team.device) for name, x in state.average.items()}
        if self.adversary is not None:
            self.adversary.restore(state.adversary)
        restore = getattr(self.task, "restore", None)
        if restore is not None:
            restore(state.task)
        torch.set_num_threads(state.threads)  # sums are cut by thread: another number, other last bits

    def collect(self) -> None:
        """Brings what is to be saved into the state."""
        self.state.network = self.network.state_dict()
        self.state.optimizer = self.optimizer.state_dict()
        self.state.scaler = self.scaler.state_dict()
        self.state.average = self.average or {}
        self.state.adversary = {} if self.adversary is None else self.adversary.state()
        self.state.task = getattr(self.task, "state", dict)()
        self.state.threads = torch.get_num_threads()

    def step(self) -> dict[str, float]:
        """One update; returns the loss, its parts and the norm of the gradient, means over the processes."""
        settings, step = self.settings, self.state.step
        rate = learning_rate_at(step, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        seed_everything(self.generator, settings.seed, self.team.rank, step)
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        dtype = torch.float16 if settings.amp == "fp16" else torch.bfloat16
        with torch.autocast(self.team.device.type, dtype=dtype, enabled=settings.amp != "off"):
            losses = self.task.step_loss(step, self.generator)
        if "loss" not in losses:
            raise ConfigError(f"step_loss gave {', '.join(losses) or 'nothing'}; expected an entry named loss.")
        self.scaler.scale(losses["loss"]).backward()  # type: ignore[no-untyped-call]
        self.team.average_gradients(self.weights)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.weights, settings.clip_norm or math.inf)
        parts = torch.stack([x.detach().float().reshape(()) for x in (*losses.values(), norm)])
        values = dict(zip((*losses, "gradient_norm"), self.team.mean(parts).tolist(), strict=True))
        self._refuse_not_finite(values)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.team.share_buffers(self.network)
        self._move_average()
        self.state.step += 1
        self.state.add({"learning_rate": rate, **values})
        return values

    def _refuse_not_finite(self, values: dict[str, float]) -> None:
        """An error that names the step; only the scaler may meet gradients that are not finite, and skips them."""
        wrong = [f"{name} {value}" for name, value in values.items() if not math.isfinite(value)]
        if self.scaler.is_enabled():
            wrong = [entry for entry in wrong if not entry.startswith("gradient_norm ")]
        if wrong:
            raise DataError(
                f"training stopped at step {self.state.step + 1}: {', '.join(wrong)}. Look for NaN in the data, lower "
                "learning_rate, or set clip_norm. The last checkpoint is unharmed."
            )

    @torch.no_grad()
    def _move_average(self) -> None:
        if self.average is None or self.settings.ema_decay is None:
            return
        keep = average_weight(self.state.step, self.settings.ema_decay)
        for name, x in self.network.state_dict().items():
            if x.is_floating_point():
                self.average[name].lerp_(x, 1 - keep)
            else:
                self.average[name].copy_(x)

    def validate(self) -> dict[str, float]:
        """Validation values of the averaged weights where there are such, else of the network's own."""
        method = getattr(self.task, "validate", None)
        values: dict[str, float] = {}
        if method is not None and self.team.rank == 0:
            seed_everything(self.generator, self.settings.seed, self.team.rank, self.state.step, 1)
            with _weights_in(self.network, self.average), torch.no_grad():
                values = {name: float(value) for name, value in method().items()}
        values = self.team.from_first(values)
        self.state.validation = values
        if self.settings.keep == "best":
            self._keep_if_best(values)
        return values

    def _keep_if_best(self, values: dict[str, float]) -> None:
        name = self.settings.best_by or next(iter(values), None)
        if name is None or name not in values:
            known = ", ".join(values) or "nothing"
            raise ConfigError(f"training.best_by: {name} is not among the validation values ({known}).")
        if values[name] < self.state.best_value:  # false for NaN
            self.state.best_value, self.state.best_step = values[name], self.state.step
            self.state.best = (self.average and _clone(self.average)) or _copy(self.network)

    def finish(self, begun: int, folder: Path) -> TrainResult:
        """Puts the kept weights into the network and reports."""
        state, kept = self.state, self.state.step
        if self.settings.keep == "best" and state.best:
            self.network.load_state_dict(state.best)
            kept = state.best_step
        elif self.average is not None:
            self.network.load_state_dict(self.average)
        self.network.eval()
        return TrainResult(state.step, kept, state.last, state.validation, begun, state.seconds, folder)


def _clone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: x.detach().clone() for name, x in tensors.items()}


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return _clone(network.state_dict())


@contextmanager
def _weights_in(network: nn.Module, weights: Mapping[str, Tensor] | None) -> Iterator[None]:
    """The network in eval mode with other weights for a while."""
    own = _copy(network) if weights is not None else None
    if weights is not None:
        network.load_state_dict(weights)
    network.eval()
    try:
        yield
    finally:
        if own is not None:
            network.load_state_dict(own)
        network.train()
