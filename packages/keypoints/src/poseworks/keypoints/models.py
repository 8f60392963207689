"""Which networks there are: two that come with this package, and those that users fetch or convert themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.model_cards import ModelCard, find_weights

HERE = Path(__file__).parent / "networks"

_LICENCE = "Apache-2.0 (The MediaPipe Authors)"
_TRAINING_DATA = (
    "in-house photographs, not published; the paper of 2020 tells of 60 000 of common poses and 25 000 of exercises, "
    "annotated by people"
)
_LIMITS = "out of scope by its model card: several people, more than 4 m from the camera, identification"
_NPM = "the npm package @mediapipe/pose 0.5.1675469404"


@dataclass(frozen=True)
class PoseNetwork:
    """A network of BlazePose, as published and as converted.

    Attributes:
        name: of both files, without their suffixes.
        origin: what the .tflite file was published in.
        tflite_sha256: of the published file.
        sha256, size_bytes: of the ONNX file that `convert` makes of it.
        parameters: numbers in its weights; the branch of the segmentation mask is left out.
        claim: accuracy that its makers state.
        shipped: it comes with this package.
    """

    name: str
    origin: str
    tflite_sha256: str
    sha256: str
    size_bytes: int
    parameters: int
    claim: str
    shipped: bool

    @property
    def file(self) -> str:
        """Name of the ONNX file."""
        return f"{self.name}.onnx"

    @property
    def how_to_get(self) -> str:
        """Where the published file is, what to do with it, and where the result is looked for."""
        return (
            f"take {self.name}.tflite from {self.origin} (npm pack @mediapipe/pose), run poseworks-keypoints convert "
            f"{self.name}.tflite -o {self.file}, and put the result into a folder that POSEWORKS_WEIGHTS names"
        )


NETWORKS = (
    PoseNetwork(
        name="pose_detection",
        origin="the MediaPipe 0.10.14 wheel",
        tflite_sha256="9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        sha256="35012cf5625dc50a5cb806a1d7deab5868349860fa77f71970cf9893d2949a4b",
        size_bytes=5_953_445,
        parameters=2_965_036,
        claim="",
        shipped=True,
    ),
    PoseNetwork(
        name="pose_landmark_full",
        origin="the MediaPipe 0.10.14 wheel",
        tflite_sha256="e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        sha256="fcc0fc3e28fec29fddb35871c426cdee9f5b7544994c30c18742e17037e2a837",
        size_bytes=6_362_795,
        parameters=3_167_654,
        claim="PCK@0.2 of COCO's 17 keypoints, one person 2-4 m away: yoga 95.5, dance 96.3, exercises 95.7 %",
        shipped=True,
    ),
    PoseNetwork(
        name="pose_landmark_heavy",
        origin=_NPM,
        tflite_sha256="59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
        sha256="ff1b09db309eeb888382da2991ee3718e9dd21646bf0aa245d044c1d30a01eb4",
        size_bytes=27_559_806,
        parameters=13_749_094,
        claim="PCK@0.2 of COCO's 17 keypoints, one person 2-4 m away: yoga 96.4, dance 97.2, exercises 97.5 %",
        shipped=False,
    ),
    PoseNetwork(
        name="pose_landmark_lite",
        origin=_NPM,
        tflite_sha256="f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
        sha256="b5b07f7871eb70b1f8fdb2e2c9c26198cbc2ea149bc9ebe6afbee68a6b97b760",
        size_bytes=2_748_115,
        parameters=1_361_686,
        claim="PCK@0.2 of COCO's 17 keypoints, one person 2-4 m away: yoga 90.2, dance 92.5, exercises 93.5 %",
        shipped=False,
    ),
)
"""All that this package runs, the shipped ones first."""

_LANDMARKS = "pose_landmark_"


def detector_file() -> Path:
    """The network that finds people in a frame."""
    return HERE / "pose_detection.onnx"


def landmark_file(model: str) -> Path:
    """The network that finds the keypoints of one person.

    Args:
        model: ``full``, which comes with the package; ``heavy`` or ``lite``, looked for in POSEWORKS_WEIGHTS; or the
            path of an .onnx file.

    Raises:
        ConfigError: none of these. CheckpointError: it is not here; the message says how to get it.
    """
    known = {entry.name.removeprefix(_LANDMARKS): entry for entry in NETWORKS if entry.name.startswith(_LANDMARKS)}
    if model in known:
        entry = known[model]
        path = HERE / entry.file if entry.shipped else find_weights(entry.file)
        if path is None:
            raise CheckpointError(f"model {model}: {entry.file} is not here. To get it, {entry.how_to_get}.")
        return path
    path = Path(model)
    if path.suffix.lower() == ".tflite":
        raise ConfigError(f"{model}: convert it first: poseworks-keypoints convert {model} -o {path.stem}.onnx.")
    if path.suffix.lower() != ".onnx":
        raise ConfigError(f"model: expected {', '.join(known)} or the path of an .onnx file, got {model!r}.")
    if not path.is_file():
        raise CheckpointError(f"{model}: no such file. Expected the path of an .onnx file, or {', '.join(known)}.")
    return path


def known_network(sha256: str) -> PoseNetwork | None:
    """The network whose published or converted file has this SHA-256, or None."""
    return next((entry for entry in NETWORKS if sha256 in (entry.sha256, entry.tflite_sha256)), None)


def model_cards() -> list[ModelCard]:
    """A card for every network, the shipped ones first."""
    return [_card(entry) for entry in NETWORKS] + [_RTMLIB]


def _card(entry: PoseNetwork) -> ModelCard:
    finds = "keypoints" if entry.name.startswith(_LANDMARKS) else "people"
    return ModelCard(
        name=entry.name,
        method=f"BlazePose, {finds}",
        kind="shipped" if entry.shipped else "published",
        licence=_LICENCE,
        training_data=_TRAINING_DATA,
        claim=entry.claim,
        file=str(HERE / entry.file) if entry.shipped else entry.file,
        parameters=entry.parameters,
        size_bytes=entry.size_bytes,
        how_to_get="" if entry.shipped else entry.how_to_get,
        note=_LIMITS,
        sha256=entry.sha256,
    )


_RTMLIB = ModelCard(
    name="rtmlib",
    method="YOLOX and RTMPose, several sizes",
    kind="published",
    licence="Apache-2.0 (OpenMMLab); the training sets have terms of their own",
    training_data="COCO, Human-Art and others, by network: see rtmlib's list",
    claim="",
    file="rtmlib's own files",
    how_to_get=(
        'pip install "poseworks-keypoints[rtmlib]", then detect --detector rtmlib: rtmlib fetches them when it first '
        "runs; or give --model the folder in which they lie"
    ),
)
