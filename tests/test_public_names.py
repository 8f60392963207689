"""The names of the contract exist, and every public name is documented."""

from __future__ import annotations

import importlib
import inspect

import pytest

PROMISED = {
    "poseworks.core": ["PoseSequence", "read_poses", "write_poses"],
    "poseworks.core.metrics": ["mpjpe", "pa_mpjpe", "accel_error"],
    "poseworks.core.swaps": ["repair_swaps"],
    "poseworks.core.video": ["open_video", "write_video"],
    "poseworks.keypoints": ["detect", "Tracker"],
    "poseworks.lifting": [
        "load", "save", "export_onnx", "LCN", "EHGFormer", "lift", "flip_average", "LiftStream",
    ],
    "poseworks.lifting.h36m": ["normalize", "denormalize", "split_clips"],
    "poseworks.core.body_models": ["load_body", "BodyMotion"],
    "poseworks.mesh_recovery": ["load", "save", "export_onnx", "crop_transform"],
    "poseworks.skeleton_action": [
        "load", "save", "export_onnx", "sample_frames", "test_volumes", "predict", "recognize", "average_clips",
        "top_k_accuracy", "mean_class_accuracy", "fuse", "read_annotations", "Stream",
    ],
    "poseworks.temporal": [
        "load", "save", "export_onnx", "SmoothNet", "DeciWatch", "Stream", "apply_windows", "smooth_rotations",
        "sampled_frames",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PROMISED.items() for name in names])
def test_promised_name_exists(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    "module",
    [
        "poseworks.core",
        "poseworks.core.video",
        "poseworks.keypoints",
        "poseworks.lifting",
        "poseworks.core.body_models",
        "poseworks.mesh_recovery",
        "poseworks.skeleton_action",
        "poseworks.temporal",
        "poseworks.pipeline",
    ],
)
def test_every_public_name_resolves_and_is_documented(module: str) -> None:
    package = importlib.import_module(module)
    assert package.__all__
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{module}.{name} has no docstring"
