"""The losses of a batch, put together: of networks that give a body's parameters, and of those that give a mesh.

A body that was found is posed, its joints are taken under the names of the batch and seen through its camera; then each
loss compares it with what the batch knows (`losses`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from poseworks.core.body_models import SMPL, JointRegressor
from poseworks.core.cameras import crop_camera_translation, orthographic_projection, perspective_projection
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.crops import Preparation
from poseworks.mesh_recovery.graphcmr import MeshAndBody
from poseworks.mesh_recovery.graphormer import Mesh
from poseworks.mesh_recovery.hmr import BodyParameters
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.losses import (
    LossSettings,
    about_hips,
    body_loss,
    camera_loss,
    part_loss,
    point_loss,
)
from poseworks.mesh_recovery.meshes import SparseMap
from poseworks.mesh_recovery.named_joints import NamedJoints
from poseworks.mesh_recovery.pare import PartAwareBody

# What Graphormer calls its 14 joints, in its order, by their names in smpl_24.
EVALUATED_24 = (
    "right_ankle", "right_knee", "right_hip_extra", "left_hip_extra", "left_knee", "left_ankle", "right_wrist",
    "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck_extra", "head_extra",
)  # fmt: skip

Parts = dict[str, Tensor]
FoundBody = BodyParameters | PartAwareBody


@dataclass(frozen=True, eq=False)
class KnownBodies:
    """Bodies that are to be found: rotations (B, 24, 3, 3), betas (B, 10), and which of them (B,) are known."""

    rotations: Tensor
    betas: Tensor
    valid: Tensor


def known_bodies(batch: Batch) -> KnownBodies:
    """What a batch says itself."""
    return KnownBodies(axis_angle_to_matrix(batch.pose), batch.betas, batch.has_body)


class NamedBody(nn.Module):
    """A body whose joints have the names of a batch."""

    known: Tensor

    def __init__(self, body: SMPL, joint_names: Sequence[str], regressors: Sequence[JointRegressor] = ()) -> None:
        """`joint_names`: of a convention; `regressors`: joints of the body's vertices beside its own."""
        super().__init__()
        self.body = body
        self.named = NamedJoints(body, joint_names, "conventions", regressors=regressors)
        self.light, self.light_named = self.named.light_body()
        self.register_buffer("known", self.named.known.clone(), persistent=False)

    def joints(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """(B, J, 3) of rotations (B, 24, 3, 3) and betas (B, 10), without the other vertices."""
        joints: Tensor = self.light_named(self.light(betas, rotations))
        return joints

    def posed(self, rotations: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
        """Joints (B, J, 3) and vertices (B, V, 3)."""
        posed = self.body(betas, rotations)
        return self.named(posed), posed.vertices

    def of_mesh(self, vertices: Tensor) -> Tensor:
        """(B, J, 3) of vertices (B, V, 3) in any pose, by regressors alone."""
        return self.named.of(self.body.joints_of(vertices), vertices)


def seen(joints: Tensor, camera: Tensor, preparation: Preparation) -> Tensor:
    """(B, J, 2): joints (B, J, 3) in the crop through a camera (B, 3), in the units of a batch's keypoints."""
    if preparation.camera == "orthographic":
        return orthographic_projection(joints, camera)
    size = preparation.size
    # Pixels about the middle of the crop; affine crops count 2 / (R - 1) of a pixel, SPIN's 2 / R.
    unit = 2 / (size - 1 if preparation.crop == "affine" else size)
    return unit * perspective_projection(joints, crop_camera_translation(camera, size))


def parameter_losses(
    found: FoundBody,
    batch: Batch,
    body: NamedBody,
    settings: LossSettings,
    preparation: Preparation,
    known: KnownBodies | None = None,
) -> Parts:
    """Losses by name, unweighted, of bodies and cameras that a network found; all but the adversary's.

    Args:
        found: by the network.
        batch: what is known.
        body: that it is posed with.
        settings: a loss with weight 0 is left out.
        preparation: the network's.
        known: bodies to be found; None: the batch's own.
    """
    s, target = settings, known_bodies(batch) if known is None else known
    parts: Parts = {}
    if s.vertices.weight:
        joints, vertices = body.posed(found.rotations, found.betas)
        with torch.no_grad():
            wanted = body.posed(target.rotations, target.betas)[1]
        parts["vertices"] = body_loss(vertices, wanted, target.valid, s.vertices.kind)
    else:
        joints = body.joints(found.rotations, found.betas)
    parts |= _points(joints, found.camera, batch, body.known, s, preparation)
    parts |= _parameters(found.rotations, found.betas, target, s)
    if s.camera:
        parts["camera"] = camera_loss(found.camera)
    if s.parts and isinstance(found, PartAwareBody) and batch.parts is not None:
        parts["parts"] = part_loss(found.part_logits, batch.parts)
    return parts


def graphcmr_losses(
    found: MeshAndBody, batch: Batch, body: NamedBody, settings: LossSettings, preparation: Preparation
) -> Parts:
    """Losses by name, unweighted: of the mesh, plus of the body that the second network makes of it, if it is there.

    The second network learns nothing for the camera, and nothing of its losses goes back into the mesh.
    """
    s, target = settings, known_bodies(batch)
    with torch.no_grad():
        wanted = body.posed(target.rotations, target.betas)[1]
    parts = {"vertices": body_loss(found.vertices, wanted, target.valid, s.vertices.kind)}
    parts |= _points(body.of_mesh(found.vertices), found.camera, batch, body.known, s, preparation)
    if found.rotations is not None and found.betas is not None:
        joints, vertices = body.posed(found.rotations, found.betas)
        second = {"vertices": body_loss(vertices, wanted, target.valid, s.vertices.kind)}
        second |= _points(joints, found.camera.detach(), batch, body.known, s, preparation)
        parts = {name: parts[name] + second[name] for name in parts}
        parts |= _parameters(found.rotations, found.betas, target, s)
    return parts


class MeshTargets(nn.Module):
    """What a Graphormer's three meshes are to be: those of the body, about its pelvis."""

    def __init__(self, body: NamedBody, downs: Sequence[SparseMap]) -> None:
        """`downs`: to the middle and to the coarse mesh."""
        super().__init__()
        self.body = body
        self.downs = nn.ModuleList(downs)

    @torch.no_grad()
    def forward(self, target: KnownBodies) -> tuple[Tensor, Tensor, Tensor]:
        """Vertices (B, 6890, 3), (B, 1723, 3), (B, 431, 3)."""
        posed = self.body.body(target.betas, target.rotations)
        full = posed.vertices - posed.joints[:, :1]
        sub: Tensor = self.downs[0](full)
        return full, sub, self.downs[1](sub)


def graphormer_losses(
    found: Mesh, batch: Batch, targets: MeshTargets, settings: LossSettings, preparation: Preparation
) -> Parts:
    """Losses by name, unweighted: of three meshes, of the 14 joints, and of the joints that the full mesh gives."""
    s, target, body = settings, known_bodies(batch), targets.body
    meshes = (found.vertices, found.vertices_sub, found.vertices_coarse)
    parts = {
        "vertices": torch.stack(
            [
                body_loss(mesh, wanted, target.valid, s.vertices.kind)
                for mesh, wanted in zip(meshes, targets(target), strict=True)
            ]
        ).sum()
    }
    chosen = [batch.joint_names.index(name) for name in EVALUATED_24]
    points = Points(batch.keypoints[:, chosen], batch.joints[:, chosen], EVALUATED_24)
    named = body.of_mesh(found.vertices)[:, chosen]
    everything = torch.ones(len(chosen), dtype=torch.bool, device=named.device)
    for joints, known in ((found.joints, everything), (named, body.known[chosen])):
        for name, loss in points.losses(joints, found.camera, known, s, preparation).items():
            parts[name] = parts[name] + loss if name in parts else loss
    return parts


@dataclass(frozen=True, eq=False)
class Points:
    """Keypoints (B, J, 3) and joints (B, J, 4) with confidence, and the names of the J."""

    keypoints: Tensor
    joints: Tensor
    names: Sequence[str]

    def losses(
        self, joints: Tensor, camera: Tensor, known: Tensor, settings: LossSettings, preparation: Preparation
    ) -> Parts:
        """2D and 3D losses of joints (B, J, 3) that a network found, those alone that its body has (J,)."""
        s = settings
        parts: Parts = {}
        if s.joints.weight:
            target, confidence = about_hips(self.joints[..., :3], self.joints[..., 3], self.names)
            centred, _ = about_hips(joints, confidence, self.names)
            parts["joints"] = point_loss(centred, target, confidence * known, s.joints.kind, s.counted)
        if s.keypoints.weight:
            confidence = self.keypoints[..., 2] * known
            projected = seen(joints, camera, preparation)
            parts["keypoints"] = point_loss(projected, self.keypoints[..., :2], confidence, s.keypoints.kind, s.counted)
        return parts


def _points(
    joints: Tensor, camera: Tensor, batch: Batch, known: Tensor, settings: LossSettings, preparation: Preparation
) -> Parts:
    points = Points(batch.keypoints, batch.joints, batch.joint_names)
    return points.losses(joints, camera, known, settings, preparation)


def _parameters(rotations: Tensor, betas: Tensor, target: KnownBodies, settings: LossSettings) -> Parts:
    parts: Parts = {}
    if settings.pose.weight:
        parts["pose"] = body_loss(rotations, target.rotations, target.valid, settings.pose.kind)
    if settings.betas.weight:
        parts["betas"] = body_loss(betas, target.betas, target.valid, settings.betas.kind)
    return parts


def weighted_sum(parts: Mapping[str, Tensor], settings: LossSettings) -> Tensor:
    """The loss: every part that `LossSettings` has times its weight; figures for the log alone are left out."""
    weights = {"camera": settings.camera, "adversary": settings.adversary, "parts": settings.parts}
    terms = [
        weights[name] * x if name in weights else getattr(settings, name).weight * x
        for name, x in parts.items()
        if name in LossSettings.model_fields
    ]
    return torch.stack(terms).sum()
