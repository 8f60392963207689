"""Data sets of SmoothNet and DeciWatch: an npz of pickled object arrays, one entry for each sequence.

    imgname       list of T texts "sequence/frame"
    joints_3d     T x (K*3), metres, relative to the root; `keypoints_3d` in SmoothNet's README
    joints_2d     T x (K*2), pixels; `keypoints_2d` there
    pose, shape   T x 72, T x 10: SMPL axis-angle and betas
    camera        T x 3, detected files only
    trans, scaling     T x 3, a number: AIST++, instead of shape
    imgshape, bbox     (height, width, ...), T x 4 (x0 y0 x1 y1): Sub-JHMDB

Which of them a file has depends on the set. K = 17 is h36m17_left_first, 14 is lsp14, 15 is jhmdb15, 24 smpl24;
another order of as many joints, or another K, needs the hint `skeleton`. The pickles are read without running code
(unpickling.py). The layout has no frame rate (hint `fps`), no confidence, no missing joints and no history. Written:
one sequence for each person, root-relative metres or pixels without a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.formats.hints import HOW, Hints
from poseworks.core.formats.reading import MAX_ARRAY_BYTES, built, read_npz, write_npz
from poseworks.core.formats.tracks import sequence_name, skeleton_by_count
from poseworks.core.poses import PoseSequence, history_entry
from poseworks.core.unpickling import restricted_loads

ALIASES = {"keypoints_3d": "joints_3d", "keypoints_2d": "joints_2d"}
POSE_KEYS = ("joints_3d", "joints_2d", "keypoints_3d", "keypoints_2d", "pose", "imgname")
# name: columns of its (T, columns) arrays; 0: any
TABLES = {"joints_3d": 0, "joints_2d": 0, "pose": 72, "shape": 10, "camera": 3, "trans": 3, "bbox": 4}
JOINTS = {17: "h36m17_left_first", 14: "lsp14", 15: "jhmdb15", 24: "smpl24"}


@dataclass(frozen=True)
class SmoothNetSequence:
    """One sequence of a data set, T frames.

    Attributes:
        name: what stands before the frame in `imgname`; ``sequence_N`` where there is none.
        imgname: T texts, or empty.
        tables: (T, columns) float64 by name: joints_3d (m), joints_2d (px), pose (rad), shape, camera, trans, bbox
            (px).
        scaling: AIST++'s number.
        imgshape: (height, width, ...) in pixels.
    """

    name: str
    imgname: tuple[str, ...]
    tables: Mapping[str, NDArray[np.float64]]
    scaling: float | None = None
    imgshape: tuple[int, ...] | None = None

    @property
    def num_frames(self) -> int:
        """T."""
        return len(next(iter(self.tables.values()), self.imgname))

    def joints(self, dims: int) -> NDArray[np.float64]:
        """(T, K, dims) joints: 3 in metres, 2 in pixels.

        Raises:
            DataError: the sequence has none.
        """
        table = self.tables.get(f"joints_{dims}d")
        if table is None:
            raise DataError(f"sequence {self.name}: has no joints_{dims}d; it has {', '.join(self.tables)}.")
        return table.reshape(len(table), -1, dims)


@dataclass(frozen=True)
class SmoothNetData:
    """All sequences of a file, in its order; `by_name` finds one."""

    sequences: tuple[SmoothNetSequence, ...]

    def by_name(self) -> dict[str, SmoothNetSequence]:
        """The sequences by their (different) names."""
        return {sequence.name: sequence for sequence in self.sequences}


def read_smoothnet_npz(
    path: Path, keys: Sequence[str] | None = None, max_bytes: int = MAX_ARRAY_BYTES
) -> SmoothNetData:
    """All sequences of a SmoothNet or DeciWatch file.

    Args:
        path: the npz.
        keys: read only these (and imgname); None: all. Large sets need not be read whole.
        max_bytes: bytes that what is read may unpack to; AIST++ needs more than the default of 2 GiB.

    Raises:
        FormatError: the file is not of this layout; every fault is listed.
        DataError: the file cannot be read.
    """
    path = Path(path)
    wanted = None if keys is None else {*keys, "imgname", *(a for a, name in ALIASES.items() if name in keys)}
    raw = read_npz(path, None if wanted is None else sorted(wanted), _objects, max_bytes)
    columns: dict[str, list[Any]] = {}
    faults = []
    for key, array in raw.items():
        name = ALIASES.get(key, key)
        if name in columns:
            faults.append(f"{key}: there is {name} too")
        elif name not in TABLES and name not in ("imgname", "scaling", "imgshape"):
            faults.append(f"unknown key {key}")
        else:
            columns[name] = _entries(array, name)
    counts = {name: len(entries) for name, entries in columns.items()}
    if len(set(counts.values())) > 1:
        faults.append(f"numbers of sequences differ: {', '.join(f'{n} {c}' for n, c in counts.items())}")
    if not set(TABLES) & set(columns):
        faults.append(f"none of the keys {', '.join(TABLES)}")
    if faults:
        raise FormatError(f"{path}: {'; '.join(faults)}.")
    sequences: list[SmoothNetSequence] = []
    for place in range(next(iter(counts.values()))):
        try:
            sequences.append(_sequence({name: entries[place] for name, entries in columns.items()}, place))
        except FormatError as error:
            faults.append(f"sequence {place}: {error}")
    if faults:
        more = f"; and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise FormatError(f"{path}: {'; '.join(faults[:8])}{more}.")
    return SmoothNetData(_with_different_names(sequences))


def read(path: Path, hints: Hints) -> PoseSequence:
    """One sequence as poses of one person: 3D metres relative to the root, or 2D pixels.

    Raises:
        FormatError: the file is not of this layout.
        ConfigError: a hint is missing (fps; sequence; unit where there are 2D and 3D joints) or contradicts the file.
        DataError: the file cannot be read, or has no joints.
    """
    hints.refuse(("people", "first_frame", "world"), path, "SmoothNet")
    data = read_smoothnet_npz(path, ("joints_3d", "joints_2d", "imgshape"))
    if not data.sequences:
        raise DataError(f"{path}: holds no sequence.")
    name = sequence_name([sequence.name for sequence in data.sequences], hints, path)
    sequence = data.by_name()[name]
    dims = _dims(sequence, hints, path)
    joints = sequence.joints(dims)
    if hints.person not in (None, 0):
        raise DataError(f"{path}: a sequence has one person. Leave person out, or give {HOW['sequence']}.")
    size = hints.image_size
    if dims == 2 and sequence.imgshape is not None and len(sequence.imgshape) >= 2:
        size = hints.agree("image_size", (sequence.imgshape[1], sequence.imgshape[0]), path)
    unit, frame = ("m", "root") if dims == 3 else ("px", "image")
    if dims == 3:
        hints.refuse(("image_size",), path, "3D SmoothNet")
    hints.agree("unit", unit, path)
    hints.agree("frame", frame, path)
    skeleton = skeleton_by_count(joints.shape[1], hints, path, "smoothnet", JOINTS)
    settings = {"format": "smoothnet", "sequence": name}
    return built(
        path,
        positions=joints[None],
        joint_names=skeleton.joint_names,
        skeleton=skeleton.name,
        fps=hints.need("fps", path, "SmoothNet files do not say how many frames a second they hold"),
        unit=unit,
        frame=frame,
        image_size=size if dims == 2 else None,
        history=(history_entry("read", "poseworks-core", settings),),
    )


def write(poses: PoseSequence, path: Path) -> None:
    """Writes one sequence for each person: joints_3d (metres, root-relative) or joints_2d (pixels), and imgname.

    Raises:
        DataError: naming all that the layout cannot hold.
    """
    flat = poses.num_dims == 2 and poses.unit == "px" and poses.frame == "image"
    space = poses.num_dims == 3 and poses.unit == "m" and poses.frame == "root"
    faults = []
    if not (flat or space):
        faults.append(f"2D px or 3D m relative to the root, not {poses.num_dims}D {poses.unit} in {poses.frame}")
    if not poses.observed.all():
        faults.append(f"every joint of every frame, but {int((~poses.observed).sum())} were not observed")
    if poses.times is not None:
        faults.append("evenly spaced frames, but these have times of their own")
    if not poses.num_people * poses.num_frames:
        faults.append(f"at least one person and frame, not {poses.num_people} and {poses.num_frames}")
    if faults:
        raise DataError(f"{path}: SmoothNet files hold {'; '.join(faults)}. Write a poses file (.npz) instead.")
    ids = range(poses.num_people) if poses.person_ids is None else poses.person_ids.tolist()
    frames = [f"{frame:06d}.jpg" for frame in range(poses.num_frames)]
    columns: dict[str, list[Any]] = {
        "imgname": [[f"person_{person}/{frame}" for frame in frames] for person in ids],
        f"joints_{poses.num_dims}d": [table.reshape(poses.num_frames, -1) for table in poses.positions],
    }
    if poses.image_size is not None:
        columns["imgshape"] = [(poses.image_size[1], poses.image_size[0])] * poses.num_people
    arrays = {name: _object_array(entries) for name, entries in columns.items()}
    write_npz(path, arrays)


def _object_array(entries: Sequence[Any]) -> NDArray[Any]:
    """(N,) objects; NumPy would join equal lengths into more axes."""
    array = np.empty(len(entries), dtype=object)
    for place, entry in enumerate(entries):
        array[place] = entry
    return array


def _objects(data: memoryview) -> NDArray[Any]:
    """The pickled array, read without running code."""
    array = restricted_loads(data)
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(object):
        raise FormatError("pickle: expected an array of objects")
    return array


def _entries(array: NDArray[Any], name: str) -> list[Any]:
    """One entry for each sequence; a file whose sequences are equally long holds a plain array."""
    if array.ndim == 0:
        return [array.item()]
    # One bare list of names is one sequence, as NumPy makes of it.
    if name == "imgname" and array.ndim == 1 and all(isinstance(item, str) for item in array.tolist()):
        return [array.tolist()]
    return list(array)


def _sequence(values: Mapping[str, Any], place: int) -> SmoothNetSequence:
    """One sequence, checked."""
    faults = []
    tables = {}
    for name in TABLES:
        if name in values:
            try:
                tables[name] = _table(values[name], name)
            except FormatError as error:
                faults.append(str(error))
    names = _names(values.get("imgname", ()), faults)
    lengths = {name: len(table) for name, table in tables.items()} | ({"imgname": len(names)} if names else {})
    if len(set(lengths.values())) > 1:
        faults.append(f"lengths differ: {', '.join(f'{name} {length}' for name, length in lengths.items())}")
    scaling = imgshape = None
    try:
        if "scaling" in values:
            scaling = float(_numbers(values["scaling"], "scaling").reshape(-1)[0])
        if "imgshape" in values:
            row = _numbers(values["imgshape"], "imgshape").reshape(-1)[:4]
            imgshape = tuple(int(size) for size in row)
    except (FormatError, IndexError, ValueError, OverflowError) as error:
        faults.append(str(error) if isinstance(error, FormatError) else "scaling or imgshape: expected finite numbers")
    if faults:
        raise FormatError("; ".join(faults))
    folder = names[0].replace("\\", "/").rpartition("/")[0] if names else ""
    return SmoothNetSequence(folder or f"sequence_{place}", names, tables, scaling, imgshape)


def _table(value: Any, name: str) -> NDArray[np.float64]:
    """(T, columns) finite float64."""
    table = _numbers(value, name)
    dims = {"joints_3d": 3, "joints_2d": 2}.get(name)
    if dims and table.ndim == 3 and table.shape[-1] == dims:
        table = table.reshape(len(table), -1)
    columns = TABLES[name]
    wrong = table.ndim != 2 or (columns and table.shape[1] != columns) or (dims and table.shape[1] % dims)
    if wrong or not table.shape[-1]:
        expected = columns or f"a multiple of {dims}"
        raise FormatError(f"{name}: expected (T, {expected}), got {table.shape}")
    if not np.isfinite(table).all():
        raise FormatError(f"{name}: not finite everywhere")
    return table


def _numbers(value: Any, name: str) -> NDArray[np.float64]:
    """Numbers as float64, from an array, a number, or a list of numbers, of arrays or of lists of numbers.

    Deeper lists are refused: an unpickled list may hold itself, or another list twice, and that twice, ...
    """
    try:
        if isinstance(value, np.ndarray) and (value.dtype != object or value.ndim > 1):
            if value.dtype.kind not in "fiubO":
                raise FormatError(f"{name}: expected numbers, got {value.dtype}")
            with np.errstate(invalid="ignore"):
                return value.astype(np.float64)
        if isinstance(value, np.ndarray | list | tuple):
            rows = [_flat(row, name) for row in value]
            if sum(map(np.size, rows)) > MAX_ARRAY_BYTES // 8:
                raise FormatError(f"{name}: too large")
            return np.asarray(rows, dtype=np.float64)
        return np.asarray(_flat(value, name), dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{name}: expected numbers, as many in every row") from error


def _flat(row: Any, name: str) -> Any:
    """One row, which holds no lists."""
    if isinstance(row, list | tuple):
        plain = all(isinstance(item, int | float | np.number) for item in row)
    else:
        plain = isinstance(row, int | float | np.number) or (isinstance(row, np.ndarray) and row.dtype.kind in "fiu")
    if not plain:
        raise FormatError(f"{name}: expected numbers")
    return row


def _names(value: Any, faults: list[str]) -> tuple[str, ...]:
    """imgname as texts."""
    if isinstance(value, np.ndarray):
        value = value.reshape(-1).tolist()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str | bytes) for item in value):
        faults.append("imgname: expected a list of texts")
        return ()
    return tuple(item if isinstance(item, str) else item.decode("latin-1") for item in value)


def _with_different_names(sequences: Sequence[SmoothNetSequence]) -> tuple[SmoothNetSequence, ...]:
    """The sequences; where two have one name, the later get #1, #2, ... behind it."""
    seen: dict[str, int] = {}
    result = []
    for sequence in sequences:
        times = seen.get(sequence.name, 0)
        seen[sequence.name] = times + 1
        name = f"{sequence.name}#{times}" if times else sequence.name
        result.append(SmoothNetSequence(name, sequence.imgname, sequence.tables, sequence.scaling, sequence.imgshape))
    return tuple(result)


def _dims(sequence: SmoothNetSequence, hints: Hints, path: Path) -> int:
    """2 or 3: what the sequence has, or where it has both what the hint `unit` asks for."""
    found = [dims for dims in (2, 3) if f"joints_{dims}d" in sequence.tables]
    if not found:
        raise DataError(f"{path}: has neither joints_3d nor joints_2d; it holds SMPL motion alone.")
    if len(found) == 1:
        return found[0]
    if hints.unit not in ("px", "m"):
        raise ConfigError(f"{path}: has joints_2d and joints_3d. Choose: unit='px' or 'm' (--unit px, --unit m).")
    return 2 if hints.unit == "px" else 3
