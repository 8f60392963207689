"""HumanData: pictures with boxes, keypoints and SMPL parameters, the npz of toolboxes. Read and written; N rows.

    image_path        (N,) str            relative to the data set's folder
    bbox_xywh         (N, 5)              pixels, the last is a score; often already enlarged
    keypoints2d       (N, 190, 3)         x, y in pixels, confidence
    keypoints3d       (N, 190, 4)         x, y, z in metres, confidence
    ..._mask          (190,) 0 or 1       joints that this data set has; others are 0
    smpl              global_orient (N, 3), body_pose (N, 23, 3), betas (N, 10), transl (N, 3), axis-angle; those it has
    smplx, meta, ...  anything; kept as it is, in `other`; meta's `body` may name another body than SMPL's: ``free``

Two layouts by two: keypoints of all 190 joints, or compressed: only the columns whose mask is 1. Dictionaries as
pickled objects, as the toolboxes write them (read by a machine that runs no code), or plain: each entry under a key of
its own, ``smpl/betas``, readable with pickles refused; values that are no array as JSON under ``NAME.json``.
Which one a file has is told by its keys and shapes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.data import Gender
from poseworks.core.body_models.motion import BodyMotion, BodyName
from poseworks.core.errors import DataError, FormatError
from poseworks.core.files import refuse_existing
from poseworks.core.formats.reading import parse_json, read_npz, write_npz
from poseworks.core.keypoint_conventions import convert_keypoints
from poseworks.core.poses import history_entry
from poseworks.core.unpickling import restricted_loads

Array = NDArray[Any]

NUM_JOINTS = 190
SMPL_SHAPES: Mapping[str, tuple[int, ...]] = {"global_orient": (3,), "body_pose": (23, 3), "transl": (3,)}
COMPRESSED, STRICT = "__keypoints_compressed__", "__key_strict__"
_COLUMNS = {"keypoints2d": 3, "keypoints3d": 4}
_GENDERS: Mapping[str, Gender] = {
    "m": "male", "f": "female", "n": "neutral", "male": "male", "female": "female", "neutral": "neutral"
}  # fmt: skip
_JSON = ".json"


@dataclass(frozen=True, eq=False, kw_only=True)
class HumanData:
    """N rows, each a person in a picture; None: the data set has no such.

    Attributes:
        image_path: (N,).
        bbox_xywh: (N, 5).
        keypoints2d: (N, 190, 3).
        keypoints2d_mask: (190,) uint8.
        keypoints3d: (N, 190, 4).
        keypoints3d_mask: (190,) uint8.
        smpl: global_orient, body_pose, betas, transl.
        other: everything else, by its key.

    Raises:
        DataError: listing everything that is wrong.
    """

    image_path: tuple[str, ...] | None = None
    bbox_xywh: Array | None = None
    keypoints2d: Array | None = None
    keypoints2d_mask: Array | None = None
    keypoints3d: Array | None = None
    keypoints3d_mask: Array | None = None
    smpl: Mapping[str, Array] = field(default_factory=lambda: MappingProxyType({}))
    other: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        faults = self._faults()
        if faults:
            raise DataError("HumanData: " + "; ".join(faults) + ".")
        for name in _COLUMNS:
            keypoints, mask = getattr(self, name), getattr(self, f"{name}_mask")
            if keypoints is not None:  # what a mask leaves out has no meaning
                object.__setattr__(self, name, keypoints * (mask != 0)[:, None].astype(keypoints.dtype))
                object.__setattr__(self, f"{name}_mask", (mask != 0).astype(np.uint8))

    @property
    def num_rows(self) -> int:
        """N."""
        return next(iter(self._lengths().values()), 0)

    @property
    def body(self) -> BodyName:
        """Whose the parameters in `smpl` are: SMPL's, or the free body's where `meta` says so.

        Raises:
            DataError: it says something else.
        """
        meta = self.other.get("meta")
        named = meta.get("body", "smpl") if isinstance(meta, Mapping) else "smpl"
        for known in get_args(BodyName):
            if named == known:
                return cast(BodyName, known)
        raise DataError(f"meta body: expected one of {', '.join(get_args(BodyName))}, got {str(named)[:40]!r}.")

    def keypoints(self, name: str, convention: str, *, approximate: bool = False) -> tuple[Array, Array]:
        """((N, J, C) of ``keypoints2d`` or ``keypoints3d`` in one of 27 conventions, (J,) mask).

        Raises:
            DataError: the data set has none.
            SkeletonError: the convention is unknown.
        """
        keypoints = getattr(self, name) if name in _COLUMNS else None
        if keypoints is None:
            has = [each for each in _COLUMNS if getattr(self, each) is not None]
            raise DataError(f"{name}: not in this HumanData, which has {', '.join(has) or 'no keypoints'}.")
        mask = getattr(self, f"{name}_mask")
        return convert_keypoints(keypoints, "human_data", convention, mask=mask, approximate=approximate)

    def motion(self, fps: float) -> BodyMotion:
        """The SMPL parameters as motion of one person, each row a frame, seen by a camera.

        Rows whose `has_smpl` is 0 are frames without the person. Betas are the mean over the others; `history` says
        how far they lie from it.

        Raises:
            DataError: SMPL parameters or rows are missing, or rows are of several genders.
        """
        missing = [name for name in (*SMPL_SHAPES, "betas") if name not in self.smpl and name != "transl"]
        if missing or not self.num_rows:
            raise DataError(f"smpl: {', '.join(missing) or 'rows'} missing in this HumanData; motion needs all.")
        rows = self.num_rows
        there = np.ones(rows, bool)
        if "has_smpl" in self.other:
            there = np.asarray(self.other["has_smpl"]).reshape(-1) != 0
        if not there.any():
            raise DataError("has_smpl: no row of this HumanData has SMPL parameters.")
        parts = {
            name: np.array(self.smpl.get(name, np.zeros((rows, *shape))), np.float32)
            for name, shape in SMPL_SHAPES.items()
        }
        for part in parts.values():
            part[~there] = np.nan
        betas = np.asarray(self.smpl["betas"], np.float32)[there]
        spread = float(np.abs(betas - betas.mean(axis=0)).max())
        settings = {"format": "human_data", "betas": "mean", "furthest_from_mean": round(spread, 6)}
        return BodyMotion(
            global_orient=parts["global_orient"][None],
            body_pose=parts["body_pose"][None],
            transl=parts["transl"][None],
            betas=betas.mean(axis=0, keepdims=True),
            fps=fps,
            body=self.body,
            gender=self._gender(),
            frame="camera",
            history=(history_entry("read", "poseworks-core", settings),),
        )

    def _gender(self) -> Gender:
        """Of all rows; neutral where nothing is said."""
        meta = self.other.get("meta")
        given = meta.get("gender") if isinstance(meta, Mapping) else None
        if given is None:
            return "neutral"
        words = sorted({str(word).lower() for word in np.asarray(given).reshape(-1)})
        if len(words) != 1 or words[0] not in _GENDERS:
            raise DataError(f"meta gender: expected one of m, f, n for all rows, got {', '.join(words)[:80]}.")
        return _GENDERS[words[0]]

    def _lengths(self) -> dict[str, int]:
        """Rows of each array that has some."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ("image_path", "bbox_xywh", *_COLUMNS)}
        arrays |= {f"smpl {name}": value for name, value in self.smpl.items()}
        return {name: len(value) for name, value in arrays.items() if value is not None and np.ndim(value)}

    def _faults(self) -> list[str]:
        expected: dict[str, tuple[Any, tuple[int, ...]]] = {"bbox_xywh": (self.bbox_xywh, (5,))}
        expected |= {name: (getattr(self, name), (NUM_JOINTS, columns)) for name, columns in _COLUMNS.items()}
        expected |= {
            f"smpl {name}": (self.smpl[name], shape) for name, shape in SMPL_SHAPES.items() if name in self.smpl
        }
        faults = []
        for name, (array, shape) in expected.items():
            if array is not None and (array.dtype.kind not in "fiu" or array.shape[1:] != shape or array.ndim < 2):
                faults.append(f"{name}: expected numbers (N, {', '.join(map(str, shape))}), got {_what(array)}")
            elif array is not None and not np.isfinite(array).all():
                faults.append(f"{name}: holds NaN or infinite numbers")
        betas = self.smpl.get("betas")
        if betas is not None and (betas.dtype.kind != "f" or betas.ndim != 2 or not np.isfinite(betas).all()):
            faults.append(f"smpl betas: expected finite numbers (N, K), got {_what(betas)}")
        for name in _COLUMNS:
            keypoints, mask = getattr(self, name), getattr(self, f"{name}_mask")
            if (keypoints is None) != (mask is None):
                faults.append(f"{name} and {name}_mask: expected both or neither")
            elif mask is not None and (mask.shape != (NUM_JOINTS,) or mask.dtype.kind not in "iufb"):
                faults.append(f"{name}_mask: expected (190,) numbers, got {_what(mask)}")
            elif mask is not None and not np.isin(mask, (0, 1)).all():
                faults.append(f"{name}_mask: expected 0 and 1 alone")
        lengths = self._lengths()
        if len(set(lengths.values())) > 1:
            faults.append(f"rows differ: {', '.join(f'{name} {count}' for name, count in lengths.items())}")
        has = self.other.get("has_smpl")
        if has is not None and np.size(has) != next(iter(lengths.values()), np.size(has)):
            faults.append(f"has_smpl: {np.size(has)} rows, others have {next(iter(lengths.values()))}")
        return faults


def human_data_of(motion: BodyMotion) -> HumanData:
    """The rows of a motion: all frames in which someone is there, person after person.

    `meta` says gender, frame and person of each.

    Raises:
        DataError: the motion is not of SMPL's body, or not seen by a camera, as HumanData's parameters are.
    """
    if motion.body != "smpl" or motion.frame != "camera":
        raise DataError(
            f"HumanData holds SMPL's parameters as a camera sees them, not the {motion.body} body in the frame "
            f"{motion.frame}. Write a body file (.npz) instead."
        )
    people, frames = np.nonzero(motion.present)
    ids = np.arange(motion.num_people) if motion.person_ids is None else motion.person_ids
    return HumanData(
        smpl={
            "global_orient": motion.global_orient[people, frames],
            "body_pose": motion.body_pose[people, frames],
            "betas": motion.betas[people],
            "transl": motion.transl[people, frames],
        },
        other={"meta": {"gender": [motion.gender[0]] * len(people), "frame": frames, "person": ids[people]}},
    )


def is_human_data(keys: tuple[str, ...]) -> bool:
    """Whether these are the keys of such a file."""
    marks = {COMPRESSED, "keypoints2d_mask", "keypoints3d_mask", "smpl", "smplx", "bbox_xywh"}
    return bool(marks & set(keys)) or any(key.startswith("smpl/") for key in keys)


def read_human_data(path: str | os.PathLike[str]) -> HumanData:
    """The rows of a HumanData file, of either layout.

    Raises:
        FormatError: with everything that is wrong with the file.
        DataError: the file cannot be read.
    """
    source = Path(path)
    stored = read_npz(source, objects=_objects)
    if not is_human_data(tuple(stored)):
        raise FormatError(f"{source}: not HumanData: none of keypoints2d_mask, keypoints3d_mask, smpl, bbox_xywh.")
    values: dict[str, Any] = {}
    faults: list[str] = []
    for key, array in stored.items():
        try:
            _put(values, key, array)
        except FormatError as error:
            faults.append(str(error))
    compressed = bool(np.any(values.pop(COMPRESSED, False)))
    values.pop(STRICT, None)
    fields: dict[str, Any] = {}
    for name in ("bbox_xywh", *(f"{each}_mask" for each in _COLUMNS), *_COLUMNS):
        if name in values:
            fields[name] = values.pop(name)
            if not isinstance(fields[name], np.ndarray) or fields[name].dtype == object:
                faults.append(f"{name}: expected an array of numbers")
    smpl = values.pop("smpl", {})
    if not isinstance(smpl, Mapping) or not all(_is_rows(value) for value in smpl.values()):
        faults.append("smpl: expected a dictionary of arrays")
    else:
        fields["smpl"] = MappingProxyType(dict(smpl))
    if "image_path" in values:
        paths = np.asarray(values.pop("image_path")).reshape(-1).tolist()
        fields["image_path"] = tuple(paths)
        if not all(isinstance(each, str) for each in paths):
            faults.append("image_path: expected text")
    if not faults:
        for name in _COLUMNS:
            if name in fields and f"{name}_mask" in fields:
                faults += _expand(fields, name, compressed)
    if faults:
        raise FormatError(f"{source}: not HumanData: {'; '.join(faults)}.")
    try:
        return HumanData(**fields, other=MappingProxyType(values))
    except DataError as error:
        raise FormatError(f"{source}: {error}") from error


def write_human_data(
    data: HumanData,
    path: str | os.PathLike[str],
    *,
    plain: bool = False,
    compressed: bool = True,
    overwrite: bool = False,
) -> None:
    """Writes a HumanData file; it appears whole or not at all.

    Args:
        data: what to write.
        path: of the file.
        plain: without pickled objects, for readers that refuse pickles; toolboxes cannot read it.
        compressed: only the keypoints that the masks name.
        overwrite: replace what is there.

    Raises:
        ConfigError: the file exists.
        DataError: it cannot be written, or `plain` and a value of `other` is nothing that JSON can hold.
    """
    refuse_existing(path, overwrite)
    stored: dict[str, Any] = {COMPRESSED: np.array(compressed)}
    if data.image_path is not None:
        stored["image_path"] = np.array(data.image_path, dtype=np.str_)
    if data.bbox_xywh is not None:
        stored["bbox_xywh"] = data.bbox_xywh
    for name in _COLUMNS:
        keypoints, mask = getattr(data, name), getattr(data, f"{name}_mask")
        if keypoints is not None:
            stored[name] = keypoints[:, mask != 0] if compressed else keypoints
            stored[f"{name}_mask"] = mask
    rest = {**({"smpl": dict(data.smpl)} if data.smpl else {}), **data.other}
    for key, value in rest.items():
        stored |= _plain(key, value) if plain else {key: _boxed(value)}
    write_npz(Path(path), stored)


def _expand(fields: dict[str, Any], name: str, compressed: bool) -> list[str]:
    """Puts compressed keypoints into 190 columns; what is wrong with them."""
    keypoints, mask = fields[name], fields[f"{name}_mask"]
    if mask.shape != (NUM_JOINTS,) or keypoints.ndim != 3 or keypoints.dtype.kind not in "fiu":
        return []  # HumanData says so
    count = int(np.count_nonzero(mask))
    if not compressed and keypoints.shape[1] == NUM_JOINTS:
        return []
    if keypoints.shape[1] != count:
        return [
            f"{name}: {keypoints.shape[1]} joints, expected {'' if compressed else '190 or '}the {count} of its mask"
        ]
    full = np.zeros((len(keypoints), NUM_JOINTS, keypoints.shape[2]), keypoints.dtype)
    full[:, mask != 0] = keypoints
    fields[name] = full
    return []


def _objects(data: memoryview) -> Array:
    """An array of Python objects."""
    value = restricted_loads(data)
    if isinstance(value, np.ndarray):
        return value
    raise FormatError("holds a pickle that is no array")


def _put(values: dict[str, Any], key: str, array: Array) -> None:
    """Stores what is under a key of the file: a value, or an entry of a dictionary."""
    value: Any = array.item() if array.dtype == object and array.ndim == 0 else array
    if array.dtype.kind == "U" and array.ndim == 0:
        value = array.item()
    *outer, last = key.split("/")
    if last.endswith(_JSON):
        last, value = last.removesuffix(_JSON), parse_json(str(array), key)
    for name in outer:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise FormatError(f"{key}: {name} is no dictionary")
    if last in values:
        raise FormatError(f"{key}: stored twice")
    values[last] = value


def _plain(key: str, value: Any) -> dict[str, Any]:
    """Entries of the layout without pickles."""
    if isinstance(value, Mapping):
        return {name: entry for inner, each in value.items() for name, entry in _plain(f"{key}/{inner}", each).items()}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return {key: value}
    try:
        return {key + _JSON: json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, allow_nan=False)}
    except (TypeError, ValueError) as error:
        raise DataError(f"{key}: cannot be written without pickles ({error}). Leave it out.") from error


def _boxed(value: Any) -> Array:
    """What numpy stores for a value: arrays as they are, all else as an object without axes."""
    if isinstance(value, np.ndarray):
        return value
    box = np.empty((), dtype=object)
    box[()] = value
    return box


def _is_rows(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype != object and value.ndim >= 1


def _what(array: Array) -> str:
    return f"{array.dtype} {array.shape}"
