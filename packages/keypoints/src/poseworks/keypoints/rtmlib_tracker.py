"""rtmlib's networks behind the tracker's call: people by YOLOX, 17 keypoints each by RTMPose, numbers by place.

    each frame    YOLOX: boxes -> in each box RTMPose: keypoints -> the people of the frame before by `association`

Needs the extra (`pip install "poseworks-keypoints[rtmlib]"`). rtmlib fetches networks when it is given an address;
here it is given files alone. YOLOX gets BGR and RTMPose RGB, as they were trained (rtmlib's own `Body` hands BGR to
both). Where YOLOX finds nobody, RTMPose is not asked: rtmlib would take the whole image for a person.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from poseworks.core.errors import CheckpointError, ConfigError, ShapeError
from poseworks.core.model_cards import find_weights
from poseworks.core.skeletons import COCO_17, Skeleton
from poseworks.keypoints.association import Association
from poseworks.keypoints.region import Floats, Image
from poseworks.keypoints.sessions import Network
from poseworks.keypoints.tracking import Person

MODES = ("lightweight", "balanced", "performance")


class RtmlibTracker:
    """Follows people through frames that are pushed one by one; the detector runs in each of them.

    Args:
        mode_or_folder: ``lightweight``, ``balanced`` or ``performance``: the files that rtmlib publishes under this
            word, in a folder of POSEWORKS_WEIGHTS or where rtmlib itself keeps them; or a folder with one
            ``yolox*.onnx`` and one ``rtmpose*.onnx``.
        threads: computing threads of the networks.

    Raises:
        ConfigError: rtmlib is not installed, or there is no such mode or folder.
        CheckpointError: a file is not there, or is no such network.
    """

    def __init__(self, mode_or_folder: str = "balanced", *, threads: int = 1) -> None:
        rtmlib = _rtmlib()
        detector, pose = (Network(path, threads) for path in _files(mode_or_folder, rtmlib))
        self._networks = (detector, pose)
        height, width = _input_size(detector, rtmlib)
        self._detector = _tool(rtmlib.YOLOX, detector, (height, width))
        height, width = _input_size(pose, rtmlib)
        self._pose = _tool(rtmlib.RTMPose, pose, (width, height))
        self._association = Association()

    @property
    def skeleton(self) -> Skeleton:
        """Of the keypoints: coco17."""
        return COCO_17

    @property
    def finds(self) -> str:
        """Whom it finds."""
        return "people, whole or in part, as far as rtmlib's networks do"

    @property
    def sources(self) -> dict[str, Any]:
        """rtmlib's version, names and SHA-256 of both networks."""
        return {
            "rtmlib": metadata.version("rtmlib"),
            "networks": {network.path.name: network.sha256 for network in self._networks},
        }

    @property
    def dismissed(self) -> set[int]:
        """Nobody: whom YOLOX finds is taken for a person."""
        return set()

    def push(self, rgb: Image, time: float) -> list[Person]:
        """The people in the next frame, in the order of their ids.

        Confidence is RTMPose's score, the mean height of a keypoint's peaks in x and y, cut to 0..1 (a sure keypoint
        may score a little above 1); `presence` is its mean.

        Args:
            rgb: (H, W, 3) uint8.
            time: seconds; it rises from push to push.

        Raises:
            ShapeError: not such an image. DataError: the time does not rise.
            CheckpointError: the networks are others than rtmlib's for 17 keypoints.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise ShapeError(
                f"rgb: expected a uint8 array (H, W, 3), got {rgb.dtype} {rgb.shape}. Convert the frame first."
            )
        keypoints, confidence = self._found(rgb)
        ids = self._association.push(keypoints, confidence, time)
        people = [
            Person(number, points, sure, None, float(sure.mean()))
            for number, points, sure in zip(ids, keypoints, confidence, strict=True)
        ]
        return sorted(people, key=lambda person: person.id)

    def earlier(self) -> list[tuple[float, Person]]:
        """Nothing: everybody is looked for in each frame."""
        return []

    def _found(self, rgb: Image) -> tuple[Floats, Floats]:
        """Keypoints (P, 17, 2) and confidence (P, 17) of everybody in the frame."""
        joints = COCO_17.num_joints
        try:
            boxes = np.asarray(self._detector(np.ascontiguousarray(rgb[..., ::-1])), np.float32).reshape(-1, 4)
            boxes = boxes[(boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1)]
            if not len(boxes):
                return np.empty((0, joints, 2), np.float32), np.empty((0, joints), np.float32)
            keypoints, scores = self._pose(np.ascontiguousarray(rgb), bboxes=boxes)
        except Exception as error:  # of NumPy, OpenCV or onnxruntime, whatever an unknown network leads to
            raise CheckpointError(f"{self._names}: rtmlib cannot run them ({error}). {_EXPECTED}") from error
        if keypoints.shape[1:] != (joints, 2):
            raise CheckpointError(f"{self._names}: give {keypoints.shape[1]} keypoints, not {joints}. {_EXPECTED}")
        return keypoints.astype(np.float32), np.clip(scores, 0, 1).astype(np.float32)

    @property
    def _names(self) -> str:
        return " and ".join(network.path.name for network in self._networks)


_EXPECTED = "Expected rtmlib's YOLOX for people and RTMPose for the body's 17 keypoints, as ONNX."


def _rtmlib() -> Any:
    """The module.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import rtmlib
    except ImportError as error:
        raise ConfigError(
            f"rtmlib: cannot be imported ({error}). Install it: "
            'pip install "poseworks-keypoints[rtmlib]"; or use the detector blazepose.'
        ) from error
    return rtmlib


def _files(mode_or_folder: str, rtmlib: Any) -> tuple[Path, Path]:
    """Detector and pose network."""
    if mode_or_folder in MODES:
        return _files_of_mode(mode_or_folder, rtmlib)
    folder = Path(mode_or_folder).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"model: expected {', '.join(MODES)} or a folder of rtmlib's files, got {mode_or_folder!r}.")
    return _only(folder, "yolox*.onnx"), _only(folder, "rtmpose*.onnx")


def _files_of_mode(mode: str, rtmlib: Any) -> tuple[Path, Path]:
    """What rtmlib publishes under a mode, where it already is."""
    names = [_file_name(rtmlib.Body.MODE[mode][part]) for part in ("det", "pose")]
    paths = [find_weights(name) or _kept_by_rtmlib() / name for name in names]
    missing = [name for name, path in zip(names, paths, strict=True) if not path.is_file()]
    if missing:
        raise CheckpointError(
            f"rtmlib {mode}: {' and '.join(missing)} not here, and nothing is fetched unasked. Put "
            f"{_them(missing)} into a folder and name it in POSEWORKS_WEIGHTS, or let rtmlib fetch {_them(missing)} "
            f"once: python -c \"from rtmlib import Body; Body(mode='{mode}')\"."
        )
    return paths[0], paths[1]


def _file_name(address: str) -> str:
    """Under which rtmlib keeps a network that it publishes as an archive."""
    return address.rsplit("/", 1)[-1].split(".")[0] + ".onnx"


def _kept_by_rtmlib() -> Path:
    """The folder in which rtmlib keeps what it fetched, found as rtmlib finds it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "rtmlib"
    return Path(os.environ.get("TORCH_HOME", cache)).expanduser() / "hub" / "checkpoints"


def _only(folder: Path, pattern: str) -> Path:
    """The one file of a folder that has such a name."""
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    if len(files) != 1:
        held = ", ".join(path.name for path in files) or "none"
        raise CheckpointError(f"{folder}: expected one file {pattern}, found {held}. {_FOLDER}")
    return files[0]


_FOLDER = (
    "A folder holds one detector and one pose network, under the names of rtmlib's archives (the file inside each is "
    "called end2end.onnx)."
)


def _them(files: Sequence[str]) -> str:
    return "it" if len(files) == 1 else "them"


def _input_size(network: Network, rtmlib: Any) -> tuple[int, int]:
    """Height and width of a network's input, as it states them; else as rtmlib's table has them for its name.

    Raises:
        CheckpointError: neither tells.
    """
    shape: list[int | str] = network.session.get_inputs()[0].shape
    stated = [length for length in shape[2:] if isinstance(length, int)]
    if len(shape) == 4 and len(stated) == 2:
        return stated[0], stated[1]
    for parts in rtmlib.Body.MODE.values():
        for part in ("det", "pose"):
            if _file_name(parts[part]) == network.path.name:
                width, height = parts[f"{part}_input_size"]
                return height, width
    raise CheckpointError(f"{network.path}: does not state the size of its input. {_EXPECTED} Keep rtmlib's names.")


def _tool(kind: Any, network: Network, size: tuple[int, int]) -> Any:
    """One of rtmlib's classes, on our session: its own would take all cores. It prints when it loads."""
    with contextlib.redirect_stdout(io.StringIO()):
        tool = kind(str(network.path), model_input_size=size, backend="onnxruntime", device="cpu")
    tool.session = network.session
    return tool
