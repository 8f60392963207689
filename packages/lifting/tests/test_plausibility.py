"""Keypoints that are not what they are said to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poseworks.core import COCO_17, H36M_17, PoseSequence, read_poses
from poseworks.core.errors import DataError
from poseworks.core.image_keypoints import refuse_other_units
from poseworks.core.notes import Notes
from poseworks.core.testing import walking_poses
from poseworks.lifting.keypoints import h36m_keypoints
from poseworks.lifting.plausibility import note_posture, note_sides


@pytest.fixture
def walk() -> PoseSequence:
    return read_poses(Path(__file__).parent / "data" / "walk_side_coco17.npz")


def turned(positions: np.ndarray, how: str) -> np.ndarray:
    """The walk in an image of 1280 x 380, wrong in one way."""
    x, y = positions[..., 0], positions[..., 1]
    ways = {
        "upside down": (x, 380 - y),
        "on the side": (y + 400, 1280 - x),
        "exchanged": (y, x),
    }
    return np.stack(ways[how], axis=-1)


def posture(poses: PoseSequence) -> tuple[str, ...]:
    notes = Notes(poses)
    seen = h36m_keypoints(poses)
    note_posture(notes, 0, seen.positions[0].astype(float), poses.image_size)
    return notes.sentences()


def test_an_ordinary_walk_is_not_noted(walk: PoseSequence) -> None:
    refuse_other_units(walk)
    assert posture(walk) == ()


@pytest.mark.parametrize("large", [True, False])
def test_exchanged_axes_are_refused_or_noted(walk: PoseSequence, large: bool) -> None:
    exchanged = walk.replace(
        positions=turned(walk.positions, "exchanged"), image_size=(1280, 1280) if large else (1280, 380)
    )
    if large:  # the image has room for both
        (note,) = posture(exchanged)
        assert "lies on the side" in note
        assert "x and y are exchanged" in note
    else:
        with pytest.raises(DataError, match="x and y look exchanged"):
            refuse_other_units(exchanged)


def test_a_person_upside_down_is_noted(walk: PoseSequence) -> None:
    (note,) = posture(walk.replace(positions=turned(walk.positions, "upside down")))
    assert "upside down throughout" in note


def test_somebody_who_lies_for_a_while_is_not_noted(walk: PoseSequence) -> None:
    positions = walk.positions.copy()
    positions[:, :40] = turned(positions, "on the side")[:, :40]
    assert posture(walk.replace(positions=positions, image_size=(1280, 1300))) == ()


def test_keypoints_partly_outside_are_noted(walk: PoseSequence) -> None:
    (note,) = posture(walk.replace(image_size=(700, 380)))
    assert "check its size" in note


def facing(joints: np.ndarray, poses: PoseSequence) -> tuple[str, ...]:
    """Notes on the sides of the body, for lifted joints (T, 17, 3)."""
    notes = Notes(poses)
    note_sides(notes, 0, poses, h36m_keypoints(poses).positions[0].astype(float), joints)
    return notes.sentences()


def seen_from_the_side(skeleton: object = COCO_17) -> tuple[PoseSequence, np.ndarray]:
    """Somebody who walks to the right for three seconds, and the true joints in camera axes."""
    rng = np.random.default_rng(0)
    world = walking_poses(90, skeleton=H36M_17, rng=np.random.default_rng(0)).positions[0].astype(float)
    flat = walking_poses(90, dims=2, skeleton=skeleton, rng=rng)  # type: ignore[arg-type]
    flat = flat.replace(positions=flat.positions / 2 + 50)
    joints = (world - world[:, :1])[..., [1, 2, 0]] * (1, -1, 1)  # forward is to the right, the left side is far
    return flat, joints


def test_who_walks_forwards_is_fine_and_backwards_throughout_is_noted() -> None:
    poses, joints = seen_from_the_side()
    assert facing(joints, poses) == ()
    (note,) = facing(joints[:, list(H36M_17.mirrored)], poses)
    assert "walks backwards" in note
    assert "left and right are exchanged" in note


def from_in_front(rng: np.random.Generator) -> PoseSequence:
    """Somebody who stands before the camera: their left is on the right of the image."""
    world = walking_poses(60, skeleton=COCO_17, rng=rng).positions.astype(float)
    pixels = 200 * (world - world[:, :, 11:12])[..., [0, 2]] * (1, -1) + (600, 400)
    confidence = np.full(pixels.shape[:3], 0.8)
    confidence[..., :3], confidence[..., 3:5] = 0.95, 0.5  # nose and eyes, ears
    return PoseSequence(
        positions=pixels, confidence=confidence, joint_names=COCO_17.joint_names, skeleton="coco17", fps=30, unit="px",
        frame="image", image_size=(1280, 720),
    )  # fmt: skip


def test_a_mirrored_person_shows_the_face_and_yet_stands_as_from_behind() -> None:
    poses = from_in_front(np.random.default_rng(0))
    still = np.zeros((60, 17, 3))
    assert facing(still, poses) == ()
    mirrored = poses.replace(positions=poses.positions * np.float32([-1, 1]) + np.float32([1280, 0]))
    (note,) = facing(still, mirrored)
    assert "looks mirrored" in note
    behind = mirrored.replace(confidence=np.full(poses.confidence.shape, 0.8))  # where nothing tells the face is seen
    assert facing(still, behind) == ()


def test_a_body_exchanged_against_its_face_is_noted() -> None:
    poses = from_in_front(np.random.default_rng(0))
    order = list(COCO_17.mirrored)
    order[:5] = range(5)
    (note,) = facing(np.zeros((60, 17, 3)), poses.replace(positions=poses.positions[:, :, order]))
    assert "contradict each other" in note


def test_the_real_walk_has_a_plausible_face(walk: PoseSequence) -> None:
    assert facing(np.zeros((walk.num_frames, 17, 3)), walk) == ()


@pytest.mark.parametrize("way", ["labels", "pixels"])
def test_a_real_walk_with_sides_exchanged_or_mirrored_is_noted(walk: PoseSequence, way: str) -> None:
    order = list(COCO_17.mirrored)
    if way == "labels":
        wrong = walk.replace(positions=walk.positions[:, :, order], confidence=walk.confidence[:, :, order])
    else:
        wrong = walk.replace(positions=walk.positions * np.float32([-1, 1]) + np.float32([1280, 0]))
    (note,) = facing(np.zeros((walk.num_frames, 17, 3)), wrong)
    assert "surer of the side away from the camera" in note
