"""Part labels of pictures: which body part a pixel shows, from the known body (PARE's segmentation, stage 1).

The body is put before the camera of the crop so that its joints lie on the keypoints, and rendered. A pixel's part is
the joint that moves its triangle most: 24 of them, by the skinning weights. (PARE's own labels come from a texture that
is not free, with the same 24 parts but borders of its own.)
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from poseworks.core.body_models import SMPL
from poseworks.core.cameras import CROP_FOCAL_PX, Pinhole, estimated_translation
from poseworks.core.errors import ConfigError
from poseworks.core.rendering import Mesh, face_parts, render
from poseworks.mesh_recovery.crops import Preparation
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.named_joints import NamedJoints

UNKNOWN = -1
_FEWEST = 4  # keypoints that place a body


class RenderedParts:
    """`labels(batch)`: (B, size, size) int64: 0 the background, 1 to 24 parts, -1 where a person cannot be placed."""

    def __init__(self, body: SMPL, size: int, preparation: Preparation, joint_names: tuple[str, ...]) -> None:
        """Labels for crops of `preparation`.

        Args:
            body: that the poses and betas are for.
            size: pixels of a label map's side.
            preparation: of the crops.
            joint_names: of the batches' keypoints.

        Raises:
            ConfigError: the size is not above 0, or the body has too few of the joints to be placed by them.
        """
        if size < 1:
            raise ConfigError(f"parts: expected a size of 1 pixel or more, got {size}.")
        self.body, self.size, self.preparation = body, size, preparation
        self._named = NamedJoints(body, joint_names, "conventions")
        if int(self._named.known.sum()) < _FEWEST:
            raise ConfigError(
                f"parts: the body has {int(self._named.known.sum())} of the {len(joint_names)} joints of the data, "
                f"{_FEWEST} are needed to place it. Choose another convention."
            )
        self._faces = body.faces.numpy().copy()  # tensors move to other memory when workers share them
        self._parts = face_parts(body.surface.weights.numpy(), self._faces) + 1
        scale = size / preparation.size
        middle = size / 2
        self._camera = Pinhole(scale * CROP_FOCAL_PX, scale * CROP_FOCAL_PX, middle, middle)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor:
        """The labels of a batch."""
        posed = self.body(batch.betas, batch.pose)
        confidence = batch.keypoints[..., 2] * self._named.known
        placed = estimated_translation(
            self._named(posed), self._pixels(batch.keypoints[..., :2]), confidence, center=(self._middle,) * 2
        )
        usable = batch.has_body & ((confidence > 0).sum(dim=1) >= _FEWEST) & (placed[:, 2] > 0)
        labels = torch.full((len(batch), self.size, self.size), UNKNOWN)
        for number in torch.nonzero(usable).flatten().tolist():
            vertices = (posed.vertices[number] + placed[number]).double().numpy()
            shown = render(Mesh(vertices, self._faces), self._camera, (self.size, self.size))
            part = np.where(shown.mask, self._parts[shown.face], 0)
            labels[number] = torch.from_numpy(part)
        return labels

    @property
    def _middle(self) -> float:
        return self.preparation.size / 2

    def _pixels(self, keypoints: Tensor) -> Tensor:
        """Keypoints of a batch as pixels of the crop whose first one has its middle at 0.5."""
        size = self.preparation.size
        if self.preparation.crop == "affine":
            return (keypoints + 1) / 2 * (size - 1) + 0.5
        return (keypoints + 1) / 2 * size
