"""Human3.6M in the two layouts that the lifting systems were published on. The files must be brought along.

LCN: ``h36m_train.pkl`` and ``h36m_test.pkl``, each a list of frames, and the detected keypoints beside them:

    joint_3d_image   (17, 3) pixels x, y, and depth relative to the root in pixels (`image_space`)
    joint_3d_camera  (17, 3) mm in the axes of the camera
    box              (4,) x0 y0 x1 y1 pixels;  root_depth: mm;  camera_param: {fx fy cx cy name, R T k p}
    subject, action  numbers; also subaction, videoid, cameraid, imageid, image_path, center, scale: not used

    h36m_sh_dt_ft.pkl   {train, test: {joint3d_image (N, 17, >= 2) detected x, y, confidence (N, 17, 1)}}, frame by
                        frame as in the lists

EHGFormer: ``h36m_sh_conf_cam_source_final.pkl``, {train, test: {...}}:

    joint_2d         (N, 17, >= 2) pixels;  confidence: (N, 17, 1) or (N, 17), ones where there is none
    joint3d_image    (N, 17, 3) as joint_3d_image above
    camera_name      N texts;  source: N names of recordings, s_09_act_05_subact_02_ca_01
    test alone: joints_2.5d_image or joint_2.5d_image (N, 17, 3) mm, 2.5d_factor (N) mm a pixel, action (N) names

They are read without running code (poseworks.core.unpickling), and copied once: what is read of a file is what the
returned arrays take, a quarter more for a moment where the frames come one by one, and 0.1 GB beside it. For the
1,559,752 training frames that is 0.7 GB (LCN), 0.9 GB (LCN, detected keypoints) or 0.65 GB (EHGFormer).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from poseworks.core.data_folders import data_roots, where_looked
from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.unpickling import restricted_items, restricted_load
from poseworks.lifting.h36m import CAMERA_SIZES

Split = Literal["train", "test"]
Mode = Literal["gt", "dt_ft"]
Floats = NDArray[np.float32]
Numbers = NDArray[np.int32]

CAMERAS = tuple(CAMERA_SIZES)
JOINTS = 17
MAX_BYTES = 1 << 35
LCN_FILES: Mapping[Split, str] = {"train": "h36m_train.pkl", "test": "h36m_test.pkl"}
DETECTED_FILE = "h36m_sh_dt_ft.pkl"
EHGFORMER_FILE = "h36m_sh_conf_cam_source_final.pkl"
# Where they lie under a folder of POSEWORKS_DATA: as published, or directly in h36m/.
LCN_PLACES = ("h36m", "h36m/dataset", "dataset", ".")
# The training script looks beside its sliced clips, the distillation script one level up.
_SOURCE_PLACES = ("motion3d/H36M-SH/Mixste_Style_v2", "motion3d/H36M-SH")
EHGFORMER_PLACES = (
    *(f"{base}{place}" for base in ("h36m/data/", "h36m/", "data/", "") for place in _SOURCE_PLACES), "h36m", "."
)  # fmt: skip
_ALIASES = {"joint_2.5d_image": "joints_2.5d_image"}
_SIZES = np.array(list(CAMERA_SIZES.values()), dtype=np.int32)
_ROWS = 1 << 14  # that are checked at a time
_SHOWN = 12  # faults
_LARGEST = 1e30  # of a number that float32 holds


@dataclass(frozen=True, eq=False)
class LCNFrames:
    """Frames of LCN's data base, N of them in the order of the file.

    Attributes:
        keypoints: (N, 17, 2) pixels, true or detected; true ones are a view of `joints_image`.
        confidence: (N, 17), ones for true keypoints (then not to be written to).
        joints_image: (N, 17, 3) pixels x, y, and depth relative to the root in pixels.
        joints_camera_mm: (N, 17, 3) in the axes of the camera.
        box: (N, 4) x0 y0 x1 y1 pixels.
        root_depth: (N,) mm.
        focal, centre: (N, 2) fx fy, cx cy in pixels.
        camera: (N,) which of CAMERAS.
        subject, action: (N,) numbers, actions 2 to 16.
    """

    keypoints: Floats
    confidence: Floats
    joints_image: Floats
    joints_camera_mm: Floats
    box: Floats
    root_depth: Floats
    focal: Floats
    centre: Floats
    camera: Numbers
    subject: Numbers
    action: Numbers

    def __len__(self) -> int:
        return len(self.joints_image)

    @property
    def image_size(self) -> Numbers:
        """(N, 2) width and height in pixels."""
        return _SIZES[self.camera]


@dataclass(frozen=True, eq=False)
class EHGFormerFrames:
    """Frames of EHGFormer's source file, N of them in the order of the file.

    Attributes:
        keypoints: (N, 17, 2) detected, pixels.
        confidence: (N, 17); ones where the file has none (then not to be written to).
        joints_image: (N, 17, 3) pixels x, y, and depth relative to the root in pixels.
        camera: (N,) which of CAMERAS.
        recording: (N,) which of `recordings`.
        recordings: names, in the order in which they come.
        joints_25d: test: (N, 17, 3) float64 mm, what predictions are compared with.
        factor: test: (N,) float64 mm a pixel.
        action: test: (N,) which of `actions`.
        actions: test: names, in the order in which they come.
    """

    keypoints: Floats
    confidence: Floats
    joints_image: Floats
    camera: Numbers
    recording: Numbers
    recordings: tuple[str, ...]
    joints_25d: NDArray[np.float64] | None = None
    factor: NDArray[np.float64] | None = None
    action: Numbers | None = None
    actions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.joints_image)

    @property
    def image_size(self) -> Numbers:
        """(N, 2) width and height in pixels."""
        return _SIZES[self.camera]


# --- where the files are ----------------------------------------------------------------------------------------------


def find_lcn(data: str | os.PathLike[str] | None = None, files: Iterable[str] = tuple(LCN_FILES.values())) -> Path:
    """The folder that holds LCN's `files`.

    Args:
        data: one or more folders as in POSEWORKS_DATA (separated as in PATH); None: that variable.

    Raises:
        DataError: no folder has them all; says what to put where.
    """
    wanted = list(files)
    roots = data_roots(data)
    for root in roots:
        for place in LCN_PLACES:
            if all((root / place / name).is_file() for name in wanted):
                return root / place
    raise _not_present("LCN", wanted, LCN_PLACES[:2], roots)


def find_ehgformer(data: str | os.PathLike[str] | None = None) -> Path:
    """EHGFormer's source file, at either of the two places where the published scripts look for it.

    Args:
        data: the file, or one or more folders as in POSEWORKS_DATA; None: that variable.

    Raises:
        DataError: it is not there (says where to put it), or two places hold different ones.
    """
    roots = data_roots(data)
    if len(roots) == 1 and roots[0].is_file():
        return roots[0]
    for root in roots:
        found = [path for place in EHGFORMER_PLACES if (path := root / place / EHGFORMER_FILE).is_file()]
        others = [path for path in found[1:] if path.stat().st_size != found[0].stat().st_size]
        if others:
            raise DataError(
                f"{found[0]} and {others[0]} differ in size. The training script reads the first, the distillation "
                "script the second. Remove one, or give the file itself with --data."
            )
        if found:
            return found[0]
    raise _not_present("EHGFormer", [EHGFORMER_FILE], ("h36m", "h36m/motion3d/H36M-SH"), roots)


def _not_present(method: str, files: Sequence[str], places: Sequence[str], roots: Sequence[Path]) -> DataError:
    return DataError(
        f"Human3.6M as {method} reads it is not present. Put {' and '.join(files)} into {' or '.join(places)} of a "
        f"folder that POSEWORKS_DATA or --data names; looked in {where_looked(roots)}. The files come from the authors "
        f"of {method}; `poseworks-lifting build` makes them from 3D data of your own, or a synthetic sample."
    )


# --- LCN --------------------------------------------------------------------------------------------------------------


def read_lcn(folder: str | os.PathLike[str], split: Split, mode: Mode = "gt") -> LCNFrames:
    """All frames of a split.

    Args:
        folder: holds ``h36m_train.pkl`` or ``h36m_test.pkl``, and for `mode` dt_ft ``h36m_sh_dt_ft.pkl``.
        mode: gt: keypoints are the true projections; dt_ft: those of the finetuned detector.

    Raises:
        FormatError: a file is damaged or not of this layout; lists every fault.
        DataError: a file cannot be read, or the two differ in their numbers of frames.
    """
    path = Path(folder) / LCN_FILES[split]
    items = _Items()
    restricted_items(path, items.take, max_bytes=MAX_BYTES)
    items.faults.raise_any(path)
    columns = items.columns()
    joints = columns["joints_image"]
    if mode == "gt":
        keypoints, confidence = joints[..., :2], _ones(len(joints))
    elif mode == "dt_ft":
        keypoints, confidence = _read_detected(Path(folder) / DETECTED_FILE, split)
        if len(keypoints) != len(joints):
            raise DataError(f"{path}: {len(joints)} frames, but {DETECTED_FILE} has {len(keypoints)} of {split}.")
    else:
        raise ConfigError(f"mode: {mode!r}: expected gt or dt_ft.")
    return LCNFrames(keypoints=keypoints, confidence=confidence, **columns)


class _Items:
    """Takes items as they are read into arrays that grow, and drops them."""

    SHAPES: Mapping[str, tuple[int, ...]] = {
        "joints_image": (JOINTS, 3), "joints_camera_mm": (JOINTS, 3), "box": (4,), "root_depth": (), "focal": (2,),
        "centre": (2,),
    }  # fmt: skip
    NUMBERS = ("camera", "subject", "action")

    def __init__(self) -> None:
        self.faults = Faults()
        self.count = 0
        self.arrays: dict[str, NDArray[Any]] = {
            **{name: np.empty((0, *shape), np.float32) for name, shape in self.SHAPES.items()},
            **{name: np.empty(0, np.int32) for name in self.NUMBERS},
        }

    def take(self, items: list[Any]) -> None:
        """Adds items."""
        rows = [row for number, item in enumerate(items, self.count) if (row := self._row(item, number)) is not None]
        first, self.count = self.count, self.count + len(items)
        if len(rows) < len(items):
            return  # what was read is not wanted any more, only the other faults are
        self._reserve(self.count)
        for name, values in zip(self.arrays, zip(*rows, strict=True), strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                self.arrays[name][first : self.count] = values
            finite = np.isfinite(self.arrays[name][first : self.count].reshape(len(rows), -1)).all(axis=1)
            if not finite.all():
                bad = int((~finite).sum())
                self.faults.add(f"{name}: values that are not finite", f"item {first + int(np.argmin(finite))}", bad)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The arrays, without the room left over."""
        self._reserve(self.count, exactly=True)
        return self.arrays

    def _reserve(self, rows: int, exactly: bool = False) -> None:
        """Room for so many rows. The system moves the memory in place: there are never two copies."""
        if not exactly and len(self.arrays["camera"]) >= rows:
            return
        room = rows if exactly else rows + rows // 4
        for array in self.arrays.values():
            array.resize((room, *array.shape[1:]), refcheck=False)

    def _row(self, item: Any, number: int) -> tuple[Any, ...] | None:
        """The columns of one item, in the order of `arrays`; None if it has a fault."""
        where, before = f"item {number}", self.faults.total
        if type(item) is not dict:
            self.faults.add(f"{type(item).__name__} instead of a dict", where)
            return None
        image, joints, box = (
            self._array(item, key, shape, where)
            for key, shape in (("joint_3d_image", (JOINTS, 3)), ("joint_3d_camera", (JOINTS, 3)), ("box", (4,)))
        )
        depth, subject, action = (self._number(item, key, where) for key in ("root_depth", "subject", "action"))
        camera = item.get("camera_param")
        if type(camera) is not dict:
            self.faults.add("camera_param is missing or no dict", where)
            return None
        fx, fy, cx, cy = (self._number(camera, key, where) for key in ("fx", "fy", "cx", "cy"))
        name = _text(camera.get("name"))
        if name not in CAMERA_SIZES:
            self.faults.add(_unknown_camera(name), where)
        if self.faults.total > before:
            return None
        for wrong, what in (
            (fx <= 0 or fy <= 0, "a focal length that is not positive"),
            (depth <= 0, "a root_depth that is not positive"),
            (box[2] <= box[0], "a box without width"),
            (
                subject % 1 or action % 1 or max(abs(subject), abs(action)) > 1000,
                "subject or action is no small integer",
            ),
        ):
            if wrong:
                self.faults.add(what, where)
        if self.faults.total > before:
            return None
        return image, joints, box, depth, (fx, fy), (cx, cy), CAMERAS.index(str(name)), subject, action

    def _array(self, item: Mapping[str, Any], key: str, shape: tuple[int, ...], where: str) -> Any:
        """An array of the shape; None, and a fault, where there is none."""
        value = item.get(key)
        if type(value) is list and len(value) == shape[0]:
            value = _as_array(value)
        if isinstance(value, np.ndarray) and value.shape == shape and value.dtype.kind in "fiu":
            return value
        found = "missing" if value is None else _described(value)
        self.faults.add(f"{key} is {found}, expected {shape} numbers", where)
        return None

    def _number(self, item: Mapping[str, Any], key: str, where: str) -> Any:
        """A float; None, and a fault, where there is none."""
        value = item.get(key)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1)[0]
        if _is_number(value):
            return float(value)  # type: ignore[arg-type]
        found = "missing" if value is None else _described(value)
        self.faults.add(f"{key} is {found}, expected a number", where)
        return None


def _read_detected(path: Path, split: Split) -> tuple[Floats, Floats]:
    """Keypoints and confidence of ``h36m_sh_dt_ft.pkl``."""
    table = _Table.read(path, split, ("joint3d_image",))
    keypoints = table.floats("joint3d_image", (JOINTS, ">=2"), 2)
    confidence = table.confidence()
    table.faults.raise_any(path)
    return keypoints, confidence


# --- EHGFormer --------------------------------------------------------------------------------------------------------


def read_ehgformer(path: str | os.PathLike[str], split: Split) -> EHGFormerFrames:
    """All frames of a split of ``h36m_sh_conf_cam_source_final.pkl``; `find_ehgformer` says where it is.

    Raises:
        FormatError: the file is damaged or not of this layout; lists every fault.
        DataError: it cannot be read.
    """
    file = Path(path)
    test = split == "test"
    wanted = ("joint_2d", "joint3d_image", "camera_name", "source")
    table = _Table.read(file, split, (*wanted, "joints_2.5d_image", "2.5d_factor", "action") if test else wanted)
    keypoints = table.floats("joint_2d", (JOINTS, ">=2"), 2)
    confidence = table.confidence()
    joints = table.floats("joint3d_image", (JOINTS, ">=3"), 3)
    cameras, names = table.texts("camera_name")
    for place in [place for place, name in enumerate(names) if name not in CAMERA_SIZES][:_SHOWN]:
        frames = np.flatnonzero(cameras == place)
        table.faults.add(_unknown_camera(names[place]), f"frame {frames[0]}", len(frames))
    recording, recordings = table.texts("source")
    truth = table.doubles("joints_2.5d_image", (JOINTS, "3")) if test else None
    factor = table.doubles("2.5d_factor", ()) if test else None
    if factor is not None and not (factor > 0).all():
        table.faults.add("2.5d_factor: expected mm a pixel above 0", f"frame {int(np.argmin(factor > 0))}")
    action, actions = table.texts("action") if test else (None, ())
    table.faults.raise_any(file)
    order = np.array([CAMERAS.index(name) for name in names], dtype=np.int32)  # all known: else there was a fault
    return EHGFormerFrames(
        keypoints=keypoints,
        confidence=confidence,
        joints_image=joints,
        camera=order[cameras],
        recording=recording,
        recordings=recordings,
        joints_25d=truth,
        factor=factor,
        action=action,
        actions=actions,
    )


def read_recordings(path: str | os.PathLike[str], split: Split) -> tuple[Numbers, tuple[str, ...]]:
    """(N,) which recording each frame of a source file is of, and their names, without reading the rest.

    Raises:
        FormatError: the file is damaged or not of this layout. DataError: it cannot be read.
    """
    table = _Table.read(Path(path), split, ("source",))
    recording, names = table.texts("source")
    table.faults.raise_any(path)
    return recording, names


class _Table:
    """One split of a pickled {train, test: {name: N rows}}, whose arrays lie in the file until they are asked for."""

    def __init__(self, part: Mapping[Any, Any], split: Split, wanted: Sequence[str]) -> None:
        self.faults = Faults()
        self.entries: dict[str, Any] = {}
        for key, value in part.items():
            name = _ALIASES.get(key, key)
            if name in self.entries:
                self.faults.add(f"{name} is there twice, in both spellings")
            self.entries[name] = value
        self.missing = [key for key in wanted if key not in self.entries]
        for key in self.missing:
            other = next((f" (or {old})" for old, new in _ALIASES.items() if new == key), "")
            self.faults.add(f"{split} has no {key}{other}; it has {_listed(part)}")
        counts = {key: n for key in (*wanted, "confidence") if (n := _length(self.entries.get(key))) is not None}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{key} {n}" for key, n in counts.items())
            self.faults.add(f"{split}: numbers of frames differ: {listed}")
        self.rows = next(iter(counts.values()), 0)
        if counts and not self.rows:
            self.faults.add(f"{split} has no frames")

    @classmethod
    def read(cls, path: Path, split: Split, wanted: Sequence[str]) -> _Table:
        """The split of a file."""
        content = restricted_load(path, max_bytes=MAX_BYTES, mapped=True)
        part = content.get(split) if type(content) is dict else None
        if type(part) is not dict:
            holds = f"a dict of {_listed(content)}" if type(content) is dict else f"a {type(content).__name__}"
            raise FormatError(f"{path}: expected a dict that holds a dict {split}, got {holds}.")
        return cls(part, split, wanted)

    def floats(self, key: str, shape: tuple[Any, ...], channels: int) -> Floats:
        """The first channels of (N, *shape) as float32, a copy of its own."""
        array = self._checked(key, shape)
        with np.errstate(over="ignore"):  # is a fault already
            return np.array(array[..., :channels], dtype=np.float32, order="C")

    def doubles(self, key: str, shape: tuple[Any, ...]) -> NDArray[np.float64]:
        """(N, *shape) as float64, a copy of its own."""
        return np.array(self._checked(key, shape), dtype=np.float64, order="C")

    def confidence(self) -> Floats:
        """(N, 17), ones where there is none."""
        value = self.entries.get("confidence")
        if value is None:
            return _ones(self.rows)
        array = value if isinstance(value, np.ndarray) else _as_array(value)
        if array is not None and array.ndim == 3 and array.shape[-1] == 1:
            self.entries["confidence"] = array[..., 0]
        return self.floats("confidence", (JOINTS,), JOINTS)

    def texts(self, key: str) -> tuple[Numbers, tuple[str, ...]]:
        """(N,) which name each row has, and the names in the order in which they come."""
        values = self.entries.get(key)
        places: dict[str, int] = {}
        if isinstance(values, np.ndarray) and values.ndim != 1:
            values = values.reshape(-1) if values.ndim and values.size == len(values) else None
        if not isinstance(values, list | tuple | np.ndarray):
            if key not in self.missing:
                self.faults.add(f"{key}: expected a list of N texts, got {_described(self.entries.get(key))}")
            return np.zeros(self.rows, np.int32), ()
        numbers = np.empty(len(values), np.int32)
        for start in range(0, len(values), _ROWS):
            part = values[start : start + _ROWS]
            for row, value in enumerate(part.tolist() if isinstance(part, np.ndarray) else part, start):
                name = _text(value)
                if name is None:
                    self.faults.add(f"{key}: {_described(value)} instead of a text", f"frame {row}")
                    name = ""
                numbers[row] = places.setdefault(name, len(places))
        return numbers, tuple(places)

    def _checked(self, key: str, shape: tuple[Any, ...]) -> NDArray[Any]:
        """The array, or an empty one of the shape if it has faults."""
        value = self.entries.get(key)
        smallest = tuple(int(str(axis).removeprefix(">=")) for axis in shape)
        nothing = np.zeros((0, *smallest), np.float32)
        if key in self.missing:
            return nothing
        array = value if isinstance(value, np.ndarray) else _as_array(value)
        if array is None or array.dtype.kind not in "fiu":
            self.faults.add(f"{key}: expected an array of numbers, got {_described(value)}")
            return nothing
        if not smallest and array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        fits = array.ndim == 1 + len(shape) and all(
            size >= least if str(axis).startswith(">=") else size == least
            for size, least, axis in zip(array.shape[1:], smallest, shape, strict=True)
        )
        if not fits:
            expected = ", ".join(["N", *map(str, shape)])
            self.faults.add(f"{key}: expected ({expected}), got {array.shape}")
            return nothing
        for start in range(0, len(array), _ROWS):
            part = array[start : start + _ROWS]
            rows = part.reshape(len(part), -1)
            finite = (np.isfinite(rows) & (np.abs(rows) < np.float64(_LARGEST))).all(axis=1)
            if not finite.all():
                first = start + int(np.argmin(finite))
                self.faults.add(f"{key}: values that are not finite", f"frame {first}", int((~finite).sum()))
        return array


# --- what a file is ---------------------------------------------------------------------------------------------------


def data_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a pickled data file is: layout, frames, cameras, recordings, actions, what is missing or left over.

    Raises:
        FormatError: it is damaged, or of neither layout. DataError: it cannot be read.
    """
    file = Path(path)
    facts: dict[str, Any] = {"file": file, "what": "data"}
    if _starts_a_list(file):
        items = _ItemFacts()
        restricted_items(file, items.take, max_bytes=MAX_BYTES)
        return {**facts, **items.facts()}
    content = restricted_load(file, max_bytes=MAX_BYTES, mapped=True)
    splits: list[Split] = [
        name for name in ("train", "test") if type(content) is dict and type(content.get(name)) is dict
    ]
    if not splits:
        holds = f"a dict of {_listed(content)}" if type(content) is dict else f"a {type(content).__name__}"
        raise FormatError(f"{file}: expected a list of frames, or a dict of train and test; got {holds}.")
    source = any({"joint_2d", "source"} & set(content[name]) for name in splits)
    facts["layout"] = f"EHGFormer ({EHGFORMER_FILE})" if source else f"LCN, detected keypoints ({DETECTED_FILE})"
    return {**facts, **{name: _table_facts(content[name], name, source) for name in splits}}


class _ItemFacts(_Items):
    """Counts what items hold, and keeps none."""

    KNOWN = frozenset(
        ("joint_3d_image", "joint_3d_camera", "box", "root_depth", "camera_param", "subject", "action", "subaction",
         "videoid", "cameraid", "imageid", "image_path", "center", "scale")
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Counter[int]] = {name: Counter() for name in self.NUMBERS}
        self.left_over: set[str] = set()

    def take(self, items: list[Any]) -> None:
        """Counts items."""
        for number, item in enumerate(items, self.count):
            row = self._row(item, number)
            for name, value in zip(self.NUMBERS, () if row is None else row[-3:], strict=row is not None):
                self.seen[name][int(value)] += 1
            if type(item) is dict and len(self.left_over) < _SHOWN:
                self.left_over |= {str(key)[:40] for key in item} - self.KNOWN
        self.count += len(items)

    def facts(self) -> dict[str, Any]:
        """What was counted."""
        cameras = {CAMERAS[place]: count for place, count in sorted(self.seen["camera"].items())}
        problem = self.faults.text()
        return {
            "layout": f"LCN ({' or '.join(LCN_FILES.values())})",
            "frames": self.count,
            "frames_by_camera": cameras,
            "frames_by_subject": dict(sorted(self.seen["subject"].items())),
            "frames_by_action": dict(sorted(self.seen["action"].items())),
            "left_over": sorted(self.left_over),
            **({"problem": problem} if problem else {}),
        }


def _table_facts(part: Mapping[str, Any], split: Split, source: bool) -> dict[str, Any]:
    """Keys with their shapes, names with their counts."""
    wanted = {"joint_2d", "joint3d_image", "camera_name", "source"} if source else {"joint3d_image"}
    if source and split == "test":
        wanted |= {"joints_2.5d_image", "2.5d_factor", "action"}
    table = _Table(part, split, sorted(wanted))
    facts: dict[str, Any] = {
        "frames": table.rows,
        "arrays": {str(key): _described(value) for key, value in part.items()},
    }
    for key in ("camera_name", "source", "action"):
        if key in wanted and key not in table.missing:
            numbers, names = table.texts(key)
            counts = np.bincount(numbers, minlength=len(names)).tolist()
            if key == "source":
                shortest = min(range(len(names)), key=counts.__getitem__, default=None)
                facts["recordings"] = len(names)
                if shortest is not None:
                    facts["shortest_recording"] = {names[shortest]: counts[shortest]}
            else:
                facts[f"frames_by_{key}"] = dict(list(zip(names, counts, strict=True))[:64])
    facts["missing"] = table.missing + ([] if "confidence" in table.entries else ["confidence (ones are taken)"])
    facts["left_over"] = sorted(str(key)[:40] for key in set(table.entries) - wanted - {"confidence"})
    problem = table.faults.text()
    return {**facts, **({"problem": problem} if problem else {})}


def _starts_a_list(path: Path) -> bool:
    """The first value of the pickle is a list, judged by its first instructions."""
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError:
        return False  # the reader says what is wrong
    if head[:1] == b"\x80":
        head = head[2:]
    if head[:1] == b"\x95":
        head = head[9:]
    return head.startswith((b"]", b"(l"))


# --- faults -----------------------------------------------------------------------------------------------------------


class Faults:
    """What is wrong with a file, each kind once, with the number of times and the first place."""

    def __init__(self) -> None:
        self.total = 0
        self._kinds: dict[str, list[Any]] = {}

    def add(self, message: str, where: str = "", count: int = 1) -> None:
        """Counts a fault."""
        self.total += count
        if message in self._kinds or len(self._kinds) < 1000:
            self._kinds.setdefault(message, [where, 0])[1] += count

    def text(self) -> str:
        """All of them in a line; empty if there are none."""
        shown = [
            message + (f" ({where}{f' and {count - 1} more' if count > 1 else ''})" if where else "")
            for message, (where, count) in list(self._kinds.items())[:_SHOWN]
        ]
        more = len(self._kinds) - len(shown)
        return "; ".join(shown) + (f"; and {more} more kinds of faults" if more else "")

    def raise_any(self, path: str | os.PathLike[str]) -> None:
        """Nothing, unless there is one.

        Raises:
            FormatError: there is; lists them all.
        """
        if self._kinds:
            raise FormatError(f"{os.fspath(path)}: {self.text()}. Expected the layout described in h36m_files.")


def _ones(rows: int) -> Floats:
    """(N, 17) ones that take no memory."""
    return np.broadcast_to(np.float32(1), (rows, JOINTS))


def _length(value: Any) -> int | None:
    if isinstance(value, np.ndarray):
        return len(value) if value.ndim else None
    return len(value) if isinstance(value, list | tuple) else None


def _as_array(value: Any) -> NDArray[Any] | None:
    """A list of numbers, of short lists of numbers, or of small arrays of one shape, as an array; else None."""
    if not isinstance(value, list | tuple) or not value:
        return None
    first = value[0]
    if isinstance(first, np.ndarray):
        alike = first.size <= 256 and all(isinstance(x, np.ndarray) and x.shape == first.shape for x in value)
        return np.stack(value) if alike else None
    rows = value if isinstance(first, list | tuple) else [value]
    width = len(rows[0])
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) != width or (row is not value and width > 256):
            return None
        if not all(map(_is_number, row)):
            return None
    return np.array(value, dtype=np.float64)


def _is_number(value: Any) -> bool:
    """A finite real number that float32 holds."""
    real = isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)
    return real and bool(-_LARGEST < value < _LARGEST)


def _text(value: Any) -> str | None:
    """Texts, also those of Python 2; a number as its digits."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, int | np.integer) and _is_number(value):
        return str(int(value))
    return str(value) if isinstance(value, str) else None


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    if isinstance(value, str | int | float) and len(str(value)[:61]) <= 60:
        return repr(value)
    size = _length(value)
    return type(value).__name__ + ("" if size is None else f" of {size}")


def _listed(content: Mapping[Any, Any]) -> str:
    names = [str(key)[:40] for key in list(content)[:_SHOWN]]
    return (", ".join(names) or "nothing") + (", ..." if len(content) > _SHOWN else "")


def _unknown_camera(name: str | None) -> str:
    shown = "no name" if name is None else repr(name[:40])
    return f"unknown camera {shown}, expected one of {', '.join(CAMERAS)}"
