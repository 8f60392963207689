"""The verb `fit`: from files of poses to files of body motion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from poseworks.core import PoseSequence
from poseworks.core.camera_options import CameraOptions
from poseworks.core.cli import make_table
from poseworks.core.errors import ConfigError
from poseworks.core.poses_command import Job, Paths, run_job
from poseworks.core.read_options import ReadOptions
from poseworks.core.report import Figure, Report, ReportBody, ReportTrack
from poseworks.mesh_recovery.fit_report import figure_rows, figures_table

if TYPE_CHECKING:
    from poseworks.core.body_models import SMPL
    from poseworks.mesh_recovery.fitting.fitted import Fitted

SUFFIXES = (".npz", ".glb", ".bvh", ".obj")
"""Of the formats that body motion is written in."""


@Parameter(name="*")
@dataclass(frozen=True)
class FitOptions(CameraOptions):
    """What is known of the people, the camera and the place."""

    body: Annotated[str, Parameter(help="free, or SMPL's file or folder.")] = "free"
    height: Annotated[
        float | None, Parameter(help="Of the people in metres, which one camera does not tell. Default: the body's.")
    ] = None
    lifted: Annotated[
        Path | None, Parameter(help="INPUT lifted to 3D (poseworks-lifting lift), to start from: better, and slower.")
    ] = None
    ground: Annotated[
        bool, Parameter(negative="", help="Hold feet that hardly move in the picture, of a camera that stands still.")
    ] = False
    cameras: Annotated[
        Path | None,
        Parameter(help="Calibration of several cameras (.npz, .json, .toml): every INPUT is a view of one motion."),
    ] = None
    up: Annotated[
        Literal["y", "-y", "z"] | None,
        Parameter(help="3D poses or --cameras: y, -y or z, the world's axis that points up. Default: z."),
    ] = None
    max_gap: Annotated[float | None, Parameter(help="Longest gap, in seconds, that is bridged. Default: 0.5.")] = None
    min_confidence: Annotated[
        float | None, Parameter(help="Keypoints below it count as missing. Default: none does.")
    ] = None
    unswap: Annotated[
        bool, Parameter(negative="", help="First exchange left and right back where the detector exchanged them.")
    ] = False
    overlay: Annotated[
        Path | None,
        Parameter(help="--video with the bodies over it: .mp4, a folder of pictures, or .png of a picture."),
    ] = None

    def stated(self) -> dict[str, Any]:
        """Fields of FitSettings that were stated."""
        stated = {
            "height": self.height,
            "ground": self.ground or None,
            "unswap": self.unswap or None,
            "min_confidence": self.min_confidence,
            "max_gap_s": self.max_gap,
        }
        return {name: value for name, value in stated.items() if value is not None}


def run_fit(
    inputs: Sequence[Path],
    output: Path,
    options: FitOptions,
    reading: ReadOptions,
    *,
    report: Path | None,
    video: Path | None,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Reads, fits, writes and prints; nothing is written when anything is at fault.

    Raises:
        PoseworksError: an input, an option or an output is at fault.
    """
    together = options.cameras is not None
    shown = None if report is None else video  # the overlay alone has a use for it as well
    paths = Paths(inputs[:1] if together else inputs, output, report, shown, overwrite, SUFFIXES)
    _check(inputs, paths, options, video)
    from poseworks.core.body_models import load_body

    body = load_body(options.body)

    def write(fitted: Fitted, path: Path, overwrite: bool) -> None:
        from poseworks.core.body_models.motion_files import write_motion

        write_motion(fitted.motion, body, path, overwrite=overwrite)
        if options.overlay is not None and video is not None:
            from poseworks.mesh_recovery.overlay import write_overlay

            write_overlay(video, fitted.motion, body, options.overlay, overwrite=overwrite)

    job = Job(
        verb="fit",
        make=_of_views(inputs, options, reading, body) if together else _of_one(options, body),
        page=_page,
        facts=lambda fitted: _facts(fitted, options.overlay),
        text=lambda fitted: [make_table("", *figure_rows(fitted.figures))],
        write=write,
    )
    run_job(job, paths, reading, json=json, quiet=quiet)


Advance = Callable[[float], None]


def _of_one(options: FitOptions, body: SMPL) -> Callable[[PoseSequence, Advance], Fitted]:
    """From poses that stand alone."""
    from poseworks.mesh_recovery.fitting.fit import checked_settings, fit

    settings = checked_settings(**options.stated())
    lifted = None if options.lifted is None else ReadOptions().read(options.lifted)

    def make(poses: PoseSequence, advance: Advance) -> Fitted:
        camera = options.pinhole(poses.image_size)
        return fit(poses, body, camera=camera, lifted=lifted, up=options.up, settings=settings, advance=advance)

    return make


def _of_views(
    inputs: Sequence[Path], options: FitOptions, reading: ReadOptions, body: SMPL
) -> Callable[[PoseSequence, Advance], Fitted]:
    """From poses that are the first of several views."""
    from poseworks.core.calibration import read_cameras
    from poseworks.mesh_recovery.fitting.views import fit_views

    assert options.cameras is not None
    cameras = read_cameras(options.cameras)
    others = [reading.read(path) for path in inputs[1:]]

    def make(poses: PoseSequence, advance: Advance) -> Fitted:
        return fit_views([poses, *others], cameras, body, up=options.up or "z", advance=advance)

    return make


def _check(inputs: Sequence[Path], paths: Paths, options: FitOptions, video: Path | None) -> None:
    """ConfigError for what cannot work, before any work."""
    if options.cameras is not None:
        alone = {**options.stated(), "focal": options.focal, "camera": options.camera, "lifted": options.lifted}
        given = [f"--{name.removesuffix('_s').replace('_', '-')}" for name, value in alone.items() if value is not None]
        if given:
            raise ConfigError(f"{', '.join(given)}: not beside --cameras, whose views tell more. Leave it out.")
        if any(path.resolve() in [source.resolve() for source in inputs] for path in paths.written):
            raise ConfigError(f"{paths.output}: is an input. Name another output.")
    elif len(inputs) > 1 and (options.lifted is not None or options.overlay is not None):
        raise ConfigError("--lifted, --overlay: belong to one input. Take the inputs one by one.")
    if options.overlay is None:
        if video is not None and paths.report is None:
            raise ConfigError("--video: is shown in the report or the overlay. Name one: --overlay overlay.mp4.")
        return
    if video is None:
        raise ConfigError("--overlay: needs the recording. Name it: --video recording.mp4.")
    if not video.exists():
        raise ConfigError(f"--video {video}: no such file. Name the recording that the poses were found in.")
    if options.cameras is not None:
        raise ConfigError("--overlay: bodies of several cameras stand in their world. Fit one view for an overlay.")
    from poseworks.mesh_recovery.overlay import check_overlay

    check_overlay(options.overlay, paths.overwrite)
    if options.overlay.resolve() in [path.resolve() for path in paths.written]:
        raise ConfigError(f"--overlay {options.overlay}: is another output as well. Name one of the two otherwise.")


def _facts(fitted: Fitted, overlay: Path | None) -> dict[str, Any]:
    """What the JSON object says beside paths, notes and history."""
    motion = fitted.motion
    return {
        "overlay": overlay,
        "body": motion.body,
        "frame": motion.frame,
        "focal": motion.focal,
        "persons": [dict(person) for person in fitted.figures],
    }


def _page(path: Path, poses: PoseSequence, fitted: Fitted, video: Path | None) -> Report:
    """The report of one input: what was given, the body's joints in its place, the body in 3D."""
    motion = fitted.motion
    fits = poses.num_dims == fitted.poses.num_dims
    given = (ReportTrack("Given", poses, "orange", bold=False),) if fits else ()
    frames = sum(int(person["frames"]) for person in fitted.figures)
    return Report(
        title=f"{(video or path).name}, fitted",
        tracks=(*given, ReportTrack("Joints of the body", fitted.poses)),
        video=video,
        bodies=(ReportBody("Body", motion),),
        subtitle="A body fitted to keypoints" if poses.num_dims == 2 else "A body fitted to joints in space",
        summary=(
            Figure("Frames fitted", str(frames), f"of {motion.num_people * motion.num_frames}"),
            Figure("Body", motion.body, "whose rotations hold on any body with SMPL's joints"),
        ),
        tables=(figures_table(fitted.figures),),
        notes=fitted.notes,
    )
