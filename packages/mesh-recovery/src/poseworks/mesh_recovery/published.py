"""The published variants and the errors that their makers state, as data: what `models` lists and `evaluate` compares.

Numbers are mm on the test split of 3DPW, of networks that saw none of 3DPW in training: PA-MPJPE, and MPJPE where it is
stated. The study is that of pose and shape estimation beyond algorithms (NeurIPS 2022). It names its mixes of data by
number; file names there number them otherwise. None of the files come with this package.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Method = Literal["HMR", "SPIN", "GraphCMR", "PARE", "Graphormer"]
Variant = Literal["normal", "l1", "l1-coco", "l1-coco-aug"]

METHODS: tuple[Method, ...] = ("HMR", "SPIN", "GraphCMR", "PARE", "Graphormer")
VARIANTS: tuple[Variant, ...] = ("normal", "l1", "l1-coco", "l1-coco-aug")
LICENCE = "not stated for the weights, whose data and SMPL body are for non-commercial research"

# The study's main table, in the order of VARIANTS.
MAIN_TABLE: dict[Method, tuple[float, float, float, float]] = {
    "HMR": (64.55, 58.20, 51.80, 51.66),
    "SPIN": (59.20, 57.08, 51.54, 50.69),
    "GraphCMR": (70.51, 67.20, 61.74, 60.26),
    "PARE": (61.99, 61.13, 59.98, 51.66),
    "Graphormer": (63.18, 63.47, 59.66, 58.82),
}
TRAINING_DATA: dict[Method, str] = {
    "HMR": "H36M, MI, COCO, LSP, LSPET, MPII",
    "SPIN": "H36M, MI, COCO, LSP, LSPET, MPII",
    "GraphCMR": "H36M, COCO, LSP, LSPET, MPII, UP3D",
    "PARE": "H36M, MI, EFT-COCO, EFT-LSPET, EFT-MPII",
    "Graphormer": "H36M, MuCo, COCO, UP3D, MPII",
}
BACKBONES: dict[Method, str] = {
    "HMR": "resnet50",
    "SPIN": "resnet50",
    "GraphCMR": "resnet50",
    "PARE": "hrnet-w32",
    "Graphormer": "hrnet-w48",
}
PARAMETERS: dict[Method, int] = {  # without a body, an adversary and what is never used
    "HMR": 26_977_501,
    "SPIN": 26_977_501,
    "PARE": 32_860_710,
}
_VARIANT_NOTES: dict[Variant, str] = {
    "normal": "losses as published",
    "l1": "L1 losses",
    "l1-coco": "L1 losses, backbone from COCO keypoints",
    "l1-coco-aug": "L1 losses, backbone from COCO keypoints, augmented",
}

# Further rows of the study for HMR: name -> (backbone, training data, PA-MPJPE, MPJPE or None, note).
_Row = tuple[str, str, float, float | None, str]
_MIX5 = TRAINING_DATA["HMR"]
STUDY: dict[str, _Row] = {
    "hmr-r50-mix1": ("resnet50", "H36M, MI, COCO", 66.14, None, ""),
    "hmr-r50-mix1-l1": ("resnet50", "H36M, MI, COCO", 57.01, None, "L1 losses"),
    "hmr-r50-mix2": ("resnet50", "H36M, MI, EFT-COCO", 55.98, None, ""),
    "hmr-r50-mix2-l1": ("resnet50", "H36M, MI, EFT-COCO", 55.25, None, "L1 losses"),
    "hmr-r50-mix3": ("resnet50", "H36M, MI, EFT-COCO, MPII", 56.12, None, ""),
    "hmr-r50-mix4": ("resnet50", "H36M, MuCo, EFT-COCO", 53.90, None, ""),
    "hmr-r50-mix6": ("resnet50", "EFT-COCO, EFT-MPII, EFT-LSPET, SPIN-MI, H36M", 55.47, None, ""),
    "hmr-r50-mix6-l1": ("resnet50", "EFT-COCO, EFT-MPII, EFT-LSPET, SPIN-MI, H36M", 53.62, None, "L1 losses"),
    "hmr-r50-mpii": ("resnet50", _MIX5, 60.60, None, "backbone from MPII keypoints"),
    "hmr-r50-coco": ("resnet50", _MIX5, 57.26, None, "backbone from COCO keypoints"),
    "hmr-hrnet": ("hrnet-w32", _MIX5, 64.27, None, "backbone from ImageNet"),
    "hmr-hrnet-mpii": ("hrnet-w32", _MIX5, 55.93, None, "backbone from MPII keypoints"),
    "hmr-hrnet-coco": ("hrnet-w32", _MIX5, 54.47, None, "backbone from COCO keypoints"),
    "hmr-hrnet-mix5-best": ("hrnet-w32", _MIX5, 49.18, None, "L1, COCO"),
    "hmr-hrnet-mix2-best": ("hrnet-w32", "H36M, MI, EFT-COCO", 48.08, None, "L1, COCO, augmented"),
    "hmr-hrnet-mix6-best": (
        "hrnet-w32", "EFT-COCO, EFT-MPII, EFT-LSPET, SPIN-MI, H36M", 47.68, None, "L1, COCO, augmented"
    ),
    "hmr-r101": ("resnet101", _MIX5, 63.36, 112.67, ""),
    "hmr-r152": ("resnet152", _MIX5, 62.13, 107.13, ""),
}  # fmt: skip
# HMR-ResNet-50 trained on one data set alone: name -> PA-MPJPE.
SINGLE_DATA_SETS: dict[str, float] = {
    "EFT-COCO": 60.82, "EFT-COCO-Part": 67.81, "EFT-PoseTrack": 75.17, "EFT-MPII": 77.67, "AGORA": 77.94, "MuCo": 78.05,
    "PROX": 84.69, "COCO-WholeBody": 85.27, "UP-3D": 86.92, "MTP": 87.03, "InstaVariety": 88.93, "3DPW": 89.36,
    "COCO": 93.18, "EFT-OCHuman": 94.01, "MuPoTs": 95.83, "LIP": 96.47, "MPII": 98.18, "CrowdPose": 99.97,
    "VLOG": 100.38, "EFT-LSPET": 100.53, "PoseTrack": 105.30, "MI": 107.15, "SURREAL": 110.00, "LSP": 111.45,
    "AIC": 111.66, "LSPET": 112.26, "3DOH50K": 114.48, "PennAction": 114.53, "3DPeople": 118.31, "H36M": 124.55,
    "OCHuman": 130.55,
}  # fmt: skip
# The toolbox that the study is built on, and the authors' own files.
OTHERS: dict[str, tuple[Method, _Row]] = {
    "toolbox-hmr": ("HMR", ("resnet50", "as its configuration says", 67.53, 112.34, "")),
    "toolbox-spin": ("SPIN", ("resnet50", "as its configuration says", 57.54, 94.11, "layout of HMR")),
    "toolbox-pare": ("PARE", ("hrnet-w32", "as its configuration says", 50.78, 81.81, "")),
    "toolbox-pare-mosh": ("PARE", ("hrnet-w32", "as its configuration says, with MoSh labels", 49.35, 81.79, "")),
    "spin-original": ("SPIN", ("resnet50", "H36M, MI, COCO, LSP, LSPET, MPII", 59.2, None, "")),
    "graphormer-original": (
        "Graphormer", ("hrnet-w64", "H36M, MuCo, COCO, UP3D, MPII, 3DPW", 45.35, 73.98, "finetuned on 3DPW train")
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A set of weights that somebody published, or trained and reported.

    Attributes:
        name: ours, for `load`, the `models` verb and claims.
        file: where it is looked for in the folders of POSEWORKS_WEIGHTS.
        claim_pa_mm: PA-MPJPE on the test split of 3DPW, as its makers state it.
        claim_mm: MPJPE likewise, None where it is not stated.
        parameters: numbers in the trained tensors that a network here has; None where that is not known.
    """

    name: str
    method: Method
    backbone: str
    training_data: str
    claim_pa_mm: float
    claim_mm: float | None = None
    parameters: int | None = None
    note: str = ""

    @property
    def file(self) -> str:
        """Its checkpoint, relative to a folder of POSEWORKS_WEIGHTS."""
        return f"{self.name}/checkpoint.pth"

    @property
    def claim(self) -> str:
        """The errors with their protocol."""
        pair = "" if self.claim_mm is None else f", MPJPE {self.claim_mm:g}"
        return (
            f"3DPW test: PA-MPJPE {self.claim_pa_mm:g}{pair} mm (14 joints, no 3DPW in training)"
            if ("3DPW" not in self.training_data)
            else f"3DPW test: PA-MPJPE {self.claim_pa_mm:g}{pair} mm (14 joints, trained on 3DPW)"
        )


def _main_table() -> Iterable[Published]:
    for method, errors in MAIN_TABLE.items():
        for variant, error in zip(VARIANTS, errors, strict=True):
            yield Published(
                name=f"{method.lower()}-{variant}",
                method=method,
                backbone=BACKBONES[method],
                training_data=TRAINING_DATA[method],
                claim_pa_mm=error,
                parameters=PARAMETERS.get(method),
                note=f"{BACKBONES[method]}; {_VARIANT_NOTES[variant]}",
            )


def _further() -> Iterable[Published]:
    rows: dict[str, tuple[Method, _Row]] = {name: ("HMR", row) for name, row in STUDY.items()}
    rows |= {
        f"hmr-r50-{name.lower()}-alone": ("HMR", ("resnet50", name, error, None, "trained on one data set"))
        for name, error in SINGLE_DATA_SETS.items()
    }
    for name, (method, (backbone, data, error, mpjpe, note)) in {**rows, **OTHERS}.items():
        yield Published(name, method, backbone, data, error, mpjpe, note="; ".join(filter(None, (backbone, note))))


@functools.cache
def published_weights() -> dict[str, Published]:
    """Every published variant by name: the study's twenty, its further rows, and the originals."""
    return {entry.name: entry for entry in (*_main_table(), *_further())}
