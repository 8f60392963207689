"""The verb `lift`: from files to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from poseworks.core import PoseSequence
from poseworks.core.cli import choose_device, make_table
from poseworks.core.errors import ConfigError
from poseworks.core.poses_command import Job, Paths, run_job
from poseworks.core.read_options import ReadOptions
from poseworks.core.report import Figure, Report, ReportTrack, Table
from poseworks.lifting.body_scale import standing_height
from poseworks.lifting.lift_options import LiftOptions
from poseworks.lifting.lifter import Lifted, lift_people
from poseworks.lifting.settings import LiftSettings, default_model

if TYPE_CHECKING:
    from torch import nn

METRIC_SUFFIXES = (".trc",)
"""Formats that hold metres in a camera's axes and nothing else."""


@dataclass(frozen=True)
class ModelChoice:
    """What the command line says about the network: a model, options of `load`, the device."""

    model: str | None
    options: Mapping[str, Any]
    device: str = "cpu"

    def name(self, lifting: LiftOptions) -> str:
        """The model's name or path; without one the shipped weights for what is known of the camera."""
        return self.model or default_model(knows_camera=lifting.knows_camera)

    def network(self, lifting: LiftOptions) -> nn.Module:
        """The network on its device.

        Raises:
            CheckpointError: the model cannot be read.
        """
        from poseworks.lifting.loading import load

        return load(self.name(lifting), **self.options).to(choose_device(self.device))


def run_lift(
    paths: Paths, choice: ModelChoice, lifting: LiftOptions, reading: ReadOptions, *, json: bool, quiet: bool
) -> None:
    """Reads, lifts, writes and prints; nothing is written when anything is at fault.

    Raises:
        PoseworksError: an input, an option or an output is at fault.
    """
    settings = lifting.settings()
    refuse_metric_export(paths.output, settings, lifting)
    network, name = choice.network(lifting), choice.name(lifting)

    def make(poses: PoseSequence, advance: Callable[[float], None]) -> Lifted:
        camera = lifting.pinhole(poses.image_size)
        return lift_people(poses, network, settings, camera=camera, model=name, advance=advance)

    job = Job(verb="lift", make=make, page=_page, facts=_facts, text=lambda lifted: [_table(lifted.poses)])
    run_job(job, paths, reading, json=json, quiet=quiet)


def refuse_metric_export(output: Path | None, settings: LiftSettings, lifting: LiftOptions) -> None:
    """Nothing, unless the output's format holds metres in front of a camera, and the result will not be that.

    Raises:
        ConfigError: says what is missing.
    """
    if output is None or output.suffix.lower() not in METRIC_SUFFIXES:
        return
    missing = []
    if settings.height is None and not settings.bones:
        missing.append("the person's size (--height 1.72, or --bone left_thigh=0.43), which makes metres")
    if not lifting.knows_camera:
        missing.append("the camera (--focal PIXELS, or --camera FILE), which places the root")
    if missing:
        raise ConfigError(
            f"{output}: {output.suffix} files hold metres in the axes of a camera, and lifting alone gives neither. "
            f"State {' and '.join(missing)}; or write a poses file (.npz)."
        )


def _facts(lifted: Lifted) -> dict[str, Any]:
    """What the JSON object says beside paths, notes and history."""
    poses = lifted.poses
    return {
        "unit": poses.unit,
        "frame": poses.frame,
        "persons": [_person(poses, row) for row in range(poses.num_people)],
    }


def _person(poses: PoseSequence, row: int) -> dict[str, Any]:
    """One person in numbers: frames lifted, height, way of the root."""
    joints = poses.positions[row].astype(np.float64)
    lifted = np.isfinite(joints).all(axis=(1, 2))
    height = standing_height(joints[lifted])
    root = joints[lifted, 0]
    path = float(np.linalg.norm(np.diff(root, axis=0), axis=-1).sum()) if poses.frame == "camera" else None
    distance = float(np.median(root[:, 2])) if poses.frame == "camera" and len(root) else None
    return {
        "person": row if poses.person_ids is None else int(poses.person_ids[row]),
        "frames": int(lifted.sum()),
        "height": float(np.median(height)) if len(height) else None,
        "root_path": path,
        "distance": distance,
    }


_COLUMNS = ("person", "frames", "height", "root's path", "distance to the camera")


def _rows(poses: PoseSequence) -> list[tuple[Any, ...]]:
    return [tuple(_person(poses, row).values()) for row in range(poses.num_people)]


def _table(poses: PoseSequence) -> Any:
    """A row a person."""
    return make_table(f"in {_unit(poses)}, frame {poses.frame}", _COLUMNS, _rows(poses))


def _unit(poses: PoseSequence) -> str:
    """The unit, in words that say what 1.0 is."""
    return "metres" if poses.unit == "m" else f"the network's unit (1.0 is {poses.history[-1]['settings']['one_unit']})"


def _page(path: Path, poses: PoseSequence, lifted: Lifted, video: Path | None) -> Report:
    """The report of one input: the keypoints over the video, the joints beside them."""
    made = lifted.poses
    frames = sum(_person(made, row)["frames"] for row in range(made.num_people))
    settings = made.history[-1]["settings"]
    unit = "metres" if made.unit == "m" else made.unit
    return Report(
        title=f"{(video or path).name}, lifted",
        tracks=(ReportTrack("Keypoints", lifted.keypoints, "orange", bold=False), ReportTrack("Lifted", made)),
        video=video,
        subtitle=f"From 2D keypoints to 3D{', over ' + video.name if video else ''}",
        summary=(
            Figure("Frames lifted", str(frames), f"of {made.num_people * made.num_frames}"),
            Figure("Unit", unit, f"1.0 is {settings['one_unit']}"),
            Figure("Root", str(settings["root"]).partition(":")[0], str(settings["root"]).partition(": ")[2]),
        ),
        tables=(Table("People", _COLUMNS, tuple(_rows(made)), f"Lengths in {unit}."),),
        notes=lifted.notes,
    )
