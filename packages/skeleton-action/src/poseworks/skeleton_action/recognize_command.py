"""The verb `recognize`: from files of poses to answers, timelines, figures and pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseworks.core.cli import choose_device, make_table
from poseworks.core.poses import PoseSequence
from poseworks.core.poses_command import Job, Paths, run_job
from poseworks.core.read_options import ReadOptions
from poseworks.core.report import Figure, Report, ReportTrack
from poseworks.skeleton_action.recognition import Recognized, recognize
from poseworks.skeleton_action.recognize_options import RecognizeOptions
from poseworks.skeleton_action.report import SEGMENT_COLUMNS, report_timeline, segment_rows, segment_table
from poseworks.skeleton_action.settings import DEFAULT_MODEL, RecognizeSettings
from poseworks.skeleton_action.timeline import NOT_SCORED, UNKNOWN, timelines_as_tree, write_timelines
from poseworks.skeleton_action.timeline_plot import plot_timelines

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelChoice:
    """What the command line says about the network: a model, options of `load`, the device."""

    model: str | None
    options: Mapping[str, Any]
    device: str = "cpu"

    @property
    def name(self) -> str:
        """The model's name or path; without one the shipped weights."""
        return self.model or DEFAULT_MODEL

    def network(self) -> nn.Module:
        """The network on its device.

        Raises:
            CheckpointError: the model cannot be read.
        """
        from poseworks.skeleton_action.loading import load

        return load(self.name, **self.options).to(choose_device(self.device))


def run_recognize(
    paths: Paths, choice: ModelChoice, options: RecognizeOptions, reading: ReadOptions, *, json: bool, quiet: bool
) -> None:
    """Reads, recognises, writes and prints; nothing is written when anything is at fault.

    Raises:
        PoseworksError: an input, an option or an output is at fault.
    """
    settings = options.settings()
    network = choice.network()

    def make(poses: PoseSequence, advance: Callable[[float], None]) -> Recognized:
        return recognize(poses, network, settings, model=choice.name, advance=advance)

    job = Job(
        verb="recognize",
        make=make,
        page=_page,
        facts=lambda made: {**_looked(settings), **timelines_as_tree(made.timelines)},
        text=lambda made: [_sentence(settings), make_table("", SEGMENT_COLUMNS, segment_rows(made.timelines))],
        write=_write,
        plot=lambda path, made: plot_timelines(made.timelines, f"{path.name}: what was recognised"),
    )
    run_job(job, paths, reading, json=json, quiet=quiet)


def _write(made: Recognized, path: Path, overwrite: bool) -> None:
    write_timelines(made.timelines, path, history=made.poses.history, overwrite=overwrite)


def _looked(settings: RecognizeSettings) -> dict[str, Any]:
    """How the answers came about, for the JSON object."""
    return {
        "preset": settings.preset,
        "views": settings.views.count,
        "window_s": settings.window_s,
        "stride_s": settings.stride_s,
    }


def _sentence(settings: RecognizeSettings) -> str:
    """How the answers came about, for people."""
    views = settings.views
    count = f"{views.clips} clip{'s' if views.clips > 1 else ''}{' and the mirror images' if views.mirror else ''}"
    where = "of the recording" if settings.window_s is None else f"of each window of {settings.window_s:g} s"
    other = "accurate" if settings.preset == "fast" else "fast"
    return f"preset {settings.preset}: {count} {where} (--preset {other} for the other)"


def _page(path: Path, poses: PoseSequence, made: Recognized, video: Path | None) -> Report:
    """The report of one input: what was drawn over the video, the timeline under it."""
    segments = [segment for timeline in made.timelines for segment in timeline.segments]
    found = [segment.label for segment in segments if segment.label not in (UNKNOWN, NOT_SCORED)]
    windows = sum(timeline.num_windows for timeline in made.timelines)
    scored = sum(int(timeline.scored.sum()) for timeline in made.timelines)
    settings = made.poses.history[-1]["settings"]
    return Report(
        title=f"{(video or path).name}, recognised",
        tracks=(ReportTrack("Keypoints", made.keypoints),),
        video=video,
        subtitle=f"What people do{', over ' + video.name if video else ''}",
        summary=(
            Figure("Actions found", str(len(set(found))), ", ".join(dict.fromkeys(found))),
            Figure("Windows scored", str(scored), f"of {windows}"),
            Figure("Preset", settings["preset"], f"{settings['clips']} clips a window"),
        ),
        timelines=(report_timeline(made.timelines),),
        tables=(segment_table(made.timelines),),
        notes=made.notes,
    )
