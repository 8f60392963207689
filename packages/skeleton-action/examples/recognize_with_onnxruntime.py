"""Recognises what people do from their keypoints with onnxruntime and numpy alone: no torch, no poseworks.

    poseworks-skeleton-action export x3d-shallow-open -o action.onnx    # once, where poseworks is installed
    python recognize_with_onnxruntime.py action.onnx poses.npz          # anywhere

poses.npz: keypoints in pixels with the size of the image, and the joints that the network reads (coco17). Prints a JSON
object for each person. The answers are those of `recognize --preset fast`: one clip of the recording, not mirrored.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

EPSILON = {"mmaction": 1e-4, "pyskl": 1e-3}  # what has a lower score is not drawn


def sample_frames(total: int, clip_len: int, flavour: str) -> np.ndarray:
    """Numbers of the `clip_len` frames of a clip, spread over a recording of `total`."""
    rng = np.random.RandomState(255)
    if flavour == "pyskl":
        rng.rand()
    if total < clip_len:
        return np.arange(clip_len) % total
    if total < 2 * clip_len:
        skips = np.zeros(clip_len + 1, dtype=int)
        skips[rng.choice(clip_len + 1, total - clip_len, replace=False)] = 1
        return np.arange(clip_len) + np.cumsum(skips)[:clip_len]
    borders = np.arange(clip_len + 1) * total // clip_len
    return borders[:-1] + rng.randint(np.diff(borders))


def place(keypoints: np.ndarray, image: tuple, size: int, flavour: str) -> np.ndarray:
    """Keypoints (M, T, V, 2) of an image (height, width), 0 where missing, in the size x size pixels of a volume."""
    sides = np.array(image[::-1])
    present = [keypoints[..., axis][keypoints[..., axis] != 0] for axis in (0, 1)]
    if all(len(values) and np.ptp(values) >= 10 for values in present):
        low, high = (np.array([end(values) for values in present]) for end in (np.min, np.max))
        half = np.full(2, ((high - low) / 2 * np.float32(1.25)).max())
        corner = np.trunc((high + low) / 2 - half)
        sides = np.trunc((high + low) / 2 + half) - corner
        keypoints = np.where(keypoints != 0, keypoints - corner, 0)
    if flavour == "pyskl":
        return keypoints * (size / sides)
    scaled = np.trunc(sides * (size / sides.min()) + 0.5)
    return keypoints * (scaled / sides) - (scaled - size) // 2


def draw(keypoints: np.ndarray, scores: np.ndarray, preparation: dict) -> np.ndarray:
    """A volume (C, T, size, size) of keypoints (M, T, V, 2) in its pixels and their scores (M, T, V)."""
    size, sigma, epsilon = preparation["size"], preparation["sigma"], EPSILON[preparation["flavour"]]
    limbs = preparation["layout"]["limbs"]
    if preparation["stream"] == "joint":  # a limb from a joint to itself
        limbs = [(joint, joint) for joint in range(keypoints.shape[2])]
    pixels = np.arange(size)
    volume = np.zeros((len(limbs), keypoints.shape[1], size, size), np.float32)
    for person, sure in zip(keypoints, scores, strict=True):
        for heatmaps, (i, j) in zip(volume, limbs, strict=True):
            a, b = person[:, i], person[:, j]
            short = ((b - a) ** 2).sum(axis=1) < 1
            v = np.minimum(sure[:, i], sure[:, j])
            v = np.where(v < epsilon, 0, np.where(short, sure[:, i], v))
            b = np.where(short[:, None], a, b)
            first, last = np.trunc(np.minimum(a, b) - 3 * sigma), np.trunc(np.maximum(a, b) + 3 * sigma)
            inside = (pixels >= first[..., None]) & (pixels <= last[..., None])
            x, y = (pixels - a[..., None]).transpose(1, 0, 2)
            x, y, (dx, dy) = x[:, None, :], y[:, :, None], (b - a).T[..., None, None]
            u = np.clip((x * dx + y * dy) / np.maximum(dx**2 + dy**2, 1), 0, 1)
            squared = (x - u * dx) ** 2 + (y - u * dy) ** 2
            values = v[:, None, None] * np.exp(-squared / (2 * sigma**2))
            np.maximum(heatmaps, values * inside[:, 0, None, :] * inside[:, 1, :, None], out=heatmaps)
    return volume


def recognize(session: onnxruntime.InferenceSession, preparation: dict, volume: np.ndarray) -> dict:
    """The answer to one volume."""
    (logits,) = session.run(["logits"], {"volumes": volume[None]})
    calibrated = logits[0].astype(np.float64) / preparation["temperature"]
    above = calibrated - calibrated.max()
    energy = calibrated.max() + np.log(np.exp(above).sum())
    probabilities = np.exp(calibrated - energy)
    best = int(probabilities.argmax())
    label = preparation["labels"][best] if preparation["labels"] else f"class {best}"
    rule = preparation["unknown"]
    if rule is not None and {"probability": probabilities[best], "energy": energy}[rule["kind"]] < rule["threshold"]:
        label = "none of these"
    return {"label": label, "probability": float(probabilities[best]), "probabilities": probabilities.tolist()}


def main(model: str, source: str) -> None:
    """Reads, recognises person by person, prints."""
    preparation = json.loads(Path(model).with_suffix(".json").read_text())["preparation"]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    with np.load(source, allow_pickle=False) as archive:
        poses = dict(archive)
    if "image_size" not in poses or str(poses["unit"]) != "px":
        sys.exit(f"{source}: expected a poses file with keypoints in pixels and image_size.")
    width, height = (int(side) for side in poses["image_size"])
    names, wanted = [str(name) for name in poses["joint_names"]], preparation["layout"]["joint_names"]
    lacking = sorted({*wanted} - {*names})
    if lacking:
        sys.exit(f"{source}: lacks {', '.join(lacking)}. Expected the joints {', '.join(wanted)}.")
    rows = [names.index(name) for name in wanted]
    frames = sample_frames(poses["positions"].shape[1], preparation["clip_len"], preparation["flavour"])
    for person, (positions, confidence) in enumerate(zip(poses["positions"], poses["confidence"], strict=True)):
        keypoints = positions[frames][:, rows]
        seen = np.isfinite(keypoints).all(axis=-1)
        scores = np.where(seen, confidence[frames][:, rows], 0)[None]
        keypoints = np.where(seen[..., None], keypoints, 0)[None]
        placed = place(keypoints, (height, width), preparation["size"], preparation["flavour"])
        volume = draw(placed, scores, preparation)
        answer = recognize(session, preparation, volume) if volume.any() else {"label": None}
        sys.stdout.write(json.dumps({"person": person, **answer}) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: recognize_with_onnxruntime.py MODEL.onnx POSES.npz")
    main(*sys.argv[1:])
