"""CSV table: a row for each person and frame, readable anywhere and by anyone.

Lines of `# name: value` come first (all of them optional, the hints stand in for them):
    # poseworks.csv/1
    # skeleton: coco17                 or custom
    # unit: px                         px, m, mm, normalised
    # frame: image                     image, camera, world, root
    # fps: 30.0
    # image_size: 1280 720             only where known
    # frames: 118                      how many there are, also if the last ones have no row
    # people: 2                        how many there are
    # person_ids: 4 9                  only where the people have track numbers
    # times: even                      even: frame / fps; stated: the column `time`
    # history: [...]                   JSON list, what made the file
Then the names of the columns and the rows:
    frame      whole number from 0
    time       seconds
    person     track number; 0, 1, ... where there are none
    then for each joint NAME_x, NAME_y, NAME_z (3D only) in `unit`, and NAME_confidence (0..1; may be left out:
               1 where observed)
An empty cell is a value that was not observed, and so is a row that is not there. UTF-8, comma, point as decimal sign.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import FormatError
from poseworks.core.files import atomic_path
from poseworks.core.formats.hints import Hints
from poseworks.core.formats.reading import built, parse_json, read_text
from poseworks.core.formats.tracks import check_size, select_person
from poseworks.core.poses import Frame, PoseSequence, Unit
from poseworks.core.skeletons import SKELETONS

MAGIC = "# poseworks.csv/1"
KEYS = ("skeleton", "unit", "frame", "fps", "image_size", "frames", "people", "person_ids", "times", "history")
MAX_FAULTS = 8


@dataclass
class _Table:
    """The rows, checked one by one; `faults` says what is wrong with them."""

    dims: int
    joint_names: list[str]
    scored: bool
    frames: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    people: list[int] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read(path: Path, hints: Hints) -> PoseSequence:
    """The poses in a CSV table.

    Raises:
        FormatError: with everything that is wrong with the table (the first rows of it).
        ConfigError: a hint is missing or contradicts the file.
        DataError: the file cannot be read, or has no such person.
    """
    hints.refuse(("people", "sequence", "first_frame", "world"), path, "CSV")
    header, body = _split(read_text(path))
    faults: list[str] = []
    stated = _header(header, faults)
    table = _rows(body, path)
    faults += table.faults
    if faults:
        more = f"; and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        raise FormatError(f"{path}: {'; '.join(faults[:MAX_FAULTS])}{more}.")
    fields = {}
    for name, why in (
        ("fps", "the table does not say its frame rate"),
        ("unit", "the table does not say its unit"),
        ("frame", "the table does not say its frame of reference"),
    ):
        fields[name] = hints.agree(name, stated[name], path) if name in stated else hints.need(name, path, why)
    names = tuple(table.joint_names)
    same = (s.name for s in SKELETONS.values() if s.joint_names == names)
    skeleton = stated.get("skeleton", next(same, "custom"))
    if fields["frame"] != "image":
        hints.refuse(("image_size",), path, f"CSV ({fields['frame']})")
    size = hints.image_size
    if "image_size" in stated:
        size = hints.agree("image_size", stated["image_size"], path)
    positions, confidence, times, ids = _arrays(table, stated, fields["fps"], path)
    poses = built(
        path,
        positions=positions,
        confidence=confidence,
        joint_names=names,
        skeleton=hints.agree("skeleton", skeleton, path),
        image_size=size,
        times=times,
        person_ids=ids,
        history=stated.get("history", ()),
        **fields,
    )
    return select_person(poses, hints, path)


def write(poses: PoseSequence, path: Path) -> None:
    """Writes a table of all that the poses hold."""
    header = {
        "skeleton": poses.skeleton,
        "unit": poses.unit,
        "frame": poses.frame,
        "fps": repr(poses.fps),
        "frames": poses.num_frames,
        "people": poses.num_people,
        "times": "even" if poses.times is None else "stated",
        "history": json.dumps([dict(entry) for entry in poses.history]),
    }
    if poses.image_size is not None:
        header["image_size"] = " ".join(map(str, poses.image_size))
    if poses.person_ids is not None:
        header["person_ids"] = " ".join(map(str, poses.person_ids.tolist()))
    axes = [*"xyz"[: poses.num_dims], "confidence"]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.write(MAGIC + "\n")
        stream.writelines(f"# {name}: {header[name]}\n" for name in KEYS if name in header)
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["frame", "time", "person", *(f"{n}_{a}" for n in poses.joint_names for a in axes)])
        writer.writerows(_cells(poses))


def _cells(poses: PoseSequence) -> Iterator[list[str]]:
    """The rows."""
    ids = range(poses.num_people) if poses.person_ids is None else poses.person_ids.tolist()
    seconds = poses.seconds.tolist()
    for start in range(0, poses.num_frames, 1000):
        part = slice(start, start + 1000)
        values = np.concatenate([poses.positions[:, part], poses.confidence[:, part, :, None]], axis=-1)
        rows = texts(values.reshape(*values.shape[:2], values.shape[2] * values.shape[3]))
        for frame in range(values.shape[1]):
            for row, person in enumerate(ids):
                yield [str(start + frame), repr(seconds[start + frame]), str(person), *rows[row][frame]]


def texts(values: NDArray[np.float32]) -> Any:
    """Nested lists of the shortest texts that give the same float32 again; nothing for NaN."""
    words = values.astype(np.str_)
    words[np.isnan(values)] = ""
    return words.tolist()


def _split(text: str) -> tuple[list[str], str]:
    """(lines of the header without #, the rest)."""
    header, start = [], 0
    while text.startswith("#", start):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        header.append(text[start + 1 : end].strip())
        start = end + 1
    return header, text[start:]


def _header(lines: Sequence[str], faults: list[str]) -> dict[str, Any]:
    """What the header states, by name; what is wrong with it goes to `faults`."""
    stated: dict[str, Any] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon:
            if line.startswith("poseworks.csv/") and line != MAGIC[2:]:
                faults.append(f"header: expected {MAGIC!r}, got {line[:40]!r}")
        elif name in stated:
            faults.append(f"header: {name} twice")
        elif name in KEYS:
            try:
                stated[name] = _HEADER_VALUES[name](value)
            except (ValueError, OverflowError) as error:
                detail = f" ({error})" if isinstance(error, FormatError) else ""
                faults.append(f"header: {name} cannot be {value[:60]!r}{detail}")
    return stated


def _fps(text: str) -> float:
    fps = float(text)
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError
    return fps


def _count(text: str) -> int:
    count = int(text)
    if not 0 <= count < 1 << 31:
        raise ValueError
    return count


def _size(text: str) -> tuple[int, int]:
    width, height = map(_count, text.split())
    return width, height


def _ids(text: str) -> list[int]:
    ids = [int(part) for part in text.split()]
    if any(abs(number) >= 1 << 62 for number in ids):
        raise ValueError
    return ids


def _one_of(*allowed: str) -> Any:
    def check(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    return check


def _history(text: str) -> tuple[dict[str, Any], ...]:
    entries = parse_json(text, "history")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError
    return tuple(entries)


_HEADER_VALUES: dict[str, Any] = {
    "skeleton": _one_of("custom", *SKELETONS),
    "unit": _one_of(*get_args(Unit)),
    "frame": _one_of(*get_args(Frame)),
    "fps": _fps,
    "image_size": _size,
    "frames": _count,
    "people": _count,
    "person_ids": _ids,
    "times": _one_of("even", "stated"),
    "history": _history,
}


def _rows(body: str, path: Path) -> _Table:
    """The rows of the table."""
    reader = csv.reader(io.StringIO(body, newline=""), strict=True)
    try:
        columns = next(reader, [])
        table = _columns(columns, path)
        for number, row in enumerate(reader, start=1):
            if not row:
                continue
            if len(row) != len(columns):
                table.faults.append(f"row {number}: {len(row)} cells, expected {len(columns)}")
                continue
            try:
                frame, person = int(row[0]), int(row[2])
                time = float(row[1]) if row[1] else math.nan
                values = [float(cell) if cell else math.nan for cell in row[3:]]
            except ValueError:
                table.faults.append(f"row {number}: expected numbers, got {next(_not_numbers(row), '')[:40]!r}")
                continue
            if not 0 <= frame < 1 << 31 or abs(person) >= 1 << 62:
                table.faults.append(f"row {number}: frame {row[0][:40]} or person {row[2][:40]} is out of range")
                continue
            table.frames.append(frame)
            table.times.append(time)
            table.people.append(person)
            table.values.append(values)
    except csv.Error as error:
        raise FormatError(f"{path}: row {reader.line_num}: {error}.") from error
    if len(set(zip(table.frames, table.people, strict=True))) < len(table.frames):
        table.faults.append("two rows are of one person and frame")
    return table


def _columns(names: Sequence[str], path: Path) -> _Table:
    """An empty table with the joints that the names of the columns state."""
    axes = [name.rpartition("_")[2] for name in names[3:]]
    for dims in (3, 2):
        for pattern in ([*"xyz"[:dims], "confidence"], [*"xyz"[:dims]]):
            count, rest = divmod(len(axes), len(pattern))
            if list(names[:3]) != ["frame", "time", "person"] or rest or not count or axes != pattern * count:
                continue
            joints = [name.rpartition("_")[0] for name in names[3 :: len(pattern)]]
            if [name.rpartition("_")[0] for name in names[3:]] == [j for j in joints for _ in pattern]:
                return _Table(dims, joints, "confidence" in pattern)
    raise FormatError(
        f"{path}: columns begin with {', '.join(names[:6])[:120]!r}; expected frame, time, person, then NAME_x, "
        "NAME_y, (NAME_z,) (NAME_confidence) for each joint."
    )


def _not_numbers(row: Sequence[str]) -> Iterator[str]:
    """Cells that are no numbers."""
    for cell in row:
        try:
            float(cell or "0")
        except ValueError:
            yield cell


def _arrays(
    table: _Table, stated: dict[str, Any], fps: float, path: Path
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64] | None, list[int] | None]:
    """(positions, confidence, times or None, person_ids or None)."""
    found = list(dict.fromkeys(table.people))
    ids = stated.get("person_ids")
    known = list(range(stated["people"])) if ids is None and "people" in stated and stated["people"] < 1 << 20 else ids
    order = sorted(found) if known is None else known
    frames = stated.get("frames", max(table.frames, default=-1) + 1)
    faults = []
    if not set(found) <= set(order):
        faults.append(f"rows of person {min(set(found) - set(order))}, which the header does not have")
    if "people" in stated and stated["people"] != len(order):
        faults.append(f"header: {stated['people']} people, but {len(order)} are named")
    if table.frames and max(table.frames) >= frames:
        faults.append(f"rows of frame {max(table.frames)}, but the header has {frames} frames")
    if faults:
        raise FormatError(f"{path}: {'; '.join(faults)}.")
    joints = len(table.joint_names)
    check_size(len(order), frames, joints, len(table.frames), path)
    positions = np.full((len(order), frames, joints, table.dims), np.nan, dtype=np.float32)
    confidence = np.zeros(positions.shape[:3], dtype=np.float32)
    if table.frames:
        place = {person: row for row, person in enumerate(order)}
        rows = np.array([place[person] for person in table.people])
        with np.errstate(over="ignore"):
            values = np.array(table.values, dtype=np.float32).reshape(len(rows), joints, -1)
        positions[rows, table.frames] = values[..., : table.dims]
        found_at = np.isfinite(values[..., : table.dims]).all(axis=-1)
        scores = values[..., -1] if table.scored else found_at
        confidence[rows, table.frames] = np.where(np.isnan(scores), 0, scores)
    times = _times(table, stated, fps, frames, path)
    unnumbered = ids is None and ("people" in stated or order == list(range(len(order))))
    return positions, confidence, times, None if unnumbered else order


def _times(table: _Table, stated: dict[str, Any], fps: float, frames: int, path: Path) -> NDArray[np.float64] | None:
    """(T,) seconds, or None where frames are evenly spaced."""
    if stated.get("times") == "even" or not table.frames:
        return None
    times = np.full(frames, np.nan)
    times[table.frames] = table.times
    if "times" not in stated:
        rows = np.array(table.frames)
        spread = np.array(table.times) - rows / fps
        if np.isnan(spread).all() or np.ptp(spread) <= 1e-3 / fps:
            return None
    if not np.isfinite(times).all():
        raise FormatError(f"{path}: frame {int(np.flatnonzero(~np.isfinite(times))[0])} has no time.")
    return times
