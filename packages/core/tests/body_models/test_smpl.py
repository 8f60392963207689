"""SMPL's forward pass: the reference vectors, properties of bodies, gradients, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.body_models import SMPL, JointRegressor, load_body
from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.testing import ReferenceCase, reference_cases
from poseworks.core.testing_bodies import synthetic_body, synthetic_regressor

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def synthetic() -> SMPL:
    return SMPL(synthetic_body())


@pytest.fixture(scope="module")
def free() -> SMPL:
    return load_body("free")


@pytest.fixture(scope="module")
def case() -> ReferenceCase:
    return reference_cases(HERE.parent / "reference", "smpl_forward_synthetic")[0]


def poses(*lead: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Betas, axis-angles and places, some sizes each."""
    generator = torch.Generator().manual_seed(0)
    betas = torch.randn(*lead, 10, generator=generator, dtype=dtype)
    return betas, 0.4 * torch.randn(*lead, 24, 3, generator=generator, dtype=dtype), betas[..., :3] * 2


class TestReference:
    def test_vertices_and_joints(self, synthetic: SMPL, case: ReferenceCase) -> None:
        betas, pose, transl = (case.inputs[name] for name in ("betas", "pose", "transl"))
        for form in (pose.unflatten(1, (24, 3)), axis_angle_to_matrix(pose.unflatten(1, (24, 3)))):
            posed = synthetic(betas, form, transl)
            assert_close(posed.vertices[:, ::10], case.outputs["vertices"], rtol=1e-5, atol=2e-6)
            assert_close(posed.joints, case.outputs["joints45"], rtol=1e-5, atol=2e-6)
            assert_close(synthetic.joints(betas, form, transl), posed.joints, rtol=1e-6, atol=1e-6)

    def test_regressed_joints(self, synthetic: SMPL, case: ReferenceCase) -> None:
        posed = synthetic(case.inputs["betas"], case.inputs["pose"].unflatten(1, (24, 3)))
        assert_close(posed.vertices[:, ::10], case.outputs["vertices_no_transl"], rtol=1e-5, atol=2e-6)
        extra = JointRegressor(synthetic_regressor(9, 701, 29, 5), tuple("abcdefghi"))
        h36m = JointRegressor(synthetic_regressor(17, 389, 17, 8), tuple("abcdefghijklmnopq"))
        joints = torch.cat((posed.joints, extra(posed.vertices)), dim=1)
        assert_close(joints, case.outputs["joints54_no_transl"], rtol=1e-5, atol=2e-6)
        assert_close(h36m(posed.vertices), case.outputs["joints_h36m_no_transl"], rtol=1e-5, atol=2e-6)


class TestProperties:
    def test_at_rest_nothing_moves(self, free: SMPL) -> None:
        posed = free(torch.zeros(10), torch.zeros(24, 3))
        assert_close(posed.vertices, free.v_template, rtol=0, atol=1e-6)
        assert_close(posed.joints[:24], free.rest_joints(torch.zeros(10)), rtol=0, atol=1e-6)

    def test_the_root_turns_the_whole_body_about_the_pelvis(self, free: SMPL) -> None:
        betas, pose, _ = poses(2)
        turn = axis_angle_to_matrix(torch.tensor([0.3, -1.2, 0.5]))
        turned = axis_angle_to_matrix(pose)
        turned[:, 0] = turn @ turned[:, 0]
        before, after = free(betas, pose), free(betas, turned)
        pelvis = before.joints[:, :1]
        assert_close(after.vertices, (before.vertices - pelvis) @ turn.mT + pelvis, rtol=1e-4, atol=1e-5)

    def test_bones_keep_their_lengths(self, free: SMPL) -> None:
        betas, pose, transl = poses(4)
        parents = list(free.parents[1:])

        def lengths(joints: Tensor) -> Tensor:
            return (joints[:, 1:24] - joints[:, parents]).norm(dim=-1)

        assert_close(lengths(free.joints(betas, pose, transl)), lengths(free.rest_joints(betas)), rtol=1e-4, atol=1e-5)

    def test_the_free_bodys_elbow_bends_the_forearm_forward(self, free: SMPL) -> None:
        pose = torch.zeros(24, 3)
        pose[18, 1] = -torch.pi / 2  # left elbow, about the vertical
        wrist, elbow = free.joints(torch.zeros(10), pose)[[20, 18]]
        assert wrist[2] - elbow[2] > 0.2

    @pytest.mark.parametrize("lead", [(), (0,), (1,), (5,), (2, 3)])
    def test_any_leading_shape(self, synthetic: SMPL, lead: tuple[int, ...]) -> None:
        betas, pose, transl = poses(*lead)
        posed = synthetic(betas, pose, transl)
        assert posed.vertices.shape == (*lead, 6890, 3)
        assert posed.joints.shape == (*lead, 45, 3)
        if lead == (2, 3):
            for i in range(2):
                one = synthetic(betas[i, 1], pose[i, 1], transl[i, 1])
                assert_close(posed.vertices[i, 1], one.vertices, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("name", ["synthetic", "free"])
    def test_one_shape_serves_a_clip_and_betas_not_given_are_0(self, name: str, request: pytest.FixtureRequest) -> None:
        body: SMPL = request.getfixturevalue(name)
        betas, pose, _ = poses(7)
        expected = body(torch.cat((betas[:1, :3], torch.zeros(1, 7)), dim=1).expand(7, -1), pose)
        for given in (betas[0, :3], betas[:1, :3]):
            assert_close(body(given, pose).vertices, expected.vertices, rtol=1e-5, atol=1e-5)
            assert_close(body.joints(given, pose), expected.joints, rtol=1e-5, atol=1e-5)
        assert_close(body.rest_vertices(betas[0, :3]), body(betas[0, :3], torch.zeros(24, 3)).vertices)

    @pytest.mark.parametrize("name", ["synthetic", "free"])
    def test_a_subset_is_the_same_body_with_fewer_vertices(self, name: str, request: pytest.FixtureRequest) -> None:
        body: SMPL = request.getfixturevalue(name)
        betas, pose, transl = poses(3)
        whole, some = body(betas, pose, transl), body.subset([6889, 0, 17, 17]).subset([0, 2])
        part = some(betas, pose, transl)
        assert_close(part.vertices, whole.vertices[:, [6889, 17]], rtol=1e-5, atol=1e-6)
        assert_close(part.joints, whole.joints, rtol=1e-5, atol=1e-6)
        assert (some.num_vertices, len(some.faces), some.regressors) == (2, 0, {})
        assert body.num_vertices == 6890

    def test_a_regressor_works_on_its_vertices_alone(self, free: SMPL) -> None:
        betas, pose, _ = poses(2)
        regressor = free.regressors["h36m17"]
        ids = regressor.vertices_used
        few = regressor.restricted(ids)(free.subset(ids.tolist())(betas, pose).vertices)
        assert_close(few, regressor(free(betas, pose).vertices), rtol=1e-5, atol=1e-5)
        with pytest.raises(ShapeError, match="vertices with a weight are missing"):
            regressor.restricted(ids[1:])
        with pytest.raises(ShapeError, match=r"expected \(..., 6890, 3\)"):
            regressor(torch.zeros(5, 3))

    @pytest.mark.parametrize("name", ["synthetic", "free"])
    def test_joints_of_a_mesh_are_those_of_a_body_that_is_turned(
        self, name: str, request: pytest.FixtureRequest
    ) -> None:
        body = request.getfixturevalue(name)
        betas, pose, transl = poses(3)
        pose[:, 1:] = 0
        posed = body(betas, pose, transl)
        assert_close(body.joints_of(posed.vertices), posed.joints, rtol=1e-5, atol=2e-6)
        with pytest.raises(ConfigError, match="joints_of: a subset has no regressor"):
            body.subset([0, 1]).joints_of(posed.vertices[:, :2])

    def test_many_bodies_are_posed_as_each_alone_with_and_without_a_gradient(self, free: SMPL) -> None:
        betas, pose, _ = poses(70)
        vertices = free(betas, pose).vertices
        assert_close(vertices[[0, 69]], free(betas[[0, 69]], pose[[0, 69]]).vertices, rtol=1e-5, atol=1e-6)
        assert_close(free(betas, pose.requires_grad_()).vertices, vertices, rtol=0, atol=0)
        assert vertices.is_contiguous()

    def test_gradients_equal_finite_differences(self, synthetic: SMPL) -> None:
        body = synthetic.subset(range(0, 6890, 7)).double()
        betas, pose, transl = (x.requires_grad_() for x in poses(2, dtype=torch.float64))

        def of(*inputs: Tensor) -> Tensor:
            posed = body(*inputs)
            return torch.cat((posed.vertices, posed.joints), dim=1)

        assert torch.autograd.gradcheck(of, (betas, pose, transl), fast_mode=True)

    def test_the_gradient_at_rest_is_finite(self, free: SMPL) -> None:
        pose = torch.zeros(24, 3, requires_grad=True)
        free(torch.zeros(10), pose).vertices.square().sum().backward()
        assert pose.grad is not None
        assert pose.grad.isfinite().all()
        assert pose.grad.abs().max() > 0

    def test_a_body_in_a_network_is_never_stored_with_it(self, free: SMPL) -> None:
        assert torch.nn.ModuleDict({"body": free}).state_dict() == {}
        assert list(free.parameters()) == []

    def test_the_free_body_says_what_carries_over(self, free: SMPL, synthetic: SMPL) -> None:
        assert "not SMPL" in free.info.carries_over
        assert "SMPL (neutral)" in synthetic.info.carries_over
        synthetic.info.expect_smpl("3DPW")
        with pytest.raises(ConfigError, match="3DPW: defined on SMPL's body, got the free body"):
            free.info.expect_smpl("3DPW")


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"pose": torch.zeros(2, 72)}, "unflatten"),
            ({"pose": torch.zeros(2, 23, 3)}, r"expected \(..., 24, 3\) axis-angle"),
            ({"betas": torch.zeros(2, 11)}, "K from 1 to 10"),
            ({"betas": torch.zeros(2, 0)}, "K from 1 to 10"),
            ({"betas": torch.zeros(2, 10, dtype=torch.float64)}, "body.double"),
            ({"pose": torch.zeros(2, 24, 3, dtype=torch.float64)}, "pose: expected torch.float32 as betas"),
            ({"transl": torch.zeros(2, 2)}, "transl"),
            ({"transl": torch.zeros(2, 3, dtype=torch.float16)}, "transl: expected torch.float32"),
            ({"betas": torch.zeros(3, 10)}, "do not broadcast"),
        ],
    )
    def test_wrong_inputs(self, free: SMPL, change: dict[str, Tensor], message: str) -> None:
        inputs = {"betas": torch.zeros(2, 10), "pose": torch.zeros(2, 24, 3), "transl": torch.zeros(2, 3), **change}
        with pytest.raises(ShapeError, match=message):
            free(**inputs)
        with pytest.raises(ShapeError, match=message):
            free.joints(**inputs)

    def test_more_directions_than_there_are_and_vertices_that_are_not(self, free: SMPL) -> None:
        with pytest.raises(ConfigError, match=r"num_betas: .* has 1 to 10, got 11"):
            load_body("free", num_betas=11)
        assert load_body("free", num_betas=3).num_betas == 3
        with pytest.raises(ShapeError, match="from 0 to 6889"):
            free.subset([6890])
        with pytest.raises(ConfigError, match="one shape space"):
            load_body("free", gender="male")
