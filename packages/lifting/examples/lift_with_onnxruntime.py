"""Lifts 2D keypoints to 3D with onnxruntime and numpy alone: no torch, no poseworks.

    poseworks-lifting export ehgformer-open -o lift.onnx                   # once, where poseworks is installed
    python lift_with_onnxruntime.py lift.onnx poses.npz motion3d.npz       # anywhere
    python lift_with_onnxruntime.py lift.onnx poses.npz motion3d.npz 1150  # with the focal length in pixels

poses.npz: keypoints in pixels with the size of the image, joints of coco17 or h36m17. The result is what `lift` gives
without filling gaps, guessing rates, a height or a camera: h36m17, relative to the pelvis, x right, y down, z away.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

FEWEST = 9  # joints of a frame that tell a pose
MADE_OF = {  # joints that detectors lack: shares of those that they have
    "pelvis": {"left_hip": 0.5, "right_hip": 0.5},
    "thorax": {"left_shoulder": 0.5, "right_shoulder": 0.5},
    "spine": {"left_hip": 0.25, "right_hip": 0.25, "left_shoulder": 0.25, "right_shoulder": 0.25},
    "neck": {"left_ear": 0.5, "right_ear": 0.5},
    "head_top": {"left_ear": 0.825, "right_ear": 0.825, "left_shoulder": -0.325, "right_shoulder": -0.325},
}


def convert(values: np.ndarray, confidence: np.ndarray, given: list[str], wanted: list[str]) -> tuple:
    """Pixels (T, J, 2) and confidence (T, J) with the joints `given`, as those `wanted`."""
    points, sure = [], []
    for name in wanted:
        shares = {name: 1.0} if name in given else MADE_OF[name]
        rows = [given.index(part) for part in shares]
        points.append(np.tensordot(values[:, rows], list(shares.values()), axes=(1, 0)))
        sure.append(confidence[:, rows].min(axis=1))
    return np.stack(points, axis=1), np.stack(sure, axis=1)


def prepare(note: dict, pixels: np.ndarray, confidence: np.ndarray, size: tuple, focal: float | None) -> tuple:
    """Pixels (T, 17, 2) -> input (T, 17, 3) and the turns (T, 3, 3) from camera axes to those of the answer."""
    (width, height), expects = size, note["preparation"]
    if expects["form"] == "image":
        x = pixels * (2 / width) - (1, height / width)
        return np.concatenate([x, confidence[..., None]], axis=-1), np.tile(np.eye(3), (len(x), 1, 1))
    seen = np.isfinite(pixels).all(axis=-1, keepdims=True)
    count = seen.sum(axis=1, keepdims=True)
    focal = focal or expects["assumed_focal"] * max(size)
    slopes = np.where(seen, (pixels - (width / 2, height / 2)) / focal, 0)
    rays = np.concatenate([slopes, np.ones_like(slopes[..., :1])], axis=-1)
    z = (rays / np.linalg.norm(rays, axis=-1, keepdims=True) * seen).sum(axis=1)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    x = np.cross((0.0, 1.0, 0.0), z)
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    turn = np.stack([x, np.cross(z, x), z], axis=1)
    if expects["form"] == "ray":
        turned = rays @ turn.transpose(0, 2, 1)
        slopes = turned[..., :2] / turned[..., 2:]
    centred = (slopes - (slopes * seen).sum(axis=1, keepdims=True) / count) * seen
    spread = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True) / count)
    size = 5 * spread * seen if expects["form"] == "ray" else seen
    return np.concatenate([centred / spread, size], axis=-1), turn


def answer(session: onnxruntime.InferenceSession, x: np.ndarray, mirror: list[int]) -> np.ndarray:
    """Mean of the answer to (N, ..., 17, C) and of that to its mirror image."""
    sign = np.ones(3, np.float32)
    sign[0] = -1
    (plain,) = session.run(["pose3d"], {"pose2d": x})
    (other,) = session.run(["pose3d"], {"pose2d": np.ascontiguousarray((x * sign[: x.shape[-1]])[..., mirror, :])})
    return (plain + (other * sign)[..., mirror, :]) / 2


def run(session: onnxruntime.InferenceSession, x: np.ndarray, window: int, mirror: list[int]) -> np.ndarray:
    """(T, 17, C) -> (T, 17, 3): windows that overlap by half and are blended; window 1: each frame alone."""
    frames = len(x)
    if window == 1 or frames <= window:
        return answer(session, x, mirror) if window == 1 else answer(session, x[None], mirror)[0]
    hill = np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2
    starts = list(range(0, frames - window + 1, window // 2))
    weights = [hill] * len(starts)
    if starts[-1] + window < frames:  # the last one ends at the last frame, and need not fall there
        starts.append(frames - window)
        weights.append(np.where(np.arange(window) < window // 2, hill, 1))
    total, count = np.zeros((frames, 17, 3)), np.zeros((frames, 1, 1))
    for start, weight in zip(starts, weights, strict=True):
        part, share = slice(start, start + window), weight[:, None, None]
        total[part] += answer(session, x[None, part], mirror)[0] * share
        count[part] += share
    return total / count


def lift(
    session: onnxruntime.InferenceSession,
    note: dict,
    pixels: np.ndarray,
    confidence: np.ndarray,
    size: tuple,
    focal: float | None,
) -> np.ndarray:
    """Joints (T, 17, 3) of one person; NaN in frames that show too few of them."""
    names, config = note["joint_names"], note["config"]
    window, features = config.get("frames", 1), config.get("in_features", 3)
    sides = {"left": "right", "right": "left"}
    mirror = [names.index("_".join([sides.get(part, part) for part in name.split("_")])) for name in names]
    seen = np.isfinite(pixels).all(axis=-1).sum(axis=1)
    usable = seen >= (17 if note["preparation"]["form"] == "image" else FEWEST)
    joints = np.full((*pixels.shape[:2], 3), np.nan)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], usable, [False]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        x, turn = prepare(note, pixels[start:stop], confidence[start:stop], size, focal)
        y = run(session, x[..., :features].astype(np.float32), window, mirror)
        joints[start:stop] = note["preparation"]["unit_m"] * (y - y[:, :1]) @ turn
    return joints


def main(model: str, source: str, target: str, focal: str | None = None) -> None:
    """Reads, lifts person by person, writes."""
    note = json.loads(Path(model).with_suffix(".json").read_text())
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    with np.load(source, allow_pickle=False) as archive:
        poses = dict(archive)
    if "image_size" not in poses or str(poses["unit"]) != "px":
        sys.exit(f"{source}: expected a poses file with keypoints in pixels and image_size.")
    size = tuple(int(side) for side in poses.pop("image_size"))
    names = [str(name) for name in poses["joint_names"]]
    lacking = {part for name in {*note["joint_names"]} - {*names} for part in MADE_OF.get(name, [name])} - {*names}
    if lacking:
        sys.exit(f"{source}: lacks {', '.join(sorted(lacking))}. Expected the joints of coco17 or h36m17.")
    lifted, sure = [], []
    for positions, confidence in zip(poses["positions"].astype(np.float64), poses["confidence"], strict=True):
        pixels, known = convert(positions, confidence, names, note["joint_names"])
        lifted.append(lift(session, note, pixels, known, size, None if focal is None else float(focal)))
        sure.append(np.where(np.isfinite(pixels).all(axis=-1), known, 0))
    history = json.loads(str(poses["history"]))
    poses |= {
        "positions": np.stack(lifted).astype(np.float32),
        "confidence": np.stack(sure).astype(np.float32),
        "joint_names": np.array(note["joint_names"]),
        "skeleton": np.array(note["joints"]),
        "unit": np.array("normalised"),
        "frame": np.array("root"),
        "history": np.array(json.dumps([*history, {"verb": "lift", "settings": {"onnx": Path(model).name}}])),
    }
    np.savez_compressed(target, **poses)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: lift_with_onnxruntime.py MODEL.onnx POSES.npz OUTPUT.npz [FOCAL_PIXELS]")
    main(*sys.argv[1:])
