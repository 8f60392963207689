"""poseworks.lifting: LCN and EHGFormer, from 2D keypoints to 3D. Importing it does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poseworks.core.lazy import lazy_names

if TYPE_CHECKING:
    from poseworks.lifting import h36m
    from poseworks.lifting.distillation import Distiller, DistillerConfig
    from poseworks.lifting.ehgformer import EHGFormer, EHGFormerConfig, OrdinaryEHGFormer, OrdinaryEHGFormerConfig
    from poseworks.lifting.flipping import flip, flip_average
    from poseworks.lifting.lcn import LCN, LCNConfig
    from poseworks.lifting.lifter import Lifted, lift, lift_people
    from poseworks.lifting.loading import export_onnx, load, save, shipped_models
    from poseworks.lifting.settings import LiftSettings
    from poseworks.lifting.streaming import LiftedFrame, LiftStream

_HOMES = {
    "distillation": ("Distiller", "DistillerConfig"),
    "ehgformer": ("EHGFormer", "EHGFormerConfig", "OrdinaryEHGFormer", "OrdinaryEHGFormerConfig"),
    "flipping": ("flip", "flip_average"),
    "lcn": ("LCN", "LCNConfig"),
    "lifter": ("Lifted", "lift", "lift_people"),
    "loading": ("export_onnx", "load", "save", "shipped_models"),
    "settings": ("LiftSettings",),
    "streaming": ("LiftStream", "LiftedFrame"),
}

__all__ = [
    "LCN",
    "Distiller",
    "DistillerConfig",
    "EHGFormer",
    "EHGFormerConfig",
    "LCNConfig",
    "LiftSettings",
    "LiftStream",
    "Lifted",
    "LiftedFrame",
    "OrdinaryEHGFormer",
    "OrdinaryEHGFormerConfig",
    "export_onnx",
    "flip",
    "flip_average",
    "h36m",
    "lift",
    "lift_people",
    "load",
    "save",
    "shipped_models",
]

__getattr__, __dir__ = lazy_names(globals(), _HOMES, modules=("h36m",))
