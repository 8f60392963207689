"""Joints of a body under other names: against the regressors, the published tables, and definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core.body_models import SMPL, JointRegressor, PosedBody, load_body
from poseworks.core.body_models.files import EXTRA_9_NAMES
from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.keypoint_conventions import joints_of
from poseworks.core.skeletons import COCO_17, H36M_17, OPENPOSE_25
from poseworks.core.testing_bodies import synthetic_body, synthetic_regressor
from poseworks.mesh_recovery.named_joints import NamedJoints


@pytest.fixture(scope="module")
def body() -> SMPL:
    return load_body("free")


@pytest.fixture(scope="module")
def posed(body: SMPL) -> PosedBody:
    generator = torch.Generator().manual_seed(0)
    pose = 0.3 * torch.randn(2, 3, 24, 3, generator=generator)
    return body.forward(torch.randn(10, generator=generator), pose, torch.randn(2, 3, 3, generator=generator))


def test_joints_of_the_tree_go_before_regressed_ones(body: SMPL, posed: PosedBody) -> None:
    named = NamedJoints(body, H36M_17.joint_names)
    found = named(posed)
    assert named.known.all()
    assert named.approximated == ()
    regressed = body.regressors["h36m17"](posed.vertices)
    trunk = H36M_17.indices(("pelvis", "spine", "thorax", "neck", "head_top"))
    assert_close(found[..., trunk, :], regressed[..., trunk, :], atol=1e-5, rtol=0)
    knee = body.joint_names.index("left_knee")
    assert_close(found[..., H36M_17.index("left_knee"), :], posed.joints[..., knee, :])


def test_the_light_body_gives_the_same(body: SMPL, posed: PosedBody) -> None:
    named = NamedJoints(body, OPENPOSE_25.joint_names)
    part, light = named.light_body()
    assert part.num_vertices == len(named.vertex_ids) < 50
    vertices = posed.vertices[..., named.vertex_ids, :]
    assert_close(light(PosedBody(vertices, posed.joints)), named(posed))
    assert light.names == named.names


def test_joints_without_vertices_need_none(body: SMPL, posed: PosedBody) -> None:
    named = NamedJoints(body, COCO_17.joint_names)
    assert len(named.vertex_ids) == 0
    assert_close(named.of(posed.joints), named(posed))


def test_middles_are_approximated_by_their_definition(body: SMPL, posed: PosedBody) -> None:
    named = NamedJoints(body, ("mid_shoulder", "left_mouth", "left_shoulder", "right_shoulder"))
    found = named(posed)
    assert named.approximated == ("mid_shoulder",)
    assert named.unknown == ("left_mouth",)
    assert_close(found[..., 0, :], found[..., 2:, :].mean(dim=-2))
    assert (found[..., 1, :] == 0).all()


def test_hips_are_spread_about_their_middle(body: SMPL, posed: PosedBody) -> None:
    names = ("left_hip", "right_hip", "pelvis")
    plain, spread = NamedJoints(body, names)(posed), NamedJoints(body, names, hip_spread=1.25)(posed)
    assert_close(spread[..., 0, :] - spread[..., 1, :], 1.25 * (plain[..., 0, :] - plain[..., 1, :]))
    assert_close(spread[..., :2, :].mean(-2), plain[..., :2, :].mean(-2))
    assert_close(spread[..., 2, :], plain[..., 2, :])


def test_conventions_of_smpl_follow_the_published_tables() -> None:
    body = SMPL(synthetic_body())
    extra = JointRegressor(synthetic_regressor(9, 311, 17, 6), EXTRA_9_NAMES)
    posed = body(torch.zeros(10), 0.2 * torch.randn(24, 3, generator=torch.Generator().manual_seed(1)))
    joints_54 = torch.cat((posed.joints, extra(posed.vertices)))
    named = NamedJoints(body, joints_of("smpl_49"), "conventions", regressors=(extra,))
    openpose = [24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, *range(25, 35)]
    own = [8, 5, 45, 46, 4, 7, 21, 19, 17, 16, 18, 20, 47, 48, 49, 50, 51, 52, 53, 24, 26, 25, 28, 27]
    assert_close(named(posed), joints_54[openpose + own])
    assert set(named.approximated) == set(joints_of("smpl_49")[:25])
    h36m = NamedJoints(body, joints_of("h36m"), "conventions", regressors=(extra,))
    assert_close(h36m(posed), joints_54[[49, 46, 4, 7, 45, 5, 8, 51, 47, 53, 48, 16, 18, 20, 17, 19, 21]])


def test_the_free_body_has_what_stands_for_regressed_joints(body: SMPL, posed: PosedBody) -> None:
    named = NamedJoints(body, ("headtop", "jaw_extra", "left_hip_extra", "no_such_name"), "conventions")
    assert named.unknown == ("jaw_extra", "no_such_name")
    assert_close(named(posed)[..., 0, :], NamedJoints(body, ("head_top",))(posed)[..., 0, :])


def test_what_is_at_fault_is_named(body: SMPL, posed: PosedBody) -> None:
    with pytest.raises(ConfigError, match="vocabulary: expected one of skeletons, conventions"):
        NamedJoints(body, ("nose",), "names")  # type: ignore[arg-type]
    for names in ((), ("nose", "nose")):
        with pytest.raises(ConfigError, match="each once"):
            NamedJoints(body, names)
    with pytest.raises(ConfigError, match="hip_spread"):
        NamedJoints(body, ("nose",), hip_spread=0.0)
    few = JointRegressor(np.zeros((1, 5), np.float32), ("belly",))
    with pytest.raises(ShapeError, match="6890 vertices, got 5"):
        NamedJoints(body, ("nose",), regressors=(few,))
    named = NamedJoints(body, ("thorax",))
    with pytest.raises(ShapeError, match=r"joints: expected \(..., 45, 3\)"):
        named.of(posed.joints[..., :24, :], posed.vertices)
    with pytest.raises(ShapeError, match=r"got none\. light_body"):
        named.of(posed.joints)
