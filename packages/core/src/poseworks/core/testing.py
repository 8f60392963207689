"""Helpers that the tests of every package share. NumPy only at import; torch comes in where a tensor is asked for.

- Weights and inputs that anyone can make again from a name and a shape (`value_of`, `fill`, `seeded_input`), and the
  reference cases that are stored in terms of them (`reference_cases`).
- Damaged copies of a file (`mutations`); scripts run as where packages are missing (`run_without_packages`).
- People walking, on any skeleton (`walking_poses`).
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import H36M_17, Skeleton

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]


def value_of(name: str, shape: Shape) -> NDArray[Any]:
    """float32 values of the tensor `name`, a function of name and shape alone; int64 zeros for batch counters."""
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, dtype=np.int64)
    rng = _generator(name)
    if leaf == "running_var":
        out = rng.uniform(0.5, 1.5, size=shape)
    elif leaf == "running_mean":
        out = 0.1 * rng.standard_normal(shape)
    elif leaf in {"bias", "beta"} or leaf.endswith("_bias"):
        out = 0.05 * rng.standard_normal(shape)
    elif len(shape) <= 1:  # scales of normalisation layers, and the like
        out = 1.0 + 0.1 * rng.standard_normal(shape)
    else:
        fan_in = int(np.prod(shape[1:]))
        out = rng.standard_normal(shape) / np.sqrt(max(fan_in, 1))
    return np.asarray(out, dtype=np.float32)


def fill(shapes: Mapping[str, Shape]) -> dict[str, NDArray[Any]]:
    """`value_of` each named shape, in the order given."""
    return {name: value_of(name, tuple(shape)) for name, shape in shapes.items()}


def seeded_input(name: str, shape: Shape, scale: float = 1.0) -> NDArray[np.float32]:
    """float32 standard-normal values times `scale`, a function of name and shape alone."""
    return (scale * _generator("input:" + name).standard_normal(shape)).astype(np.float32)


def _generator(name: str) -> np.random.Generator:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64(seed))


@dataclass(frozen=True, eq=False)
class ReferenceCase:
    """A network or a function, its inputs, and what the published code computes from them.

    Attributes:
        name: file name without its ending.
        config: sizes, in the published code's words.
        shapes: of the checkpoint's tensors, in its order and under its names.
        expected: numbers that the manifest states itself.
        manifest: the whole JSON object.
    """

    name: str
    config: dict[str, Any]
    shapes: dict[str, Shape]
    expected: dict[str, float]
    manifest: dict[str, Any]
    path: Path

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that is stored beside the manifest."""
        file = self.path.with_suffix(".npz")
        if not file.exists():
            return {}
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """The seeded inputs (one without a name is ``input``), and the stored arrays that no output is named after.

        A name may stand for both.
        """
        import torch

        outputs = set(self.manifest.get("outputs", ()))
        made = {name: array for name, array in self.arrays.items() if name not in outputs}
        recipes = self.manifest.get("input", {})
        for name, recipe in ({"input": recipes} if "seeded_input" in recipes else recipes).items():
            # {"seeded_input": [name, shape, scale]}, or ["seeded_input", name, shape, scale]
            if isinstance(recipe, dict | list) and "seeded_input" in recipe and name not in made:
                seed, shape, scale = recipe["seeded_input"] if isinstance(recipe, dict) else recipe[1:]
                made[name] = seeded_input(seed, tuple(shape), scale)
        return {name: torch.from_numpy(array) for name, array in made.items()}

    @cached_property
    def outputs(self) -> dict[str, Tensor]:
        """What the published code computes."""
        import torch

        names = self.manifest.get("outputs", ())
        return {name: torch.from_numpy(self.arrays[name]) for name in names if name in self.arrays}

    def state_dict(self) -> dict[str, Tensor]:
        """Fresh tensors under the published names, times the factors that the manifest states."""
        import torch

        scale = self.manifest.get("scale", {})
        return {
            name: torch.from_numpy(array * np.float32(scale[name]) if name in scale else array)
            for name, array in fill(self.shapes).items()
        }


def reference_cases(folder: str | Path, pattern: str = "*") -> list[ReferenceCase]:
    """The cases whose names match a glob `pattern`, by name.

    Raises:
        FileNotFoundError: none does; a test over no cases would pass without testing anything.
    """
    paths = sorted(path for path in Path(folder).glob(f"{pattern}.json"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no reference case matches {pattern}.json")
    return [_reference_case(path) for path in paths]


def _reference_case(path: Path) -> ReferenceCase:
    manifest = json.loads(path.read_text(encoding="utf-8"))
    shapes = {name: tuple(shape) for name, shape in manifest.get("state_dict", ())}
    return ReferenceCase(path.stem, manifest.get("config", {}), shapes, manifest.get("expected", {}), manifest, path)


def run_without_packages(
    script: Path, *arguments: str | Path, absent: Sequence[str] = ("torch", "poseworks", "scipy")
) -> subprocess.CompletedProcess[str]:
    """A Python script run in a process of its own, as where `absent` packages are not installed."""
    program = (
        f"import runpy, sys\nsys.modules.update(dict.fromkeys({list(absent)}))\n"
        "sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", program, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def mutations(data: bytes, rng: np.random.Generator, count: int = 200) -> Iterator[bytes]:
    """`count` damaged copies of a file, none equal to it: each kind of damage in turn, at places drawn from `rng`."""
    kinds: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
        _truncated, _bits_flipped, _deleted, _inserted, _spliced, _blanked
    )  # fmt: skip
    if not data:
        raise ValueError("mutations: the file is empty, there is nothing to damage.")
    for number in range(count):
        damaged = kinds[number % len(kinds)](data, rng)
        yield damaged if damaged != data else data[:-1]


def _span(data: bytes, rng: np.random.Generator, longest: int = 64) -> tuple[int, int]:
    """Start and end of a part of `data`, at least one byte."""
    start = int(rng.integers(len(data)))
    return start, min(len(data), start + int(rng.integers(1, longest + 1)))


def _truncated(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data)))]


def _bits_flipped(data: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        damaged[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _deleted(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _inserted(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + rng.bytes(end - start) + data[start:]


def _spliced(data: bytes, rng: np.random.Generator) -> bytes:
    """A part of the file copied over another place."""
    start, end = _span(data, rng, longest=max(len(data) // 4, 1))
    place = int(rng.integers(len(data)))
    return data[:place] + data[start:end] + data[place + end - start :]


def _blanked(data: bytes, rng: np.random.Generator) -> bytes:
    """A part of the file set to zeros or to ones, as a bad disk does."""
    start, end = _span(data, rng)
    return data[:start] + bytes([int(rng.choice([0, 255]))]) * (end - start) + data[end:]


# A standing person in metres: left side x > 0, y forward, z up from the hips' height. `*_x` stands for both sides.
_STANDING: Mapping[str, tuple[float, float, float]] = {
    "pelvis": (0, 0, 0), "upper_pelvis": (0, 0, 0.09), "spine1": (0, -0.02, 0.2), "spine2": (0, -0.02, 0.33),
    "spine3": (0, 0, 0.39), "belly": (0, 0, 0.25), "spine": (0, 0, 0.25), "thorax": (0, 0, 0.5),
    "mid_shoulder": (0, 0, 0.48), "lower_neck": (0, -0.03, 0.55), "head": (0, 0, 0.66), "neck": (0, 0.02, 0.63),
    "head_top": (0, 0.02, 0.81), "face": (0, 0.12, 0.66), "nose": (0, 0.13, 0.66), "*_eye": (0.03, 0.11, 0.69),
    "*_eye_inner": (0.02, 0.11, 0.69), "*_eye_outer": (0.04, 0.1, 0.69), "*_ear": (0.07, 0.02, 0.67),
    "*_mouth": (0.02, 0.11, 0.62), "*_collar": (0.08, 0, 0.47), "*_shoulder": (0.18, 0, 0.48),
    "*_elbow": (0.2, 0, 0.19), "*_wrist": (0.21, 0.02, -0.06), "*_hand": (0.21, 0.03, -0.14),
    "*_pinky": (0.2, 0, -0.15), "*_index": (0.2, 0.05, -0.16), "*_thumb": (0.19, 0.06, -0.11),
    "*_hip": (0.1, 0, 0), "*_knee": (0.1, 0.01, -0.44), "*_ankle": (0.1, 0, -0.86), "*_heel": (0.1, -0.06, -0.92),
    "*_foot": (0.11, 0.12, -0.92), "*_foot_index": (0.11, 0.2, -0.92), "*_big_toe": (0.09, 0.19, -0.92),
    "*_small_toe": (0.15, 0.15, -0.92),
}  # fmt: skip
_ARM = frozenset(("elbow", "wrist", "hand", "pinky", "index", "thumb"))
_LEG = frozenset(("knee", "ankle", "heel", "foot", "foot_index", "big_toe", "small_toe"))


def walking_poses(
    frames: int = 60,
    people: int = 1,
    dims: int = 3,
    skeleton: Skeleton = H36M_17,
    *,
    rng: np.random.Generator,
    fps: float = 30.0,
    noise: float = 0.0,
    missing: float = 0.0,
) -> PoseSequence:
    """People who walk side by side with rigid limbs: in metres in the world, or in 2D in pixels, seen from the side.

    Args:
        frames: T.
        people: P, each with a pace and a phase of their own.
        dims: 3, or 2 for an orthographic view of 1280 x 720 pixels with 250 pixels a metre.
        skeleton: one of the vocabulary's.
        rng: draws pace, phase, noise and gaps.
        fps: frames per second.
        noise: standard deviation of the noise on each coordinate, in the unit of the output.
        missing: share of joints that are NaN, with confidence 0.
    """
    seconds = np.arange(frames) / fps
    positions = np.zeros((people, frames, skeleton.num_joints, 3))
    for person in range(people):
        stride_hz, phase = rng.uniform(0.8, 1.1), rng.uniform(0, 2 * np.pi)
        angle = 2 * np.pi * stride_hz * seconds + phase
        for joint, name in enumerate(skeleton.joint_names):
            positions[person, :, joint] = _walking_joint(name, angle)
        positions[person, :, :, 0] += person  # side by side, 1 m apart
        positions[person, :, :, 1] += 1.2 * stride_hz * seconds[:, None]
        positions[person, :, :, 2] += 0.92 + 0.02 * np.cos(2 * angle)[:, None]
    if dims == 2:
        positions = 250 * np.stack((positions[..., 1] + 0.8, 2.6 - positions[..., 2]), axis=-1)
    positions += noise * rng.standard_normal(positions.shape)
    gone = rng.random(positions.shape[:3]) < missing
    positions[gone] = np.nan
    return PoseSequence(
        positions=positions.astype(np.float32),
        confidence=np.where(gone, 0.0, 1.0).astype(np.float32),
        joint_names=skeleton.joint_names,
        skeleton=skeleton.name,
        fps=fps,
        unit="px" if dims == 2 else "m",
        frame="image" if dims == 2 else "world",
        image_size=(1280, 720) if dims == 2 else None,
    )


def _walking_joint(name: str, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 3) of one joint about the moving pelvis, at each angle of the walking cycle."""
    side, _, part = name.partition("_")
    sided = side in ("left", "right")
    if not sided:
        return np.broadcast_to(np.array(_STANDING[name], dtype=np.float64), (len(angle), 3))
    sign = 1.0 if side == "left" else -1.0
    swing = sign * np.sin(angle)  # left leg and right arm go forward together
    at = {key: np.array(_STANDING[f"*_{key}"]) * (sign, 1, 1) for key in (part, "hip", "knee", "shoulder", "elbow")}
    point = np.broadcast_to(at[part], (len(angle), 3))
    if part in _LEG:
        bend = -0.5 * (1 + sign * np.cos(angle))  # a knee bends backwards alone
        return _swung(_swung(point, at["knee"], bend), at["hip"], 0.45 * swing)
    if part in _ARM:
        return _swung(_swung(point, at["elbow"], 0.3 * (1 - swing)), at["shoulder"], -0.5 * swing)
    return point


def _swung(point: NDArray[np.float64], pivot: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """`point` (T, 3) turned about the sideways axis through `pivot`: what hangs down swings forward."""
    offset = point - pivot
    cos, sin = np.cos(angle), np.sin(angle)
    y, z = cos * offset[:, 1] - sin * offset[:, 2], sin * offset[:, 1] + cos * offset[:, 2]
    return pivot + np.stack((offset[:, 0], y, z), axis=1)
