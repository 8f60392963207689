"""Networks as ONNX files, which give what torch gives and hold no body."""

from __future__ import annotations

import os
from typing import assert_never

import torch
from torch import Tensor, nn

from poseworks.core.errors import ConfigError
from poseworks.core.onnx_export import ExportReport, export_verified
from poseworks.mesh_recovery.crops import MEAN, STD
from poseworks.mesh_recovery.discriminator import Discriminator
from poseworks.mesh_recovery.graphcmr import GraphCMR
from poseworks.mesh_recovery.graphormer import JOINT_TOKENS, Graphormer
from poseworks.mesh_recovery.hmr import HMR
from poseworks.mesh_recovery.loading import Network
from poseworks.mesh_recovery.meshes import EVALUATED, UPSIDE_DOWN
from poseworks.mesh_recovery.pare import PARE
from poseworks.mesh_recovery.spin import SPIN


def export_onnx(network: Network, path: str | os.PathLike[str], *, overwrite: bool = False) -> ExportReport:
    """Writes an ONNX file that gives what torch gives, and a JSON file beside it on what comes before and after.

    `images` (batch, 3, size, size) -> what the network returns, by name; batch of any size. GraphCMR's `matrices` are
    not rotations yet (ONNX has no singular values): the JSON file says what to do. A body is never written: on SMPL's
    mesh, `reference` (GraphCMR) or `template_joints` and `template_vertices` (Graphormer) are further inputs.

    Raises:
        ConfigError: not ``.onnx``, an existing file, a discriminator, or the packages for ONNX are missing.
        CheckpointError: ONNX and torch disagree; nothing is written.
    """
    if isinstance(network, Discriminator):
        raise ConfigError("export_onnx: a discriminator only serves training. Export the network it belongs to.")
    preparation = network.preparation
    size = preparation.size
    inputs = {"images": torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))}
    module, outputs, after = _exported(network)
    if isinstance(module, _GraphCMRFile | _GraphormerFile):
        inputs |= module.body_inputs
    note = {
        "config": network.config.model_dump(mode="json"),
        "preparation": preparation.model_dump(mode="json"),
        "before": f"{_BEFORE[preparation.crop]} RGB; divide by 255, subtract {list(MEAN)}, divide by {list(STD)}.",
        "after": {**after, "camera": _CAMERA[preparation.camera]},
    }
    return export_verified(
        module, path, inputs=inputs, outputs=outputs, dynamic_axes={"images": {0: "batch"}},
        other_sizes=({"batch": 1}, {"batch": 3}), sidecar=note, overwrite=overwrite,
    )  # fmt: skip


_SQUARE = "A square around the person, enlarge times the longer side of the box of the keypoints"
_BEFORE = {
    "affine": f"{_SQUARE}, sampled bilinearly to size x size; black outside.",
    "pixels": f"{_SQUARE}, its corners cut to whole pixels, resized bilinearly with antialiasing to size x size; black "
    "outside.",
}
_CAMERA = {
    "perspective": "s, tx, ty: the body stands at (tx, ty, 2 f / (size s)) before a camera of focal length f = 5000 "
    "pixels whose centre is the middle of the crop.",
    "orthographic": "s, tx, ty: x, y in the crop, from -1 to 1, are s (X + tx), s (Y + ty).",
}
_ROTATIONS = "(batch, 24, 3, 3), of each of SMPL's joints relative to its parent; the first turns the whole body."


class _GraphCMRFile(nn.Module):
    """A GraphCMR without singular values."""

    def __init__(self, network: GraphCMR) -> None:
        super().__init__()
        self.network = network
        free = network.config.body == "free"
        self.body_inputs = {} if free else {"reference": network.reference}

    def forward(self, images: Tensor, reference: Tensor | None = None) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> vertices at two resolutions and the camera; matrices and betas of the second network."""
        network = self.network
        start = network.reference if reference is None else reference
        feature = network.backbone(images).mean(dim=(2, 3))
        vertices, camera = network.graph(feature, start, network.neighbours)
        mesh = (vertices, network.up(vertices), camera)
        return mesh if network.regressor is None else (*mesh, *network.regressor.matrices(vertices, start))


class _GraphormerFile(nn.Module):
    """A Graphormer without its body's template, unless the body is free."""

    def __init__(self, network: Graphormer) -> None:
        super().__init__()
        self.network = network
        self.body_inputs: dict[str, Tensor] = {}
        if network.config.body != "free":
            generator = torch.Generator().manual_seed(1)
            joints = 0.4 * torch.randn(JOINT_TOKENS, 3, generator=generator)
            vertices = 0.4 * torch.randn(network.config.vertices[-1], 3, generator=generator)
            self.body_inputs = {"template_joints": joints, "template_vertices": vertices}
        else:
            network.template()  # made before the export, not in it

    def forward(
        self, images: Tensor, joints: Tensor | None = None, vertices: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> what the network gives."""
        template = None if joints is None or vertices is None else (joints, vertices)
        mesh: tuple[Tensor, ...] = self.network(images, template)
        return mesh


def _exported(network: HMR | SPIN | PARE | GraphCMR | Graphormer) -> tuple[nn.Module, list[str], dict[str, str]]:
    """What is exported, the names of its outputs, and what they mean."""
    match network:
        case HMR():  # SPIN is one
            return network, ["rotations", "betas", "camera"], {"rotations": _ROTATIONS}
        case PARE():
            parts = "(batch, 25, H / 4, W / 4): where the parts are seen, background first; a softmax makes shares."
            return (
                network, ["rotations", "betas", "camera", "part_logits"],
                {"rotations": _ROTATIONS, "part_logits": parts},
            )  # fmt: skip
        case GraphCMR():
            outputs = ["vertices_sub", "vertices", "camera"]
            after = {"vertices": f"metres, of the body {network.config.body!r}"}
            if network.regressor is not None:
                outputs += ["matrices", "betas"]
                after["matrices"] = (
                    f"{_ROTATIONS} To make rotations: u, _, vt = svd(matrix); rotation = u @ vt; times det(rotation)."
                )
            return _GraphCMRFile(network), outputs, after
        case Graphormer():
            outputs = ["camera", "joints", "vertices_coarse", "vertices_sub", "vertices"]
            after = {
                "joints": f"(batch, {JOINT_TOKENS}, 3): {', '.join(EVALUATED)}",
                "template_joints, template_vertices": "inputs: (14, 3) and (431, 3) of the body at rest turned by "
                f"{UPSIDE_DOWN} about x, relative to its pelvis",
            }
            return _GraphormerFile(network), outputs, after
        case _:
            assert_never(network)
