"""TRC: markers of one person in 3D, as OpenSim, Vicon and Pose2Sim write them. Text, tabs between the cells.

    PathFileType  4  (X/Y/Z)  NAME.trc
    DataRate  CameraRate  NumFrames  NumMarkers  Units  OrigDataRate  OrigDataStartFrame  OrigNumFrames
    30.0      30.0        118        17          m      30.0          1                   118
    Frame#  Time  nose              left_eye            ...        a name over the first of its three columns
                  X1    Y1    Z1    X2  ...
    (empty line)
    1       0.0   0.12  1.5   0.3   ...                            frame numbers from 1, seconds, `Units`

Read: units m, mm, cm (turned into m); an empty cell or `nan` was not observed; the empty line, the line of X1 Y1 Z1 and
cells at the end of a row may be missing. `history` says what was done. Names of our vocabulary are kept, those of
Pose2Sim's Halpe model are translated, others stay as they are (skeleton custom); joints of a known skeleton in another
order are put in its order. Frame numbers that are left out become frames without a joint observed. Times that fit the
data rate to a millisecond or 2 % of a frame count as evenly spaced. The format says nothing of the frame of reference:
`world`, the laboratory's, unless the hint `frame` says camera or root. It has no confidence either: 1 where observed.
Written: one person, 3D, m or mm, frame world or camera. Confidence, history and the frame's name are not in the file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError, FormatError
from poseworks.core.files import atomic_path
from poseworks.core.formats.csv_table import texts
from poseworks.core.formats.hints import Hints
from poseworks.core.formats.reading import built, read_text
from poseworks.core.formats.tracks import check_size, select_person
from poseworks.core.poses import PoseSequence, history_entry
from poseworks.core.skeletons import SKELETONS

HEADER = (
    "DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"
)  # fmt: skip
SCALES = {"m": ("m", 1.0), "meters": ("m", 1.0), "mm": ("mm", 1.0), "millimeters": ("mm", 1.0), "cm": ("m", 0.01)}
SIDED = {
    "Hip": "hip", "Knee": "knee", "Ankle": "ankle", "BigToe": "big_toe", "SmallToe": "small_toe", "Heel": "heel",
    "Shoulder": "shoulder", "Elbow": "elbow", "Wrist": "wrist", "Eye": "eye", "Ear": "ear",
}  # fmt: skip
# Pose2Sim's names of Halpe's joints; its "Neck" is the base of the neck, its "Head" the top of the head.
POSE2SIM = {
    "Hip": "pelvis", "Neck": "thorax", "Head": "head_top", "Nose": "nose",
    **{f"R{theirs}": f"right_{ours}" for theirs, ours in SIDED.items()},
    **{f"L{theirs}": f"left_{ours}" for theirs, ours in SIDED.items()},
}  # fmt: skip
MAX_FAULTS = 8


@dataclass(frozen=True)
class _Content:
    """What the text holds: the header by name, markers, and for each row frame number, seconds and (J*3) values."""

    header: dict[str, str]
    markers: tuple[str, ...]
    frames: list[int]
    seconds: list[float]
    values: list[list[float]]
    faults: list[str]


def read(path: Path, hints: Hints) -> PoseSequence:
    """The markers of one person, 3D.

    Raises:
        FormatError: with everything that is wrong with the file (the first rows of it).
        ConfigError: a hint is missing or contradicts the file.
        DataError: the file cannot be read.
    """
    hints.refuse(("people", "sequence", "first_frame", "world", "image_size"), path, "TRC")
    content = _content(read_text(path), path)
    faults = content.faults + _header_faults(content)
    if faults:
        more = f"; and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        raise FormatError(f"{path}: {'; '.join(faults[:MAX_FAULTS])}{more}.")
    unit, scale = SCALES[content.header["Units"].lower()]
    fps = hints.agree("fps", float(content.header["DataRate"]), path)
    positions, times = _arrays(content, fps, path)
    if scale != 1:
        positions *= scale
    names, order = _joints(content.markers)
    known = next((s.name for s in SKELETONS.values() if s.joint_names == names), "custom")
    settings: dict[str, object] = {"format": "trc", "units": content.header["Units"]}
    if times is None and content.seconds and content.seconds[0]:
        settings["first_second"] = content.seconds[0]
    poses = built(
        path,
        positions=positions[None, :, list(order)],
        confidence=np.isfinite(positions[None, :, list(order)]).all(axis=-1),
        joint_names=names,
        skeleton=hints.agree("skeleton", known, path),
        fps=fps,
        unit=hints.agree("unit", unit, path),
        frame=hints.frame or "world",
        times=times,
        history=(history_entry("read", "poseworks-core", settings),),
    )
    return select_person(poses, hints, path)


def write(poses: PoseSequence, path: Path) -> None:
    """Writes the markers of one person.

    Raises:
        DataError: naming all that the format cannot hold.
    """
    faults = []
    if poses.num_people != 1:
        faults.append(f"one person, not {poses.num_people}; select one")
    if poses.num_dims != 3 or poses.unit not in ("m", "mm") or poses.frame not in ("world", "camera"):
        faults.append(f"3D m or mm in the world or camera, not {poses.num_dims}D {poses.unit} in {poses.frame}")
    odd = [name for name in poses.joint_names if name != name.strip() or not name or set(name) & set("\t\r\n")]
    if odd:
        faults.append(f"names without tabs, line ends or outer blanks, not {odd[0]!r}")
    if faults:
        raise DataError(f"{path}: TRC files hold {'; '.join(faults)}. Write a poses file (.npz) instead.")
    frames, joints, fps = poses.num_frames, poses.num_joints, repr(poses.fps)
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "\t".join(HEADER),
        "\t".join([fps, fps, str(frames), str(joints), poses.unit, fps, "1", str(frames)]),
        "Frame#\tTime\t" + "\t\t\t".join(poses.joint_names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{joint + 1}" for joint in range(joints) for axis in "XYZ"),
        "",
    ]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.write("\n".join(lines) + "\n")
        seconds = poses.seconds.tolist()
        for start in range(0, frames, 1000):
            rows = texts(poses.positions[0, start : start + 1000].reshape(-1, 3 * joints))
            for frame, cells in enumerate(rows, start=start):
                stream.write("\t".join([str(frame + 1), repr(seconds[frame]), *cells]) + "\n")


def _content(text: str, path: Path) -> _Content:
    """The text, taken apart."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not lines[0].startswith("PathFileType"):
        raise FormatError(f"{path}: expected PathFileType at the beginning of a TRC file.")
    first = next((n for n, line in enumerate(lines[:16]) if line.lower().startswith("frame#")), None)
    names = next((n for n, line in enumerate(lines[: first or 0]) if line.startswith("DataRate")), None)
    if first is None or names is None or names + 1 >= first:
        raise FormatError(f"{path}: expected lines that begin with DataRate and with Frame#, as in every TRC file.")
    header = dict(zip(lines[names].split("\t"), (cell.strip() for cell in lines[names + 1].split("\t")), strict=False))
    markers = [cell.strip() for cell in lines[first].split("\t")[2:]]
    content = _Content(header, tuple(name for name in markers if name), [], [], [], [])
    width = 3 * len(content.markers)
    for number, line in enumerate(lines[first + 1 :], start=first + 2):
        cells = [cell.strip() for cell in line.split("\t")]
        if not any(cells) or (not content.frames and cells[0] == "" and any(c[:1] == "X" for c in cells)):
            continue
        try:
            frame, second = int(float(cells[0])), float(cells[1])
            values = [float(cell) if cell else math.nan for cell in cells[2 : 2 + width]]
        except (ValueError, IndexError, OverflowError):
            content.faults.append(f"line {number}: expected a frame number, seconds and coordinates")
            continue
        if any(cells[2 + width :]):
            content.faults.append(f"line {number}: more than 3 cells for each of {width // 3} markers")
        elif not math.isfinite(second) or abs(frame) >= 1 << 53:
            content.faults.append(f"line {number}: frame number or seconds out of range")
        else:
            content.frames.append(frame)
            content.seconds.append(second)
            content.values.append(values + [math.nan] * (width - len(values)))
    return content


def _header_faults(content: _Content) -> list[str]:
    """What the header misses, or says that the rows do not."""
    faults = []
    header = content.header
    missing = [name for name in ("DataRate", "NumFrames", "NumMarkers", "Units") if name not in header]
    if missing:
        faults.append(f"header: {', '.join(missing)} missing")
    if header.get("Units", "m").lower() not in SCALES:
        faults.append(f"header: Units {header['Units'][:20]!r}; expected m, mm or cm")
    for name, found in (("NumFrames", len(content.frames)), ("NumMarkers", len(content.markers))):
        text = header.get(name, str(found))
        if text != str(found) and not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) == found):
            faults.append(f"header: {name} is {text[:20]!r}, but there are {found}; is the file cut off?")
    try:
        rate = float(header.get("DataRate", "1"))
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        faults.append(f"header: DataRate {header['DataRate'][:20]!r}; expected a number above 0")
    if not content.markers:
        faults.append("no markers")
    if len(set(content.markers)) < len(content.markers):
        faults.append("a marker occurs twice")
    if any(later <= earlier for earlier, later in zip(content.frames, content.frames[1:], strict=False)):
        faults.append("frame numbers do not rise")
    return faults


def _arrays(content: _Content, fps: float, path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """((T, J, 3) positions in the file's unit and order, times where they are uneven)."""
    joints = len(content.markers)
    if not content.frames:
        return np.zeros((0, joints, 3), dtype=np.float32), None
    rows = np.array(content.frames) - content.frames[0]
    count = int(rows[-1]) + 1
    check_size(1, count, joints, len(rows), path)
    positions = np.full((count, joints, 3), np.nan, dtype=np.float32)
    with np.errstate(over="ignore"):
        positions[rows] = np.array(content.values, dtype=np.float32).reshape(len(rows), joints, 3)
    seconds = np.array(content.seconds)
    late = np.abs(seconds - seconds[0] - rows / fps)
    if late.max() <= max(1e-3, 0.02 / fps):
        return positions, None
    if count > len(rows):
        raise FormatError(f"{path}: frame numbers are left out and times do not fit the data rate {fps}.")
    return positions, seconds


def _joints(markers: Sequence[str]) -> tuple[tuple[str, ...], Sequence[int]]:
    """(names of joints, the markers' places in that order)."""
    translated = tuple(markers)
    if set(markers) <= set(POSE2SIM) and {"Hip", "Head"} <= set(markers):
        translated = tuple(POSE2SIM[name] for name in markers)
    for skeleton in SKELETONS.values():
        if skeleton.joint_names == translated:
            return translated, range(len(translated))
    for skeleton in SKELETONS.values():
        if set(skeleton.joint_names) == set(translated):
            return skeleton.joint_names, [translated.index(name) for name in skeleton.joint_names]
    return translated, range(len(translated))
