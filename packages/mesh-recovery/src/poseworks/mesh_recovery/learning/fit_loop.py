"""SPIN's loop: bodies fitted to the keypoints teach the network from which the fits begin (Kolotouros et al. 2019).

Of every batch:
1. the fits kept so far, mirrored and turned as the pictures are shown, placed by least squares, and their loss;
2. SMPLify from what the network finds; a fit of a lower loss than the kept one takes its place;
3. betas are 0 where one of them is beyond 3;
4. the network learns from the fits whose loss is below a threshold, and from labels where there are some.

Losses of fits are means over the joints, in squared pixels of a crop of 224 px. (The study's toolbox sums them, so that
its thresholds do not compare.)
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, PositiveFloat
from torch import Tensor

from poseworks.core.body_models import PosePrior
from poseworks.core.cameras import crop_camera_translation
from poseworks.core.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from poseworks.mesh_recovery.hmr import BodyParameters
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.body_losses import KnownBodies
from poseworks.mesh_recovery.learning.fits import FitStore
from poseworks.mesh_recovery.named_joints import NamedJoints
from poseworks.mesh_recovery.smplify import CROP_PX, FittedBodies, SMPLify, SMPLifyConfig

_FARTHEST_BETA = 3.0
_SMALLEST_SCALE = 0.1  # of the camera that a fit begins with: an untrained network's may lie behind the body


class FitLoopSettings(BaseModel, frozen=True, extra="forbid"):
    """How bodies are fitted in the loop.

    Attributes:
        threshold: fits of a higher loss teach nothing.
        smplify: how they are made.
    """

    threshold: PositiveFloat = 100.0
    smplify: SMPLifyConfig = SMPLifyConfig()


class FitLoop:
    """`loop(found, batch)` -> the bodies that the network is to find."""

    def __init__(
        self, joints: NamedJoints, prior: PosePrior, store: FitStore, settings: FitLoopSettings | None = None
    ) -> None:
        """`joints`: of the body, in the order of the batches'; raises ConfigError where they do not place a body."""
        self.settings = settings or FitLoopSettings()
        self.store = store
        self._smplify = SMPLify(joints, prior, self.settings.smplify)

    @torch.no_grad()
    def __call__(self, found: BodyParameters, batch: Batch) -> tuple[KnownBodies, dict[str, Tensor]]:
        """The bodies to be found, labels before fits, and figures for the log.

        The figures are shares of the people without a label: `fits_better`, whose kept fit was replaced, and
        `fits_valid`, whose fit is good enough to learn from.

        Raises:
            ShapeError: the batch names an item that has no fit.
            DataError: what the network found, or the batch, is not finite.
        """
        self._smplify.to(batch.pose.device)
        pose, betas = self.store.of(batch)
        loss = torch.full_like(betas[:, 0], torch.inf)
        better = torch.zeros_like(batch.has_body)
        unlabelled = (~batch.has_body).nonzero()[:, 0]
        if len(unlabelled):
            keypoints = batch.keypoints[unlabelled]
            kept = self._kept_loss(pose[unlabelled], betas[unlabelled], keypoints)
            new = self._new_fits(BodyParameters(*(x[unlabelled].float() for x in found)), keypoints)
            won = new.loss < kept
            rows = unlabelled[won]
            better[rows], pose[rows], betas[rows] = True, new.pose[won], new.betas[won]
            loss[unlabelled] = torch.minimum(new.loss, kept)
        self.store.keep(batch, better, pose, betas, loss)  # even without news: other processes may have some
        betas = torch.where((betas.abs() > _FARTHEST_BETA).any(dim=1, keepdim=True), 0.0, betas)
        valid = loss < self.settings.threshold
        labelled, count = batch.has_body, max(len(unlabelled), 1)
        target = KnownBodies(
            axis_angle_to_matrix(torch.where(labelled[:, None, None], batch.pose, pose)),
            torch.where(labelled[:, None], batch.betas, betas),
            valid | labelled,
        )
        return target, {"fits_better": better.sum() / count, "fits_valid": valid.sum() / count}

    def _kept_loss(self, pose: Tensor, betas: Tensor, keypoints: Tensor) -> Tensor:
        """(N,) of the fits kept so far; infinite where too little is seen to place them."""
        place = self._smplify.translation(pose, betas, keypoints)
        return self._smplify.loss(pose, betas, place, keypoints)

    def _new_fits(self, found: BodyParameters, keypoints: Tensor) -> FittedBodies:
        """From what the network finds."""
        camera = torch.cat((found.camera[:, :1].clamp(min=_SMALLEST_SCALE), found.camera[:, 1:]), dim=1)
        place = crop_camera_translation(camera, CROP_PX)
        return self._smplify.fit(matrix_to_axis_angle(found.rotations), found.betas, place, keypoints)
