"""The verb `build`: poses files, or people made up, as the published layouts of Human3.6M."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from poseworks.core.camera_files import read_camera
from poseworks.core.cameras import Pinhole
from poseworks.core.cli import print_result
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import refuse_existing
from poseworks.core.formats import read_poses
from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import H36M_17
from poseworks.lifting.h36m import CAMERA_SIZES
from poseworks.lifting.learning.building import NAME, Recording, build, synthetic_recordings
from poseworks.lifting.learning.h36m_files.frames import CAMERAS

_MM = {"m": 1000.0, "mm": 1.0}


def run_build(
    inputs: Sequence[Path],
    output: Path,
    *,
    synthetic: bool,
    camera: Path | None,
    keypoints: Path | None,
    frames: int,
    seed: int,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Writes the layouts and prints what they hold.

    Raises:
        ConfigError: neither inputs nor `synthetic`, or both; no camera; the output exists.
        PoseworksError: a file cannot be read, or is no recording.
    """
    refuse_existing(output, overwrite)
    if synthetic == bool(inputs):
        raise ConfigError("build: give 3D poses files, or --synthetic: one of the two.")
    if synthetic:
        if camera is not None or keypoints is not None:
            raise ConfigError("--camera, --keypoints: belong to INPUT; --synthetic makes its own.")
        if not 1 <= frames <= 100_000:
            raise ConfigError(f"--frames {frames}: expected 1 to 100000.")
        recordings = synthetic_recordings(frames, rng=np.random.default_rng(abs(seed)))
    else:
        if camera is None:
            raise ConfigError(
                '--camera: state the camera, a JSON file such as {"fx": 1145, "fy": 1144, "cx": 512, "cy": 515}.'
            )
        recordings = [_recording(path, camera, keypoints) for path in inputs]
    files = build(recordings, output, overwrite=overwrite)
    counts = {split: sum(len(r) for r in recordings if r.split == split) for split in ("train", "test")}
    print_result(
        {"output": output, "files": files, "recordings": len(recordings), "frames": counts}, json=json, quiet=quiet
    )


def _recording(path: Path, camera: Path, keypoints: Path | None) -> Recording:
    name = path.stem
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{path}: expected a name such as s_09_act_05_subact_02_ca_01.npz, camera 1 to 4.")
    size = CAMERA_SIZES[CAMERAS[int(match[4]) - 1]]
    pinhole: Pinhole = read_camera(camera, size)
    poses = _one_person(path, 3)
    if poses.frame != "camera" or poses.unit not in _MM:
        raise DataError(f"{path}: expected joints in m or mm in the frame camera, got {poses.unit} in {poses.frame}.")
    joints = poses.positions[0].astype(np.float64) * _MM[poses.unit]
    if keypoints is None:
        return Recording(name, joints, pinhole)
    seen = _one_person(keypoints / path.name, 2)
    if seen.image_size is not None and seen.image_size != size:
        raise DataError(f"{keypoints / path.name}: image of {seen.image_size}, camera {match[4]} has {size}.")
    if seen.num_frames != poses.num_frames:
        raise DataError(f"{keypoints / path.name}: {seen.num_frames} frames, but {path} has {poses.num_frames}.")
    return Recording(name, joints, pinhole, seen.positions[0], seen.confidence[0])


def _one_person(path: Path, dims: int) -> PoseSequence:
    poses = read_poses(path, fps=None)
    if poses.num_people != 1 or poses.num_dims != dims or poses.joint_names != H36M_17.joint_names:
        raise DataError(
            f"{path}: expected one person of h36m17 in {dims}D, got {poses.num_people} of {poses.skeleton} in "
            f"{poses.num_dims}D."
        )
    return poses
