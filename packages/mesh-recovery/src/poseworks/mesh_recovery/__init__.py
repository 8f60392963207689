"""poseworks.mesh_recovery: HMR, SPIN, GraphCMR, PARE and Mesh Graphormer. Importing it does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poseworks.core.lazy import lazy_names

if TYPE_CHECKING:
    from poseworks.core.cameras import crop_transform
    from poseworks.mesh_recovery.backbones import HRNetConfig, ResNetConfig
    from poseworks.mesh_recovery.crops import Preparation, crop_box
    from poseworks.mesh_recovery.discriminator import Discriminator, DiscriminatorConfig
    from poseworks.mesh_recovery.fitting.fit import FitSettings, fit, fit_keypoints
    from poseworks.mesh_recovery.fitting.fitted import Fitted
    from poseworks.mesh_recovery.fitting.poses_3d import fit_3d
    from poseworks.mesh_recovery.fitting.views import fit_views
    from poseworks.mesh_recovery.graphcmr import GraphCMR, GraphCMRConfig
    from poseworks.mesh_recovery.graphormer import Graphormer, GraphormerConfig
    from poseworks.mesh_recovery.hmr import HMR, HMRConfig
    from poseworks.mesh_recovery.loading import load, load_discriminator, save, shipped_models
    from poseworks.mesh_recovery.meshes import BodyMesh, body_mesh
    from poseworks.mesh_recovery.named_joints import NamedJoints
    from poseworks.mesh_recovery.onnx_files import export_onnx
    from poseworks.mesh_recovery.overlay import write_overlay
    from poseworks.mesh_recovery.pare import PARE, PAREConfig
    from poseworks.mesh_recovery.recovery import Boxes, Recovered, boxes_of_poses, read_boxes, recover
    from poseworks.mesh_recovery.smplify import FittedBodies, SMPLify, SMPLifyConfig
    from poseworks.mesh_recovery.spin import SPIN, SPINConfig
    from poseworks.mesh_recovery.starting_weights import load_backbone, start_from_mean

_HOMES = {
    "backbones": ("HRNetConfig", "ResNetConfig"),
    "crops": ("Preparation", "crop_box"),
    "poseworks.core.cameras": ("crop_transform",),
    "discriminator": ("Discriminator", "DiscriminatorConfig"),
    "poseworks.mesh_recovery.fitting.fit": ("FitSettings", "fit", "fit_keypoints"),
    "poseworks.mesh_recovery.fitting.fitted": ("Fitted",),
    "poseworks.mesh_recovery.fitting.poses_3d": ("fit_3d",),
    "poseworks.mesh_recovery.fitting.views": ("fit_views",),
    "graphcmr": ("GraphCMR", "GraphCMRConfig"),
    "graphormer": ("Graphormer", "GraphormerConfig"),
    "hmr": ("HMR", "HMRConfig"),
    "loading": ("load", "load_discriminator", "save", "shipped_models"),
    "meshes": ("BodyMesh", "body_mesh"),
    "named_joints": ("NamedJoints",),
    "onnx_files": ("export_onnx",),
    "overlay": ("write_overlay",),
    "pare": ("PARE", "PAREConfig"),
    "recovery": ("Boxes", "Recovered", "boxes_of_poses", "read_boxes", "recover"),
    "smplify": ("FittedBodies", "SMPLify", "SMPLifyConfig"),
    "spin": ("SPIN", "SPINConfig"),
    "starting_weights": ("load_backbone", "start_from_mean"),
}

__all__ = [
    "HMR",
    "PARE",
    "SPIN",
    "BodyMesh",
    "Boxes",
    "Discriminator",
    "DiscriminatorConfig",
    "FitSettings",
    "Fitted",
    "FittedBodies",
    "GraphCMR",
    "GraphCMRConfig",
    "Graphormer",
    "GraphormerConfig",
    "HMRConfig",
    "HRNetConfig",
    "NamedJoints",
    "PAREConfig",
    "Preparation",
    "Recovered",
    "ResNetConfig",
    "SMPLify",
    "SMPLifyConfig",
    "SPINConfig",
    "body_mesh",
    "boxes_of_poses",
    "crop_box",
    "crop_transform",
    "export_onnx",
    "fit",
    "fit_3d",
    "fit_keypoints",
    "fit_views",
    "load",
    "load_backbone",
    "load_discriminator",
    "read_boxes",
    "recover",
    "save",
    "shipped_models",
    "start_from_mean",
    "write_overlay",
]

__getattr__, __dir__ = lazy_names(globals(), _HOMES)
