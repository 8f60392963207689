"""SMPLify: bodies whose joints are seen where the keypoints of pictures lie (Bogo et al. 2016; as SPIN has it, 2019).

    x_j = f J_j(pose, betas) / z                                  f = 5000 px, in a crop of 224 px a side
    place:  sum_torso |x_j - k_j|² + 100² (tz - tz_start)²        over orientation and translation
    body:   sum_j c_j² rho(x_j - k_j) + 4.78² E(pose) + 15.2² sum exp(s θ)² + 5² |betas|²    over all but translation
    rho(e) = σ² e² / (σ² + e²) for x and y, σ = 100 px

E is the mixture of poses, s θ how far knees and elbows bend backwards. Adam, so many steps of each. Every picture is
fitted on its own: its result does not depend on the others that are fitted with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt
from torch import Tensor

from poseworks.core.body_models import PosePrior
from poseworks.core.cameras import CROP_FOCAL_PX, estimated_translation, perspective_projection
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.shapes import expect_shape
from poseworks.mesh_recovery.named_joints import NamedJoints

CROP_PX = 224
"""The side of the crop in which the errors are measured, however large the network's crops are."""

_TORSO = tuple(f"{side}_{part}" for part in ("hip", "shoulder") for side in ("right", "left"))
# Joints that detectors, annotators and the body place differently: they say where the torso is, not how it is bent.
_IGNORED = ("neck_openpose", "right_hip_openpose", "left_hip_openpose", "right_hip_extra", "left_hip_extra")
# Numbers of a body pose of 69, and the sign with which they grow when elbows and knees bend the wrong way.
_HINGES = ((52, 1.0), (55, -1.0), (9, -1.0), (12, -1.0))


class SMPLifyConfig(BaseModel, frozen=True, extra="forbid"):
    """How bodies are fitted. The defaults are SPIN's; the study's toolbox takes 50 steps.

    Attributes:
        steps: of each of the two stages.
        sigma_px: errors far above it count no more than it does.
    """

    steps: PositiveInt = 100
    learning_rate: PositiveFloat = 1e-2
    sigma_px: PositiveFloat = 100.0
    depth_weight: float = Field(100.0, ge=0)
    prior_weight: float = Field(4.78, ge=0)
    hinge_weight: float = Field(15.2, ge=0)
    shape_weight: float = Field(5.0, ge=0)


class FittedBodies(NamedTuple):
    """Bodies in crops.

    Attributes:
        pose: (N, 24, 3) axis-angles, the first in camera axes.
        betas: (N, K).
        translation: (N, 3) metres, before a camera of focal length 5000 whose picture is the crop of 224 px.
        loss: (N,) rho of the joints that count, times their confidence squared, a mean over all joints, in squared
            pixels; infinite where no joint that counts is seen.
    """

    pose: Tensor
    betas: Tensor
    translation: Tensor
    loss: Tensor


class SMPLify:
    """Fits a body to keypoints, and says how well one fits.

    Keypoints are (N, J, 3): x and y from -1 to 1 over the crop, confidence; where that is 0, x and y do not matter.
    """

    def __init__(self, joints: NamedJoints, prior: PosePrior, config: SMPLifyConfig | None = None) -> None:
        """Of the body that `joints` belongs to, and the joints of it that keypoints tell.

        Raises:
            ConfigError: hips or shoulders are not among them.
        """
        self.config = config or SMPLifyConfig()
        self.joint_names = joints.names
        self._prior = prior
        self.body, self._joints = joints.light_body()
        self._torsos = _torsos(self.joint_names, joints.known)
        allowed = torch.tensor([name not in _IGNORED for name in self.joint_names])
        self._counts = joints.known & allowed.to(joints.known.device)

    def to(self, device: torch.device | str) -> SMPLify:
        """Moves what it holds there."""
        self.body, self._joints, self._prior = self.body.to(device), self._joints.to(device), self._prior.to(device)
        self._counts = self._counts.to(device)
        return self

    def fit(self, pose: Tensor, betas: Tensor, translation: Tensor, keypoints: Tensor) -> FittedBodies:
        """Bodies that fit the keypoints, found from those given, which are left as they are.

        Args:
            pose: (N, 24, 3) axis-angles, the first in camera axes.
            betas: (N, K).
            translation: (N, 3): of a network's camera (s, tx, ty) it is `crop_camera_translation(camera, CROP_PX)`.
            keypoints: (N, J, 3).

        Raises:
            ShapeError: a shape is another.
            DataError: a number is not finite.
        """
        self._expect(pose, betas, translation, keypoints)
        orient, body_pose = pose.detach()[:, :1].clone(), pose.detach()[:, 1:].clone()
        shape, start, place = betas.detach().clone(), translation.detach(), translation.detach().clone()
        pixels, confidence = keypoints[..., :2] * (CROP_PX / 2), keypoints[..., 2]
        torso, seen = self._torso(confidence)
        c = self.config
        with torch.enable_grad(), torch.autocast(pose.device.type, enabled=False):
            root, points = self._unturned(body_pose, shape)
            points, wanted = (x.take_along_dim(torso[..., None], 1) for x in (points - root, pixels))
            for _ in self._steps(orient, place):
                turned = points @ axis_angle_to_matrix(orient[:, 0]).mT + root
                error = perspective_projection(turned, place, CROP_FOCAL_PX) - wanted
                depth = (c.depth_weight * (place[:, 2] - start[:, 2])).square()
                ((seen * error.square().sum(-1)).sum() + depth.sum()).backward()  # type: ignore[no-untyped-call]
            for _ in self._steps(orient, body_pose, shape):
                error = self._projected(torch.cat((orient, body_pose), 1), shape, place) - pixels
                loss = self._robust(error, confidence).sum() + self._unlikely(body_pose, shape).sum()
                loss.backward()  # type: ignore[no-untyped-call]
        found = torch.cat((orient, body_pose), 1)
        return FittedBodies(found, shape, place, self.loss(found, shape, place, keypoints))

    @torch.no_grad()
    def loss(self, pose: Tensor, betas: Tensor, translation: Tensor, keypoints: Tensor) -> Tensor:
        """(N,) how far bodies are from the keypoints: see `FittedBodies`. Also infinite where a translation is NaN.

        Raises:
            ShapeError: a shape is another.
            DataError: another number is not finite.
        """
        placed = torch.isfinite(translation).all(-1)
        translation = torch.where(placed[:, None], translation, torch.ones_like(translation))
        self._expect(pose, betas, translation, keypoints)
        error = self._projected(pose, betas, translation) - keypoints[..., :2] * (CROP_PX / 2)
        seen = ((keypoints[..., 2] > 0) & self._counts).any(-1)
        return torch.where(placed & seen, self._robust(error, keypoints[..., 2]).mean(-1), torch.inf)

    @torch.no_grad()
    def translation(self, pose: Tensor, betas: Tensor, keypoints: Tensor) -> Tensor:
        """(N, 3) where bodies must stand to be seen at the keypoints, by least squares; NaN with fewer than two.

        As published the joints that annotators place say it; where fewer than two of these are seen, all do.

        Raises:
            ShapeError: a shape is another.
            DataError: a number is not finite.
        """
        self._expect(pose, betas, torch.zeros_like(pose[:, 0]), keypoints)
        confidence = keypoints[..., 2] * self._joints.known
        annotated = confidence.new_tensor([not name.endswith("_openpose") for name in self.joint_names]) * confidence
        enough = ((annotated > 0).sum(-1) >= 2)[:, None]
        joints = self._joints(self.body(betas, pose))
        return estimated_translation(
            joints, keypoints[..., :2] * (CROP_PX / 2), torch.where(enough, annotated, confidence), CROP_FOCAL_PX
        )

    @torch.no_grad()
    def _unturned(self, body_pose: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1, 3) roots, about which the first rotation turns a body, and (N, J, 3) joints before it does."""
        posed = self.body(betas, torch.cat((torch.zeros_like(body_pose[:, :1]), body_pose), 1))
        return posed.joints[:, :1], self._joints(posed)

    def _projected(self, pose: Tensor, betas: Tensor, translation: Tensor) -> Tensor:
        """(N, J, 2) pixels from the middle of the crop."""
        return perspective_projection(self._joints(self.body(betas, pose)), translation, CROP_FOCAL_PX)

    def _robust(self, error: Tensor, confidence: Tensor) -> Tensor:
        """(N, J) rho of (N, J, 2) errors in pixels, weighted."""
        squared, limit = error.square(), self.config.sigma_px**2
        return (confidence * self._counts).square() * (limit * squared / (limit + squared)).sum(-1)

    def _unlikely(self, body_pose: Tensor, betas: Tensor) -> Tensor:
        """(N,) what speaks against poses (N, 23, 3) and shapes (N, K) whatever the picture shows."""
        c = self.config
        numbers, signs = zip(*_HINGES, strict=True)
        bent = (body_pose.flatten(1)[:, list(numbers)] * body_pose.new_tensor(signs)).exp().square().sum(-1)
        unlikely: Tensor = c.prior_weight**2 * self._prior(body_pose) + c.hinge_weight**2 * bent
        return unlikely + c.shape_weight**2 * betas.square().sum(-1)

    def _steps(self, *tensors: Tensor) -> Iterator[None]:
        """Changes the tensors after each turn by the gradients that it left on them; then they are plain again."""
        optimizer = torch.optim.Adam([x.requires_grad_() for x in tensors], lr=self.config.learning_rate)
        for _ in range(self.config.steps):
            optimizer.zero_grad()
            yield
            optimizer.step()
        for x in tensors:
            x.requires_grad_(False).grad = None

    def _torso(self, confidence: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 4) places of the joints that tell where the torso is, and (N, 4) 1 where they are seen, else 0.

        The detector's where it saw all four, else the annotators'.
        """
        first, *others = (torch.tensor(places, device=confidence.device) for places in self._torsos)
        torso = first.expand(len(confidence), -1)
        for other in others:
            complete = (confidence.take_along_dim(torso, 1) > 0).all(1, keepdim=True)
            torso = torch.where(complete, torso, other)
        return torso, (confidence.take_along_dim(torso, 1) > 0).to(confidence.dtype)

    def _expect(self, pose: Tensor, betas: Tensor, translation: Tensor, keypoints: Tensor) -> None:
        size = expect_shape("pose", pose, "N J=24 C=3", fix="Axis-angles: matrix_to_axis_angle(rotations).")["N"]
        expect_shape("betas", betas, f"N={size} K")
        expect_shape("translation", translation, f"N={size} C=3")
        expect_shape("keypoints", keypoints, f"N={size} J={len(self.joint_names)} C=3", fix="x, y, confidence.")
        given = {"pose": pose, "betas": betas, "translation": translation, "keypoints": keypoints}
        for name, x in given.items():
            finite = torch.isfinite(x).flatten(1).all(1)
            if not bool(finite.all()):
                hint = " A joint that is not seen has confidence 0, x and y 0." if x is keypoints else ""
                raise DataError(f"{name}: not finite in row {int((~finite).nonzero()[0])}.{hint}")


def _torsos(names: tuple[str, ...], known: Tensor) -> list[list[int]]:
    """Places of both hips and shoulders: as a detector has them, then as annotators do."""
    place = {name: number for number, name in enumerate(names) if known[number]}
    found = []
    for endings in (("_openpose",), ("_extra", "")):
        joints = [next((place[name + end] for end in endings if name + end in place), None) for name in _TORSO]
        if None not in joints:
            found.append([joint for joint in joints if joint is not None])
    if not found:
        raise ConfigError(
            "joints: SMPLify needs both hips and shoulders to place a body. Take a convention that has them, such as "
            "smpl_49."
        )
    return found
