"""Files of body motion: which they are, what is in them, one as another. What `convert` and `inspect` do with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.body_options import BodyOptions
from poseworks.core.errors import ConfigError
from poseworks.core.formats.body_npz import read_body_motion, write_body_motion
from poseworks.core.formats.reading import ZIP_MAGIC, npz_keys, read_head
from poseworks.core.poses import history_entry

if TYPE_CHECKING:
    from poseworks.core.body_models.smpl import SMPL

MotionFormat = Literal["body", "amass", "human_data"]

_NEEDS_BODY = (
    "Give SMPL's own file or folder with --body; it comes from https://smpl.is.tue.mpg.de after registration. Or "
    "--body free, on which rotations and places hold, shapes do not"
)


def motion_format(path: str | os.PathLike[str]) -> MotionFormat | None:
    """Which file of body motion it is, told by its keys; None: something else.

    Raises:
        DataError: the file cannot be read.
        FormatError: it is empty, or a damaged archive.
    """
    from poseworks.core.formats.amass import is_amass
    from poseworks.core.formats.human_data import is_human_data

    source = Path(path)
    try:
        if not source.is_file():
            return None
    except (OSError, ValueError):  # a name that no file can have
        return None
    if not read_head(source).startswith(ZIP_MAGIC):
        return None
    keys = npz_keys(source)
    if {"format", "global_orient", "body_pose"} <= set(keys):
        return "body"
    if is_amass(keys):
        return "amass"
    return "human_data" if is_human_data(keys) else None


def read_motion(path: str | os.PathLike[str], body: SMPL | None = None, fps: float | None = None) -> BodyMotion:
    """The motion in a body file, an AMASS file or a HumanData file.

    Args:
        path: of the file.
        body: what `read_amass` takes.
        fps: frames per second of HumanData, which does not say.

    Raises:
        ConfigError: `fps` is missing, or the file says it itself.
        FormatError: it is neither, or does not hold what it should.
        DataError: the file cannot be read, or HumanData has no SMPL parameters.
    """
    found = motion_format(path)
    if found == "human_data":
        from poseworks.core.formats.human_data import read_human_data

        if fps is None:
            raise ConfigError(f"{path}: HumanData does not say how fast its rows follow. Give it: fps=30 (--fps 30).")
        return read_human_data(path).motion(fps)
    if fps is not None:
        raise ConfigError(f"{path}: says its frame rate itself. Leave fps (--fps) out.")
    if found == "amass":
        from poseworks.core.formats.amass import read_amass

        return read_amass(path, body)
    return read_body_motion(path)


def motion_file_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file of body motion is and holds, for a person to read; raises as its reader does."""
    found = motion_format(path)
    if found != "human_data":
        return {"what": "body motion", "format": found, **motion_facts(read_motion(path))}
    from poseworks.core.formats.human_data import read_human_data

    data = read_human_data(path)
    masks = {"keypoints2d": data.keypoints2d_mask, "keypoints3d": data.keypoints3d_mask}
    return {
        "what": "pictures with keypoints and SMPL parameters",
        "format": found,
        "rows": data.num_rows,
        "boxes": data.bbox_xywh is not None,
        "joints": {name: int(mask.sum()) for name, mask in masks.items() if mask is not None},
        "smpl": {name: list(value.shape) for name, value in data.smpl.items()},
        "other": sorted(data.other),
    }


def motion_facts(motion: BodyMotion) -> dict[str, Any]:
    """What a motion holds, for a person to read."""
    present = motion.present
    return {
        "body": motion.body,
        "gender": motion.gender,
        "people": motion.num_people,
        "frames": motion.num_frames,
        "fps": motion.fps,
        "seconds": round(motion.num_frames / motion.fps, 3),
        "times": "evenly spaced" if motion.times is None else "stated for each frame",
        "frame": motion.frame,
        "focal_px": motion.focal,
        "image_size": motion.image_size,
        "person_ids": motion.person_ids,
        "frames_there": present.sum(axis=1),
        "betas": motion.betas,
        "history": motion.history,
    }


def convert_motion(
    source: Path,
    output: Path,
    options: BodyOptions,
    *,
    to_format: str | None,
    fps: float | None,
    person: int | None,
    overwrite: bool,
) -> tuple[BodyMotion, tuple[str, ...]]:
    """Writes the motion of a file as another one: (what was written, sentences about what got lost).

    Args:
        source: what `read_motion` reads.
        output: .npz (body file; AMASS where `to_format` says so), .glb, .bvh or .obj.
        options: of the command line.
        to_format: key of `WRITERS`; None: told by the suffix.
        fps: of HumanData.
        person: track number (the row, where there are none) of the person to take alone.
        overwrite: replace what is there.

    Raises:
        ConfigError: options that mean nothing here, an unknown format, no such person, or the output exists.
        FormatError, DataError: the file is at fault, or cannot be held by the other format.
    """
    name = to_format or _BY_SUFFIX.get(output.suffix.lower(), "")
    if name not in WRITERS:
        raise ConfigError(
            f"{output}: body motion is written as {', '.join(_BY_SUFFIX)}, or with --to-format {', '.join(WRITERS)}."
        )
    unused = [option for option in options.given if option not in WRITERS[name].options]
    if unused:
        raise ConfigError(f"{', '.join(unused)}: means nothing where {name} is written. Leave it out.")
    motion = read_motion(source, fps=fps)
    body = _body(options.body, motion, needed=WRITERS[name].needs_body)
    notes: tuple[str, ...] = ()
    if body is not None:
        from poseworks.core.body_models.rigs import moved_to

        motion, notes = moved_to(read_motion(source, body, fps), body)
    if person is not None:
        motion = _alone(motion, person)
    motion = motion.with_step(history_entry("convert", "poseworks-core", {"source": source.name, "format": name}))
    return motion, notes + WRITERS[name].write(motion, body, output, options, overwrite)


def _body(source: str | None, motion: BodyMotion, *, needed: bool) -> SMPL | None:
    """The body that was asked for, or the one that comes along if it is the motion's."""
    if source is None and not needed:
        return None
    if source is None and motion.body != "free":
        raise ConfigError(
            f"--body: the motion is of the {motion.body} body, whose files do not come along. {_NEEDS_BODY}."
        )
    from poseworks.core.body_models.loading import load_body

    if source in (None, "free"):
        return load_body("free")
    return load_body(source, gender=motion.gender, num_betas=motion.betas.shape[1])


def _alone(motion: BodyMotion, person: int) -> BodyMotion:
    """The motion of the person with this track number."""
    ids = list(range(motion.num_people)) if motion.person_ids is None else motion.person_ids.tolist()
    if person not in ids:
        raise ConfigError(f"--person {person}: not in the file; expected one of {', '.join(map(str, ids))}.")
    return motion.person(ids.index(person))


def expect_motion_suffix(output: Path) -> None:
    """Nothing, if `write_motion` knows what to write under this name.

    Raises:
        ConfigError: it does not.
    """
    if output.suffix.lower() not in _BY_SUFFIX:
        raise ConfigError(f"{output}: body motion is written as {', '.join(_BY_SUFFIX)}. For example -o body.npz.")


def write_motion(
    motion: BodyMotion,
    body: SMPL,
    output: Path,
    options: BodyOptions = BodyOptions(),  # noqa: B008 (frozen)
    *,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Writes a motion in the format of the suffix; returns sentences about what got lost.

    Args:
        motion: of `body`.
        body: that the numbers of the motion are about.
        output: .npz (body file), .glb, .bvh or .obj.
        options: axes, unit and frame, where the format takes them.
        overwrite: replace what is there.

    Raises:
        ConfigError: another suffix, the file exists, or the format cannot hold the motion.
        DataError: it cannot be written.
    """
    expect_motion_suffix(output)
    return WRITERS[_BY_SUFFIX[output.suffix.lower()]].write(motion, body, output, options, overwrite)


_Write = Callable[[BodyMotion, Any, Path, BodyOptions, bool], tuple[str, ...]]


@dataclass(frozen=True)
class Writer:
    """How a format is written: (motion, body, path, options, overwrite) -> sentences about what got lost."""

    write: _Write
    needs_body: bool
    options: tuple[str, ...]


def _write_body(
    motion: BodyMotion, body: SMPL | None, path: Path, options: BodyOptions, overwrite: bool
) -> tuple[str, ...]:
    write_body_motion(motion, path, overwrite=overwrite)
    return ()


def _write_amass(
    motion: BodyMotion, body: SMPL | None, path: Path, options: BodyOptions, overwrite: bool
) -> tuple[str, ...]:
    from poseworks.core.formats.amass import write_amass

    return write_amass(motion, path, body, overwrite=overwrite)


def _write_human_data(
    motion: BodyMotion, body: SMPL | None, path: Path, options: BodyOptions, overwrite: bool
) -> tuple[str, ...]:
    from poseworks.core.formats.human_data import human_data_of, write_human_data

    write_human_data(human_data_of(motion), path, overwrite=overwrite)
    return (f"{motion.fps:g} frames a second and the camera are not in the file",)


def _write_gltf(motion: BodyMotion, body: SMPL, path: Path, options: BodyOptions, overwrite: bool) -> tuple[str, ...]:
    from poseworks.core.formats.gltf import write_gltf

    write_gltf(motion, body, path, **_axes(options), overwrite=overwrite)
    return ()


def _write_bvh(motion: BodyMotion, body: SMPL, path: Path, options: BodyOptions, overwrite: bool) -> tuple[str, ...]:
    from poseworks.core.formats.bvh import write_bvh

    if motion.num_people != 1 and motion.person_ids is not None:
        ids = ", ".join(map(str, motion.person_ids.tolist()))
        raise ConfigError(f"{path}: BVH files hold one person; take one of {ids} with --person.")
    if motion.num_people != 1:
        raise ConfigError(f"{path}: BVH files hold one person; take one of 0 to {motion.num_people - 1} with --person.")
    return write_bvh(motion, body, path, **_axes(options), overwrite=overwrite)


def _write_obj(motion: BodyMotion, body: SMPL, path: Path, options: BodyOptions, overwrite: bool) -> tuple[str, ...]:
    from poseworks.core.formats.obj import write_obj

    frame = write_obj(motion, body, path, frame=options.at_frame, **_axes(options), overwrite=overwrite)
    return (f"frame {frame} alone, as OBJ files hold no motion",)


def _axes(options: BodyOptions) -> dict[str, Any]:
    """Arguments of the writers, where the options say something."""
    given = {"up": options.to_up, "unit": options.to_unit}
    return {name: value for name, value in given.items() if value is not None}


_PLACED = ("--body", "--to-up", "--to-unit")
WRITERS: Mapping[str, Writer] = {
    "body": Writer(_write_body, False, ("--body",)),
    "amass": Writer(_write_amass, False, ("--body",)),
    "human_data": Writer(_write_human_data, False, ("--body",)),
    "gltf": Writer(_write_gltf, True, _PLACED),
    "bvh": Writer(_write_bvh, True, _PLACED),
    "obj": Writer(_write_obj, True, (*_PLACED, "--at-frame")),
}
_BY_SUFFIX = {".npz": "body", ".glb": "gltf", ".bvh": "bvh", ".obj": "obj"}
