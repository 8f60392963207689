"""Data sets to measure on: pictures with boxes, and the truth about the people in them.

HumanData and SPIN's layout are read. HumanData of rendered pictures says in its `meta` that its body is the free one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.data_folders import data_roots, where_looked
from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.formats.human_data import HumanData, is_human_data, read_human_data
from poseworks.core.formats.reading import npz_keys
from poseworks.core.formats.spin_npz import SpinData, is_spin_npz, read_spin_npz
from poseworks.core.video import ahead, read_picture
from poseworks.mesh_recovery.crops import REFERENCE_PX, Preparation, box_of_keypoints, box_squares, crop_box
from poseworks.mesh_recovery.evaluation.protocols import LABEL_PLACES, PROTOCOLS, Protocol, ProtocolName

Array = NDArray[Any]

ENLARGED = 1.2  # of boxes that are made of keypoints
_FOLDERS = {"pw3d": "pw3d", "h36m": "h36m", "mi": "mpi_inf_3dhp", "mi-toolbox": "mpi_inf_3dhp"}
_GENDERS = {"m": "male", "f": "female", "male": "male", "female": "female", "n": "neutral", "neutral": "neutral"}


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluationData:
    """N people, each in a picture; None: the data set has no such.

    Attributes:
        source: the file.
        layout: of it.
        pictures: (N,) paths as the file has them.
        squares: (N, 3) centre x, y and side of what is cropped, in pixels.
        boxes: where they come from, for a person.
        body: whose parameters they are.
        pose: (N, 24, 3) axis-angle.
        betas: (N, K).
        has_body: (N,) bool.
        gender: (N,) male, female, neutral.
        labels: (N, 17, 4) metres and confidence, in the order of `LABEL_PLACES`, by the convention they are given in.
    """

    source: Path
    layout: Literal["HumanData", "SPIN"]
    pictures: tuple[str, ...]
    squares: NDArray[np.float64]
    boxes: str
    body: Literal["smpl", "free"] = "smpl"
    pose: Array | None = None
    betas: Array | None = None
    has_body: NDArray[np.bool_]
    gender: tuple[str, ...] | None = None
    labels: dict[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pictures)


def read_evaluation_data(path: str | os.PathLike[str]) -> EvaluationData:
    """The rows of a data set, HumanData or SPIN's layout, as its keys tell.

    Raises:
        FormatError: it is neither, or damaged.
        DataError: it cannot be read, or lacks pictures or boxes.
    """
    file = Path(path)
    keys = npz_keys(file)
    if is_spin_npz(keys):
        return _of_spin(file, read_spin_npz(file))
    if is_human_data(keys):
        return _of_human_data(file, read_human_data(file))
    raise FormatError(
        f"{file}: neither HumanData nor in SPIN's layout (imgname, center, scale); it has {', '.join(keys[:8])}."
    )


def choose_protocol(data: EvaluationData, stated: ProtocolName | None = None) -> Protocol:
    """The protocol that is stated, or that of the data set that the file's name tells.

    Raises:
        ConfigError: the name tells none, or the protocol and the data are of different bodies.
    """
    name = stated or _protocol_in_name(data)
    if name is None:
        raise ConfigError(
            f"{data.source}: its name tells no data set (pw3d, h36m, mpi_inf_3dhp). State the protocol: --protocol "
            f"{', '.join(PROTOCOLS)}."
        )
    protocol = PROTOCOLS[name]
    if protocol.body != data.body:
        raise ConfigError(
            f"--protocol {name}: defined on {_body(protocol.body)}, the parameters in {data.source} are of "
            f"{_body(data.body)}. Measure it by --protocol {'rendered' if data.body == 'free' else 'pw3d'}."
        )
    return protocol


def picture_folder(data: EvaluationData, given: Path | None = None) -> Path:
    """The folder that the pictures' paths start from: the one given, that of the file, or one of POSEWORKS_DATA.

    Raises:
        DataError: a picture is not there, with where it was looked for.
    """
    name = _protocol_in_name(data)
    places = [given] if given else [data.source.parent]
    if not given:
        below = [_FOLDERS[name]] if name in _FOLDERS else []
        places += [root / part for root in data_roots() for part in [*below, "."]]
    for place in places:
        if (place / data.pictures[0]).is_file():
            missing = [each for each in dict.fromkeys(data.pictures) if not (place / each).is_file()]
            if missing:
                raise DataError(f"{place}: {len(missing)} pictures of {data.source} are missing, such as {missing[0]}.")
            return place
    raise DataError(
        f"{data.source}: its first picture, {data.pictures[0]}, is not below {where_looked(places)}. State the folder: "
        "--pictures."
    )


def crop_batches(
    data: EvaluationData, rows: Sequence[int], folder: Path, preparation: Preparation, batch: int, workers: int = 4
) -> Iterator[tuple[list[int], Tensor]]:
    """(rows, crops (B, 3, R, R)) one batch after another; pictures are read ahead.

    Raises:
        DataError: a picture cannot be decoded, or a box lies outside it; with the row.
    """
    exact = preparation.model_copy(update={"enlarge": 1.0})

    def crop(row: int) -> Tensor:
        x, y, side = data.squares[row]
        picture = folder / data.pictures[row]
        try:
            return crop_box(read_picture(picture), [x - side / 2, y - side / 2, side, side], exact)[0]
        except DataError as error:
            said = str(error).removeprefix(f"{picture}: ")
            raise DataError(f"{data.source}: row {row}: {picture}: {said}") from error

    def batches() -> Iterator[tuple[list[int], Tensor]]:
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(rows), batch):
                part = list(rows[start : start + batch])
                yield part, torch.stack(list(pool.map(crop, part)))

    return ahead(batches(), 2)


def sequences(pictures: Sequence[str]) -> list[NDArray[np.int64]]:
    """Rows that follow each other: of one folder, with numbers at the end of their names that rise by 1."""
    places = [PurePosixPath(each.replace("\\", "/")) for each in pictures]
    numbers = [_last_number(each.stem) for each in places]
    breaks = [
        row
        for row in range(1, len(places))
        if places[row].parent != places[row - 1].parent
        or numbers[row] is None
        or numbers[row - 1] is None
        or numbers[row] != numbers[row - 1] + 1  # type: ignore[operator]
    ]
    return [np.asarray(part) for part in np.split(np.arange(len(places)), breaks)]


def _last_number(stem: str) -> int | None:
    digits = stem[len(stem.rstrip("0123456789")) :]
    return int(digits) if digits else None


def _of_spin(file: Path, data: SpinData) -> EvaluationData:
    _some_rows(file, len(data.image_path))
    labels = {}
    if data.joints is not None:
        labels["smpl_24"] = data.joints[:, LABEL_PLACES["smpl_24"]]
    return EvaluationData(
        source=file,
        layout="SPIN",
        pictures=data.image_path,
        squares=np.concatenate([data.center, REFERENCE_PX * data.scale[:, None]], axis=1),
        boxes="center and scale of the file",
        pose=data.pose,
        betas=data.betas,
        has_body=data.has_smpl,
        gender=data.gender,
        labels=labels,
    )


def _of_human_data(file: Path, data: HumanData) -> EvaluationData:
    if data.image_path is None:
        raise DataError(f"{file}: HumanData without image_path; pictures are needed to measure a network.")
    rows = len(data.image_path)
    _some_rows(file, rows)
    try:
        squares, boxes = _squares(data)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    labels = {}
    if data.keypoints3d is not None:
        for convention, places in LABEL_PLACES.items():
            joints, mask = data.keypoints("keypoints3d", convention)
            joints[..., 3] *= mask
            labels[convention] = joints[:, places]
    has = np.zeros(rows, bool)
    pose = None
    if {"global_orient", "body_pose", "betas"} <= set(data.smpl):
        pose = np.concatenate([data.smpl["global_orient"][:, None], data.smpl["body_pose"]], axis=1)
        has = np.asarray(data.other.get("has_smpl", np.ones(rows))).reshape(-1) != 0
    meta = data.other.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    return EvaluationData(
        source=file,
        layout="HumanData",
        pictures=data.image_path,
        squares=squares,
        boxes=boxes,
        body="free" if meta.get("body") == "free" else "smpl",
        pose=pose,
        betas=data.smpl.get("betas"),
        has_body=has,
        gender=_genders(file, meta.get("gender"), rows),
        labels=labels,
    )


def _squares(data: HumanData) -> tuple[NDArray[np.float64], str]:
    if data.bbox_xywh is not None:
        return box_squares(data.bbox_xywh[:, :4]), "bbox_xywh of the file, taken as enlarged already"
    if data.keypoints2d is None:
        raise DataError("neither bbox_xywh nor keypoints2d, of which a box could be made.")
    found = []
    for row, points in enumerate(data.keypoints2d):
        try:
            found.append(box_of_keypoints(points[:, :2], points[:, 2]))
        except DataError as error:
            raise DataError(f"row {row}: {error}") from error
    return box_squares(np.stack(found), ENLARGED), f"around visible keypoints2d, x{ENLARGED}"


def _genders(file: Path, given: Any, rows: int) -> tuple[str, ...] | None:
    if given is None:
        return None
    words = [str(word).lower() for word in np.asarray(given).reshape(-1)]
    strange = sorted(set(words) - set(_GENDERS))
    if len(words) != rows or strange:
        raise FormatError(
            f"{file}: meta gender: expected m, f or n for each of {rows} rows, got {len(words)}: {strange[:3]}."
        )
    return tuple(_GENDERS[word] for word in words)


def _some_rows(file: Path, rows: int) -> None:
    if not rows:
        raise DataError(f"{file}: a data set without rows.")


def _protocol_in_name(data: EvaluationData) -> ProtocolName | None:
    name = data.source.name.lower()
    if data.body == "free":
        return "rendered"
    if name.startswith(("pw3d", "3dpw")):
        return "pw3d"
    if name.startswith("h36m"):
        return "h36m"
    if name.startswith(("mpi_inf_3dhp", "mpi-inf-3dhp")):
        return "mi" if data.layout == "SPIN" else "mi-toolbox"
    return None


def _body(name: str) -> str:
    return "the free body" if name == "free" else "SMPL's body"
