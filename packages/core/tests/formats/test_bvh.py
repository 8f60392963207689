"""BVH: read back by a reader of its own, joint by joint; what the format cannot hold is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from poseworks.core.body_models import SMPL, BodyMotion, load_body
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.formats.bvh import write_bvh
from poseworks.core.testing_bodies import random_motion

Array = NDArray[Any]


@pytest.fixture(scope="module")
def free() -> SMPL:
    return load_body("free")


class Bvh:
    """Names, parents, offsets and channels of a file, and the positions of its joints in each frame."""

    def __init__(self, text: str) -> None:
        words = iter(text.split())
        assert next(words) == "HIERARCHY"
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[list[float]] = []
        self.channels: list[tuple[int, str]] = []
        stack = [-1]
        for word in words:
            if word in ("ROOT", "JOINT", "End"):
                self.names.append(next(words))
                self.parents.append(stack[-1])
                assert next(words) == "{"
                stack.append(len(self.names) - 1)
            elif word == "OFFSET":
                self.offsets.append([float(next(words)) for _ in range(3)])
            elif word == "CHANNELS":
                self.channels += [(stack[-1], next(words)) for _ in range(int(next(words)))]
            elif word == "}":
                stack.pop()
            else:
                assert word == "MOTION"
                break
        assert stack == [-1]
        assert next(words) == "Frames:"
        count = int(next(words))
        assert [next(words), next(words)] == ["Frame", "Time:"]
        self.frame_time = float(next(words))
        self.rows = np.array(list(words), dtype=float).reshape(count, len(self.channels))

    def positions(self, row: Array) -> Array:
        """(N, 3) of joints and end sites."""
        matrices = np.tile(np.eye(4), (len(self.names), 1, 1))
        matrices[:, :3, 3] = self.offsets
        for (joint, channel), value in zip(self.channels, row, strict=True):
            axis = "XYZ".index(channel[0])
            if channel.endswith("position"):
                matrices[joint, axis, 3] = value  # replaces the offset
            else:
                turn = np.eye(3)
                j, k = [(1, 2), (2, 0), (0, 1)][axis]
                cos, sin = np.cos(np.radians(value)), np.sin(np.radians(value))
                turn[j, j], turn[k, k], turn[j, k], turn[k, j] = cos, cos, -sin, sin
                matrices[joint, :3, :3] = matrices[joint, :3, :3] @ turn
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                matrices[joint] = matrices[parent] @ matrices[joint]
        return np.asarray(matrices[:, :3, 3])


def posed(body: SMPL, motion: BodyMotion) -> tuple[Array, Array]:
    """(T, 45, 3) joints and (T, V, 3) vertices of the first person."""
    made = body(*(torch.from_numpy(x) for x in (motion.betas[0], motion.pose[0], motion.transl[0])))
    return made.joints.numpy(), made.vertices.numpy()


@pytest.mark.parametrize(("up", "unit", "per_metre"), [("y", "cm", 100), ("z", "m", 1)])
def test_read_back_joints_and_tips_are_the_bodys(
    tmp_path: Path, free: SMPL, up: Any, unit: Any, per_metre: float
) -> None:
    motion = random_motion(8, frame="camera")
    assert write_bvh(motion, free, tmp_path / "body.bvh", up=up, unit=unit) == ()
    bvh = Bvh((tmp_path / "body.bvh").read_text())
    joints, vertices = posed(free, motion)
    assert bvh.frame_time == pytest.approx(1 / 30)
    assert [name for name in bvh.names if name != "Site"][:3] == ["upper_pelvis", "left_hip", "left_knee"]
    top = int(free.rest_vertices(torch.from_numpy(motion.betas[0]))[:, 1].argmax())
    for t, row in enumerate(bvh.rows):
        found = bvh.positions(row)
        for joint, name in enumerate(bvh.names):
            tips = {"left_foot": "left_big_toe", "right_hand": "right_middle", "head": None}
            parent = bvh.names[bvh.parents[joint]]
            if name == "Site" and parent not in tips:
                continue
            if name == "Site" and tips[parent] is None:  # above the head at the height of its top
                head = joints[t, free.joint_names.index("head")]
                assert np.linalg.norm(vertices[t, top] - head) > 0.1
                continue
            expected = joints[t, free.joint_names.index(tips[parent] if name == "Site" else name)]
            x, y, z = expected * (1, -1, -1)
            expected = per_metre * np.array((x, y, z) if up == "y" else (x, -z, y))
            # Tips follow their leaf alone, the surface two joints: the fingers bend with the hand.
            np.testing.assert_allclose(found[joint], expected, atol=(0.03 if name == "Site" else 1e-4) * per_metre)


def test_the_head_ends_at_the_top_of_the_rest_pose(tmp_path: Path, free: SMPL) -> None:
    motion = random_motion()
    write_bvh(motion, free, tmp_path / "body.bvh", unit="m")
    bvh = Bvh((tmp_path / "body.bvh").read_text())
    row = np.zeros(len(bvh.channels))
    row[:3] = bvh.offsets[0]
    rest = bvh.positions(row)
    vertices = free.rest_vertices(torch.from_numpy(motion.betas[0])).numpy()
    assert rest[:, 1].max() == pytest.approx(vertices[:, 1].max(), abs=1e-5)
    assert bvh.names[bvh.parents[int(rest[:, 1].argmax())]] == "head"


def test_a_quarter_turn_of_the_middle_angle_is_kept(tmp_path: Path, free: SMPL) -> None:
    """At x = 90 degrees the outer two angles turn about one axis."""
    orient = np.array([[[np.pi / 2, 0, 0], [0, 0, 0], [-np.pi / 2, 0, 0]]])
    motion = random_motion(3).replace(global_orient=orient)
    write_bvh(motion, free, tmp_path / "body.bvh", unit="m")
    bvh = Bvh((tmp_path / "body.bvh").read_text())
    joints, _ = posed(free, motion)
    for t, row in enumerate(bvh.rows):
        found = bvh.positions(row)[[name != "Site" for name in bvh.names]]
        order = [free.joint_names.index(name) for name in bvh.names if name != "Site"]
        np.testing.assert_allclose(found, joints[t, order], atol=1e-4)


def test_angles_do_not_jump_where_they_pass_half_a_turn(tmp_path: Path, free: SMPL) -> None:
    spin = np.zeros((1, 40, 3))
    spin[0, :, 1] = np.linspace(0, 4 * np.pi, 40)
    motion = random_motion(40).replace(global_orient=spin)
    write_bvh(motion, free, tmp_path / "body.bvh")
    bvh = Bvh((tmp_path / "body.bvh").read_text())
    yaw = bvh.rows[:, bvh.channels.index((0, "Yrotation"))]
    np.testing.assert_allclose(yaw, np.linspace(0, 720, 40), atol=1e-3)


def test_what_the_file_cannot_hold_is_said(tmp_path: Path, free: SMPL) -> None:
    motion = random_motion(6, people=2, gaps=True)
    with pytest.raises(DataError, match="hold one person, not 2"):
        write_bvh(motion, free, tmp_path / "two.bvh")
    alone = motion.person(1).replace(times=np.array([0, 1, 2, 3, 4, 8]) / 30)
    notes = write_bvh(alone, free, tmp_path / "body.bvh")
    assert notes[0].startswith("2 frames without the person")
    assert notes[1].startswith("the frames are not evenly spaced")
    rows = Bvh((tmp_path / "body.bvh").read_text()).rows
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[5], rows[4])
    with pytest.raises(ConfigError, match="exists"):
        write_bvh(alone, free, tmp_path / "body.bvh")
    with pytest.raises(ConfigError, match="unit: expected one of m, cm, mm"):
        write_bvh(alone, free, tmp_path / "other.bvh", unit="inch")  # type: ignore[arg-type]
    gone = {name: np.full_like(getattr(alone, name), np.nan) for name in ("global_orient", "body_pose", "transl")}
    with pytest.raises(DataError, match="nobody is there"):
        write_bvh(alone.replace(**gone), free, tmp_path / "none.bvh")
    assert not (tmp_path / "none.bvh").exists()
