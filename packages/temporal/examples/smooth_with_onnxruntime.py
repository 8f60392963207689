"""Smooths a poses file with onnxruntime and numpy alone: no torch, no poseworks.

    poseworks-temporal export smoothnet-general-w32 -o smoothnet.onnx        # once, where poseworks is installed
    python smooth_with_onnxruntime.py smoothnet.onnx poses.npz smooth.npz    # anywhere

For the shipped SmoothNets, which mind neither unit nor origin. Other weights: see `before` in the file's .json.
Gaps within a track are interpolated; before its first and behind its last frame a joint stays missing.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def smooth_track(session: onnxruntime.InferenceSession, track: np.ndarray, window: int) -> np.ndarray:
    """(T, C) -> (T, C): every window of `window` frames through the network, the mean where they overlap."""
    frames = len(track)
    lead = max(window - frames, 0)  # a short clip: its first frame is repeated in front
    padded = np.concatenate([np.repeat(track[:1], lead, axis=0), track]).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)  # (N, C, W)
    total, count = np.zeros(padded.shape), np.zeros((len(padded), 1))
    for first in range(0, len(windows), 256):
        (smoothed,) = session.run(None, {"x": np.ascontiguousarray(windows[first : first + 256])})
        for offset, values in enumerate(smoothed):
            total[first + offset : first + offset + window] += values.T
            count[first + offset : first + offset + window] += 1
    return (total / count)[lead:]


def smooth_joint(session: onnxruntime.InferenceSession, positions: np.ndarray, window: int) -> np.ndarray:
    """(T, D) with NaN where the joint is missing -> the same, smoothed from its first to its last frame."""
    seen = np.flatnonzero(np.isfinite(positions).all(axis=1))
    result = positions.copy()
    if len(seen):
        stretch = np.arange(seen[0], seen[-1] + 1)
        filled = np.stack([np.interp(stretch, seen, axis[seen]) for axis in positions.T], axis=1)
        result[stretch] = smooth_track(session, filled, window)
    return result


def main(model: str, source: str, target: str) -> None:
    """Reads, smooths joint by joint, writes the same file with other positions."""
    window = json.loads(Path(model).with_suffix(".json").read_text())["config"]["window"]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    with np.load(source, allow_pickle=False) as archive:
        poses = dict(archive)
    people, _, joints, _ = poses["positions"].shape
    for person in range(people):
        for joint in range(joints):
            poses["positions"][person, :, joint] = smooth_joint(session, poses["positions"][person, :, joint], window)
    history = json.loads(str(poses["history"]))
    poses["history"] = np.array(json.dumps([*history, {"verb": "smooth", "settings": {"onnx": Path(model).name}}]))
    np.savez_compressed(target, **poses)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: smooth_with_onnxruntime.py MODEL.onnx POSES.npz OUTPUT.npz")
    main(*sys.argv[1:])
