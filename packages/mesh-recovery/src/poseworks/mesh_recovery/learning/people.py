"""People made up for rendered pictures: the free body in a pose, of any shape, before a camera from anywhere around."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from torch import Tensor

from poseworks.core.body_models import BodyMotion, load_body
from poseworks.core.body_models.free import free_pose_prior
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import DataError
from poseworks.core.keypoint_conventions import joints_of
from poseworks.core.rendering import Mesh, render
from poseworks.core.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from poseworks.mesh_recovery.crops import Image, box_of_keypoints, box_squares
from poseworks.mesh_recovery.learning.scenery import Wardrobe, any_light, as_by_a_camera
from poseworks.mesh_recovery.named_joints import NamedJoints

Array = NDArray[np.float64]

_ENLARGE = 1.2  # of the box around the keypoints, as published data sets have it
_SAMPLES = 2  # points along a pixel's side

# What 17 joints do not show is drawn: standard deviations in degrees about x, y, z (those of the free pose prior).
_UNSEEN_DEG = MappingProxyType(
    {
        7: (15, 8, 8), 8: (15, 8, 8), 10: (12, 4, 4), 11: (12, 4, 4), 12: (4, 8, 4), 15: (4, 12, 4),
        18: (25, 3, 3), 19: (25, 3, 3), 20: (12, 15, 20), 21: (12, 15, 20), 22: (8, 8, 15), 23: (8, 8, 15),
    }
)  # fmt: skip
_LEGS = (1, 2, 4, 5, 7, 8, 10, 11)  # joints


class RenderSettings(BaseModel, frozen=True, extra="forbid"):
    """What is drawn, evenly between two numbers where there are two.

    Attributes:
        size: of a picture, in pixels.
        fill: share of it that the person's longer side takes.
        distance_m: of the camera.
        pitch_deg: by which it looks down.
        facing_deg: the camera stands up to so far from where the person faces, to either side; 180: anywhere around.
        roll_deg: standard deviation.
        shape: standard deviation of the betas, which are at most 2.5 of them.
        mixed: share of people whose legs come from another pose than the rest.
        unseen: whether ankles, wrists, feet, hands, neck, head and the twist of forearms are drawn on top of the pose,
            as motion that 17 points were fitted to does not show them.
    """

    size: int = Field(128, ge=32, le=2048)
    fill: tuple[float, float] = (0.55, 0.85)
    distance_m: tuple[float, float] = (2.5, 10.0)
    pitch_deg: tuple[float, float] = (-10.0, 30.0)
    facing_deg: float = Field(180.0, ge=0, le=180)
    roll_deg: float = Field(4.0, ge=0)
    shape: float = Field(1.0, ge=0)
    mixed: float = Field(0.25, ge=0, le=1)
    unseen: bool = True


@dataclass(frozen=True, eq=False)
class Person:
    """A body before a camera.

    Attributes:
        pose: (24, 3) axis-angle, the first in camera axes.
        betas: (10,).
        transl: (3,) metres.
        focal_px: of the camera, whose axis goes through the middle of the picture.
        vertices: (V, 3) in camera axes.
        keypoints: (190, 3) pixels (those of the first pixel's middle are 0, 0) and confidence, as HumanData names them.
        joints: (190, 4) metres in camera axes, confidence.
        box: (4,) x, y, width, height of the square to be cropped.
    """

    pose: Array
    betas: Array
    transl: Array
    focal_px: float
    vertices: Array
    keypoints: Array
    joints: Array
    box: Array


class People:
    """Draws people in the poses that it is given."""

    def __init__(self, poses: Array | None, settings: RenderSettings) -> None:
        """For poses (N, 24, 3) in a world with y up; None: those of the free pose prior.

        Raises:
            DataError: no pose, or one that is not finite.
        """
        if poses is not None and not (len(poses) and poses.shape[1:] == (24, 3) and np.isfinite(poses).all()):
            raise DataError(f"poses: expected finite numbers (N, 24, 3), N above 0, got {poses.shape}.")
        self.settings, self.poses = settings, poses
        self.body = load_body("free")
        self._named = NamedJoints(self.body, joints_of("human_data"), "conventions")
        self.wardrobe = Wardrobe(self.body.v_template.double().numpy(), self.body.surface.weights.double().numpy())
        self.faces = self.body.faces.numpy().copy()  # tensors move to other memory when workers share them
        prior = free_pose_prior()
        self._prior = tuple(np.asarray(prior[name], np.float64) for name in ("means", "covars", "weights"))

    def draw(self, rng: Generator) -> Person:
        """A person of any pose and shape, seen from around."""
        settings = self.settings
        pose = self._pose(rng)
        roll_deg = settings.roll_deg * rng.standard_normal()
        yaw_deg = rng.uniform(-settings.facing_deg, settings.facing_deg)
        if settings.facing_deg < 180:
            front = _matrices(pose[0])[:, 2]
            yaw_deg -= math.degrees(math.atan2(front[0], front[2]))
        pose[0] = turned(_camera(yaw_deg, rng.uniform(*settings.pitch_deg), roll_deg), pose[0])
        betas = settings.shape * rng.standard_normal(self.body.num_betas).clip(-2.5, 2.5)
        posed = self.body(*(torch.from_numpy(each).float()[None] for each in (betas, pose)))
        vertices, joints = posed.vertices[0].double().numpy(), self._named(posed)[0].double().numpy()
        placed = self._place(vertices, rng)
        vertices, joints = vertices + placed.transl, joints + placed.transl
        known = self._named.known.double().numpy()
        camera = Pinhole.from_focal(placed.focal_px, (settings.size, settings.size))
        pixels = camera.project(joints) - 0.5  # a pixel's middle is at half a pixel there, at a whole one in a crop
        # What lies outside of the picture is not known.
        seen = known * ((pixels > -0.5) & (pixels < settings.size - 0.5)).all(axis=1)
        keypoints = np.concatenate([pixels * seen[:, None], seen[:, None]], axis=1)
        x, y, side = box_squares(box_of_keypoints(pixels, known)[None], _ENLARGE)[0]
        return Person(
            pose, betas, placed.transl, placed.focal_px, vertices, keypoints,
            np.concatenate([joints * known[:, None], known[:, None]], axis=1),
            np.array([x - side / 2, y - side / 2, side, side]),
        )  # fmt: skip

    def _pose(self, rng: Generator) -> Array:
        """(24, 3) in a world with y up."""
        if self.poses is None:
            means, covars, weights = self._prior
            component = int(rng.choice(len(weights), p=weights / weights.sum()))
            body = rng.multivariate_normal(means[component], covars[component], method="cholesky")
            drawn: Array = np.concatenate([np.zeros((1, 3)), body.reshape(23, 3)])
            return drawn
        pose: Array = self.poses[int(rng.integers(len(self.poses)))].astype(np.float64)
        if rng.random() < self.settings.mixed:
            pose[list(_LEGS)] = self.poses[int(rng.integers(len(self.poses)))][list(_LEGS)]
        if self.settings.unseen:
            joints = list(_UNSEEN_DEG)
            more = np.radians(list(_UNSEEN_DEG.values())) * rng.standard_normal((len(joints), 3)).clip(-2.5, 2.5)
            pose[joints] = turned(_matrices(pose[joints]), more)
        return pose

    def _place(self, vertices: Array, rng: Generator) -> _Placed:
        """Where the body stands: its box in the picture is of the drawn size, at a drawn place."""
        settings, size = self.settings, self.settings.size
        distance = math.exp(rng.uniform(*np.log(settings.distance_m)))
        away = np.array([0, 0, distance]) - vertices.mean(axis=0)
        slopes = _slopes(vertices + away)
        low, high = slopes.min(axis=0), slopes.max(axis=0)
        focal = rng.uniform(*settings.fill) * size / (high - low).max()
        room = (size - focal * (high - low)) / 2
        middle = rng.uniform(-1, 1, 2) * room / focal  # of the box, in slopes
        shift = (middle - (low + high) / 2) * distance
        return _Placed(away + np.append(shift, 0), float(focal))


@dataclass(frozen=True, eq=False)
class _Placed:
    transl: Array
    focal_px: float


def _slopes(points: Array) -> Array:
    slopes: Array = points[:, :2] / points[:, 2:]
    return slopes


def turned(by: Tensor, poses: Array) -> Array:
    """(..., 3): axis-angles (..., 3) after which rotations (..., 3, 3) follow."""
    together: Array = matrix_to_axis_angle(by @ _matrices(poses)).numpy()
    return together


def _matrices(poses: Array) -> Tensor:
    return axis_angle_to_matrix(torch.from_numpy(np.ascontiguousarray(poses, dtype=np.float64)))


def _about(axis: int, degrees: float) -> Tensor:
    """(3, 3) turn about x, y or z."""
    return _matrices(math.radians(degrees) * np.eye(3)[axis])


def _camera(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Tensor:
    """(3, 3): from a world with y up to camera axes.

    At yaw 0 the camera sees who faces +z from the front; by a pitch above 0 it looks down.
    """
    return _about(2, roll_deg) @ _about(0, pitch_deg) @ _about(0, 180) @ _about(1, yaw_deg)


def take_picture(people: People, person: Person, background: Image, rng: Generator) -> Image:
    """(size, size, 3): the person before a background of the same size."""
    size = people.settings.size
    mesh = Mesh(person.vertices, people.faces, people.wardrobe.dress(rng))
    camera = Pinhole.from_focal(person.focal_px, (size, size))
    drawn = render(mesh, camera, (size, size), light=any_light(rng), samples=_SAMPLES)
    return as_by_a_camera(drawn.over(background), rng)


def world_poses(motion: BodyMotion) -> Array:
    """(N, 24, 3): the poses of all people in all frames in which they are there, in a world with y up."""
    poses = motion.pose[motion.present].astype(np.float64)
    if motion.frame == "camera":
        poses[:, 0] = turned(_about(0, 180), poses[:, 0])
    return poses
