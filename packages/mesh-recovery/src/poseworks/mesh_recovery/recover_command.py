"""The verb `recover`: from a recording and boxes to files of body motion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter

from poseworks.core.cli import Whole, choose_device, make_table, print_result, progress, remark
from poseworks.core.errors import ConfigError
from poseworks.core.files import refuse_existing
from poseworks.core.read_options import ReadOptions

if TYPE_CHECKING:
    from poseworks.core.body_models import SMPL, BodyMotion
    from poseworks.mesh_recovery.recovery import Boxes, Recovered, RecoveryNetwork


@Parameter(name="*")
@dataclass(frozen=True)
class RecoverOptions:
    """Where the people are, and how they are seen."""

    keypoints: Annotated[
        Path | None,
        Parameter(
            help="Poses file with the people's 2D keypoints, from which their boxes are made. Default: the whole "
            "picture is that of one person."
        ),
    ] = None
    boxes: Annotated[
        Path | None,
        Parameter(help="CSV (frame, person, x, y, width, height) or JSON file of boxes, where there are no keypoints."),
    ] = None
    body: Annotated[
        str | None,
        Parameter(
            help="Of the motion: free, or SMPL's file or folder; rotations and cameras hold on either. Default: free."
        ),
    ] = None
    mesh: Annotated[Path | None, Parameter(help="GraphCMR, Graphormer: mesh_downsampling.npz.")] = None
    focal: Annotated[float | None, Parameter(help="Focal length in pixels. Default: the diagonal of the picture.")] = (
        None
    )
    enlarge: Annotated[
        float | None, Parameter(help="Times a box, what is cropped. Default: as the weights were trained, 1.2.")
    ] = None
    threshold: Annotated[
        float, Parameter(help="Confidence above which a keypoint counts for the box around a person.")
    ] = 0.2
    overlay: Annotated[
        Path | None,
        Parameter(help="The recording with the bodies over it: .mp4, a folder of pictures, or .png of a picture."),
    ] = None
    batch: Annotated[int, Whole, Parameter(help="Persons that the network sees at once.")] = 16


def run_recover(
    source: Path,
    output: Path,
    model: str | None,
    options: RecoverOptions,
    reading: ReadOptions,
    *,
    device: str,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Reads, finds, writes and prints; nothing is written when anything is at fault.

    Raises:
        PoseworksError: an input, an option or an output is at fault.
    """
    _check(output, options, overwrite)
    people = _people(options, reading)
    name = model or _default_model()
    network, body = _network_and_body(name, options, device)
    from poseworks.core.video import open_video
    from poseworks.mesh_recovery.recovery import recover

    with open_video(source, fps=reading.fps) as video:
        frames = video.info.stated_frames
    is_new = options.overlay is not None and not options.overlay.exists()
    with progress(frames, "recover", quiet=quiet or json) as advance:
        found = recover(
            source,
            network,
            body,
            people,
            focal=options.focal,
            enlarge=options.enlarge,
            fps=reading.fps,
            batch=options.batch,
            overlay=options.overlay,
            overwrite=overwrite,
            model=name,
            advance=advance,
        )
    try:
        notes = (*found.notes, *_write(found.motion, body, output, overwrite))
    except BaseException:
        if options.overlay is not None and is_new:
            _remove(options.overlay)
        raise
    if not json:
        for note in notes:
            remark(f"note: {note}", quiet=quiet)
    _show(source, output, options.overlay, found, notes, json=json, quiet=quiet)


def _check(output: Path, options: RecoverOptions, overwrite: bool) -> None:
    """ConfigError for what cannot work, before any work."""
    from poseworks.core.body_models.motion_files import expect_motion_suffix

    refuse_existing(output, overwrite)
    expect_motion_suffix(output)
    if not output.parent.is_dir():
        raise ConfigError(f"{output}: the folder {output.parent} does not exist. Create it first.")
    if options.overlay is not None:
        from poseworks.mesh_recovery.overlay import check_overlay

        check_overlay(options.overlay, overwrite)
        if options.overlay.resolve() == output.resolve():
            raise ConfigError(f"--overlay {options.overlay}: is the output as well. Name another file.")


def _people(options: RecoverOptions, reading: ReadOptions) -> Boxes | None:
    """Boxes, where they are given."""
    from poseworks.mesh_recovery.recovery import boxes_of_poses, read_boxes

    if options.keypoints is not None and options.boxes is not None:
        raise ConfigError("--keypoints, --boxes: both say where people are. Leave one of them out.")
    if options.boxes is not None:
        return read_boxes(options.boxes)
    if options.keypoints is not None:
        return boxes_of_poses(reading.read(options.keypoints), options.threshold)
    return None


def _default_model() -> str:
    """The network that comes along.

    Raises:
        ConfigError: none does.
    """
    from poseworks.mesh_recovery.models import shipped_models

    shipped = shipped_models()
    if not shipped:
        raise ConfigError(
            "--model: no weights come with this package. Name a checkpoint or a saved folder; the verb models lists "
            "what was published. The verb fit needs no weights."
        )
    return shipped[0]


def _network_and_body(model: str, options: RecoverOptions, device: str) -> tuple[RecoveryNetwork, SMPL]:
    """Both on the device."""
    from poseworks.core.body_models import load_body
    from poseworks.mesh_recovery.discriminator import Discriminator
    from poseworks.mesh_recovery.loading import load

    place = choose_device(device)
    network = load(model, mesh=options.mesh, body=options.body, spare=True)
    if isinstance(network, Discriminator):
        raise ConfigError(f"--model {model}: is an adversary of a training, which sees no pictures. Name a network.")
    return network.to(place), load_body(options.body or "free").to(place)


def _write(motion: BodyMotion, body: SMPL, output: Path, overwrite: bool) -> tuple[str, ...]:
    from poseworks.core.body_models.motion_files import write_motion

    return write_motion(motion, body, output, overwrite=overwrite)


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


_COLUMNS = ("person", "frames", "from (s)", "to (s)", "distance (m)")


def _show(
    source: Path,
    output: Path,
    overlay: Path | None,
    found: Recovered,
    notes: tuple[str, ...],
    *,
    json: bool,
    quiet: bool,
) -> None:
    """Who was found, and where it is written."""
    motion = found.motion
    people: list[dict[str, Any]] = []
    for row in range(motion.num_people):
        frames = np.flatnonzero(motion.present[row])
        people.append(
            {
                "person": row if motion.person_ids is None else int(motion.person_ids[row]),
                "frames": len(frames),
                "first_s": float(motion.seconds[frames[0]]),
                "last_s": float(motion.seconds[frames[-1]]),
                "distance_m": float(np.median(motion.transl[row, frames, 2])),
            }
        )
        if found.solved_mm is not None:
            people[-1]["from_vertices_mm"] = float(found.solved_mm[row])
    result = {
        "input": source,
        "output": output,
        "overlay": overlay,
        "body": motion.body,
        "frames": motion.num_frames,
        "fps": motion.fps,
        "image_size": motion.image_size,
        "focal": motion.focal,
        "people": people,
        "notes": notes,
        "history": motion.history[-1],
    }
    columns = _COLUMNS if found.solved_mm is None else (*_COLUMNS, "from its vertices (mm)")
    table = make_table("", columns, [tuple(person.values()) for person in people])
    places = ", ".join(map(str, (output, *([] if overlay is None else [overlay]))))
    print_result(result, json=json, text=[f"{source} -> {places}", table], quiet=quiet)
