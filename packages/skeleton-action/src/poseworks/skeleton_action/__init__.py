"""poseworks.skeleton_action: PoseC3D, from keypoints to actions. Importing it does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poseworks.core.lazy import lazy_names

if TYPE_CHECKING:
    from poseworks.skeleton_action.annotation import Annotation, as_annotation
    from poseworks.skeleton_action.annotation_files import DataSet, read_annotations, read_data_set, write_annotations
    from poseworks.skeleton_action.c3d_light import C3DLight, C3DLightConfig
    from poseworks.skeleton_action.fusion import fuse
    from poseworks.skeleton_action.layouts import COCO_LAYOUT, JointLayout, layout_of
    from poseworks.skeleton_action.loading import export_onnx, load, save, shipped_models
    from poseworks.skeleton_action.metrics import average_clips, confusion_matrix, mean_class_accuracy, top_k_accuracy
    from poseworks.skeleton_action.preparation import Preparation
    from poseworks.skeleton_action.recognition import predict, recognize
    from poseworks.skeleton_action.results import Results, read_results, write_results
    from poseworks.skeleton_action.sampling import sample_frames
    from poseworks.skeleton_action.slowonly import SlowOnly, SlowOnlyConfig
    from poseworks.skeleton_action.streaming import Stream
    from poseworks.skeleton_action.timeline import Timeline
    from poseworks.skeleton_action.volumes import test_volumes
    from poseworks.skeleton_action.x3d_shallow import X3DShallow, X3DShallowConfig

_HOMES = {
    "annotation": ("Annotation", "as_annotation"),
    "annotation_files": ("DataSet", "read_annotations", "read_data_set", "write_annotations"),
    "c3d_light": ("C3DLight", "C3DLightConfig"),
    "fusion": ("fuse",),
    "layouts": ("COCO_LAYOUT", "JointLayout", "layout_of"),
    "loading": ("export_onnx", "load", "save", "shipped_models"),
    "metrics": ("average_clips", "confusion_matrix", "mean_class_accuracy", "top_k_accuracy"),
    "preparation": ("Preparation",),
    "recognition": ("predict", "recognize"),
    "results": ("Results", "read_results", "write_results"),
    "sampling": ("sample_frames",),
    "slowonly": ("SlowOnly", "SlowOnlyConfig"),
    "streaming": ("Stream",),
    "timeline": ("Timeline",),
    "volumes": ("test_volumes",),
    "x3d_shallow": ("X3DShallow", "X3DShallowConfig"),
}

__all__ = [
    "COCO_LAYOUT",
    "Annotation",
    "C3DLight",
    "C3DLightConfig",
    "DataSet",
    "JointLayout",
    "Preparation",
    "Results",
    "SlowOnly",
    "SlowOnlyConfig",
    "Stream",
    "Timeline",
    "X3DShallow",
    "X3DShallowConfig",
    "as_annotation",
    "average_clips",
    "confusion_matrix",
    "export_onnx",
    "fuse",
    "layout_of",
    "load",
    "mean_class_accuracy",
    "predict",
    "read_annotations",
    "read_data_set",
    "read_results",
    "recognize",
    "sample_frames",
    "save",
    "shipped_models",
    "test_volumes",
    "top_k_accuracy",
    "write_annotations",
    "write_results",
]

__getattr__, __dir__ = lazy_names(globals(), _HOMES)
