"""The verb `smooth`: from files to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseworks.core import PoseSequence
from poseworks.core.cli import choose_device, make_table
from poseworks.core.errors import ConfigError
from poseworks.core.poses_command import Job, Paths, run_job
from poseworks.core.read_options import ReadOptions
from poseworks.temporal.filters import Filter
from poseworks.temporal.harm import HarmReport
from poseworks.temporal.smoothing import Smoothed, SmoothSettings, smooth

if TYPE_CHECKING:
    from rich.table import Table

    from poseworks.core.report import Report
    from poseworks.core.windows import WindowNetwork

DEFAULT_MODEL = "smoothnet-general-w32"
STREAMING_MODELS = (
    (8, DEFAULT_MODEL),
    (4, "smoothnet-stream-k4"),
    (1, "smoothnet-stream-k1"),
    (0, "smoothnet-stream-k0"),
)
"""Which weights a latency of at least so many frames gets."""


_SIDE_BY_SIDE = 4


@dataclass(frozen=True)
class ModelChoice:
    """What the command line says about the smoother: a model or a filter, options of `load`, the device."""

    model: str | None
    filter: str | None
    options: Mapping[str, Any]
    device: str = "cpu"

    def name(self, latency_frames: int | None) -> str:
        """The model's name or path."""
        if self.model is not None:
            return self.model
        if latency_frames is None:
            return DEFAULT_MODEL
        return next(name for least, name in STREAMING_MODELS if latency_frames >= least)

    def network(self, latency_frames: int | None) -> WindowNetwork | None:
        """The network on its device, or None where a filter was asked for.

        Raises:
            ConfigError: both a filter and something about a model; CheckpointError: the model cannot be read.
        """
        if self.filter is not None:
            given = ["--model"] * (self.model is not None) + [f"--{name.replace('_', '-')}" for name in self.options]
            if given:
                raise ConfigError(f"--filter: takes the place of a model; drop {', '.join(given)}, or drop --filter.")
            return None
        from poseworks.temporal.loading import load

        network = load(self.name(latency_frames), **self.options)
        return network.to(choose_device(self.device))


def run_smooth(
    paths: Paths,
    choice: ModelChoice,
    settings: SmoothSettings,
    reading: ReadOptions,
    *,
    json: bool,
    quiet: bool,
) -> None:
    """Reads, smooths, writes and prints; nothing is written when anything is at fault.

    Raises:
        PoseworksError: an input, an option or an output is at fault.
    """
    network = choice.network(settings.latency_frames)
    job = Job(
        verb="smooth",
        make=lambda poses, advance: _smooth(poses, network, choice, settings, advance),
        page=_page,
        facts=lambda smoothed: {"harm": smoothed.harm},
        text=lambda smoothed: [_table(smoothed.harm)],
    )
    run_job(job, paths, reading, json=json, quiet=quiet)


def _smooth(
    poses: PoseSequence, network: WindowNetwork | None, choice: ModelChoice, settings: SmoothSettings, advance: Any
) -> Smoothed:
    """One sequence."""
    if network is None:
        from poseworks.temporal.filter_options import parse_filter

        smoother: Filter = parse_filter(choice.filter or "", poses.fps)
        return smooth(poses, smoother, settings, advance=advance)
    name = choice.name(settings.latency_frames)
    digest = getattr(network, "sha256", None)
    return smooth(poses, network, settings, model=name, model_sha256=digest, advance=advance)


def _page(path: Path, poses: PoseSequence, smoothed: Smoothed, video: Path | None) -> Report:
    """The report of one input."""
    from poseworks.temporal.report import smoothing_report

    title = f"{(video or path).name}, smoothed"
    return smoothing_report(poses, smoothed.poses, smoothed.harm, title=title, notes=smoothed.notes, video=video)


def _table(harm: HarmReport) -> Table:
    """A row a person; few people stand side by side, so that it fits a terminal."""
    columns, rows = harm.columns(), harm.rows()
    if len(rows) > _SIDE_BY_SIDE:
        return make_table("", columns, rows)
    names = [f"person {row[0]}" for row in rows]
    shown = [
        ["-" if cell is None else cell if isinstance(cell, str) else f"{cell:.4g}" for cell in row] for row in rows
    ]
    return make_table("", ("measure", *names), list(zip(columns[1:], *(row[1:] for row in shown), strict=True)))
