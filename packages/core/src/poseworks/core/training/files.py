"""The folder of a training run: settings, checkpoint and logs, written so that a kill at any moment does no harm."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.files import atomic_path

FORMAT = "poseworks.training/1"
OWN_FILES = ("settings.json", "log.csv", "validation.csv", "checkpoint.pt")
FREE_SETTINGS = {
    "log_every",
    "checkpoint_every",
    "tensorboard",
}  # these may differ on resume: no weight depends on them


@dataclass
class TrainState:
    """All that a run needs to go on exactly; random states follow from the step."""

    step: int = 0
    seconds: float = 0.0
    threads: int = 1
    network: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)
    adversary: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_value: float = math.inf
    best_step: int = 0
    validation: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, values: Mapping[str, float]) -> None:
        """Takes the values of one step into the means since the last line of the log."""
        self.last = dict(values)
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def take_means(self) -> dict[str, float]:
        """Means since the last call."""
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means


class RunFolder:
    """Reads and writes the files of one run; only the first process prepares and writes."""

    def __init__(self, folder: Path, settings: dict[str, Any], recipe: dict[str, Any], processes: int) -> None:
        self.folder = folder
        self.meaning = json.loads(json.dumps({"settings": settings, "recipe": recipe, "processes": processes}))
        self._logs: dict[str, _CsvLog] = {}
        self._board: Any = None

    @property
    def checkpoint(self) -> Path:
        """The file that a resumed run starts from."""
        return self.folder / "checkpoint.pt"

    def prepare(self, *, resume: bool, overwrite: bool) -> None:
        """Makes the folder fit to be written to.

        Raises:
            ConfigError: it holds something, and neither `resume` nor `overwrite` is set.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder}: is a file. Name a folder for the training run.")
        held = list(self.folder.iterdir()) if self.folder.exists() else []
        if held and not resume:
            if not overwrite:
                hint = "Continue with --resume, " if self.checkpoint.exists() else ""
                raise ConfigError(f"{self.folder}: not empty. {hint}replace the run with --overwrite, or name another.")
            for path in held:
                if path.name in OWN_FILES or path.name.startswith("events.out.tfevents"):
                    path.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.checkpoint.exists():
            for name in ("log", "validation"):  # of a run that was killed before its first checkpoint
                (self.folder / f"{name}.csv").unlink(missing_ok=True)
            with atomic_path(self.folder / "settings.json") as path:
                path.write_text(json.dumps(self.meaning, indent=2) + "\n", encoding="utf-8")

    def read(self) -> TrainState | None:
        """The checkpoint, or None where none was written yet.

        Raises:
            CheckpointError: it cannot be read.
            ConfigError: it was made with other settings; lists each difference.
        """
        if not self.checkpoint.exists():
            return None
        saved = _read(self.checkpoint)
        differences = list(_differences(saved["meaning"], self.meaning))
        if differences:
            raise ConfigError(
                f"{self.folder}: was begun with other settings: {'; '.join(differences)}. "
                "Resume with the old ones, or start anew in another folder."
            )
        return TrainState(**saved["state"])

    def write(self, state: TrainState) -> None:
        """Writes the checkpoint in place of the one before."""
        entries = {entry.name: getattr(state, entry.name) for entry in fields(state)}
        with atomic_path(self.checkpoint) as path:
            torch.save({"format": FORMAT, "meaning": self.meaning, "state": entries}, path)

    @contextmanager
    def logs(self, step: int, tensorboard: bool) -> Iterator[None]:
        """Opens the logs, cut back to `step`, for `log`."""
        self._logs = {name: _CsvLog(self.folder / f"{name}.csv", step) for name in ("log", "validation")}
        self._board = summary_writer()(str(self.folder), purge_step=step + 1) if tensorboard else None
        try:
            yield
        finally:
            if self._board is not None:
                self._board.close()

    def log(self, name: str, step: int, values: Mapping[str, float]) -> None:
        """Adds a line to ``name.csv`` and to TensorBoard; nothing outside of `logs`, or without values."""
        if name not in self._logs or not values:
            return
        self._logs[name].add({"step": step, **values})
        if self._board is not None:
            for entry, value in values.items():
                self._board.add_scalar(f"{name}/{entry}", value, step)
            self._board.flush()


def last_weights(folder: Path) -> dict[str, Tensor]:
    """The weights after the last step of the run in `folder`, whichever it keeps, by their names in the task's network.

    Raises:
        CheckpointError: the checkpoint cannot be read.
    """
    weights: dict[str, Tensor] = _read(folder / "checkpoint.pt")["state"]["network"]
    return weights


def _read(checkpoint: Path) -> dict[str, Any]:
    """The content of a checkpoint.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what its parsers raise: a dozen kinds
        raise CheckpointError(f"{checkpoint}: cannot be read. Start again with --overwrite.") from error
    names = {entry.name for entry in fields(TrainState)}
    if not isinstance(saved, dict) or saved.get("format") != FORMAT or set(saved.get("state", {})) != names:
        raise CheckpointError(f"{checkpoint}: not a training checkpoint of this version ({FORMAT}).")
    return saved


class _CsvLog:
    """A CSV file with one line a call, on disk at once; opened, it forgets lines later than `step`."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.columns: list[str] = []
        if not path.exists():
            return
        with path.open(newline="", encoding="utf-8", errors="replace") as stream:
            rows = list(csv.reader(stream))
        self.columns = rows[0] if rows else []
        kept = [row for row in rows[1:] if len(row) == len(self.columns) and row[0].isdigit() and int(row[0]) <= step]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *kept] if self.columns else [])
        with atomic_path(path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")

    def add(self, values: Mapping[str, float]) -> None:
        new = not self.columns
        if new:
            self.columns = list(values)
        unknown = sorted(set(values) - set(self.columns))
        if unknown:
            raise ConfigError(
                f"{self.path}: no column for {', '.join(unknown)}. A task gives the same names each time."
            )
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self.columns, lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow({name: f"{v:.8g}" if isinstance(v, float) else v for name, v in values.items()})


def summary_writer() -> Any:
    """TensorBoard's writer class.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "training.tensorboard: the package tensorboard is missing. Install poseworks-core[tensorboard], or set it "
            "to false: log.csv holds the same."
        ) from error
    return SummaryWriter


def _differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Phrases such as ``settings.seed: 1 then, 2 now`` for all leaves that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if name != "settings" or key not in FREE_SETTINGS:
                yield from _differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif old != new:
        yield f"{name}: {old!r} then, {new!r} now"
