"""Metrics against the reference figures, SciPy, sums by hand, and their own properties."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import procrustes
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ShapeError
from poseworks.core.metrics import (
    AUC_THRESHOLDS_MM,
    accel_error,
    accel_error_padded,
    acceleration,
    auc,
    bone_length_spread,
    foot_contacts,
    foot_slide,
    jerk,
    mpjpe,
    n_mpjpe,
    pa_mpjpe,
    pck,
    pve,
    root_relative,
    scale_align,
    similarity_align,
)
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.skeletons import H36M_17
from poseworks.core.testing import ReferenceCase, reference_cases, seeded_input, walking_poses

HERE = Path(__file__).parent
UP = (0.0, 0.0, 1.0)
ANKLES = H36M_17.indices(["left_ankle", "right_ankle"])


@pytest.fixture(scope="module")
def case() -> ReferenceCase:
    return reference_cases(HERE / "reference", "metrics_losses")[0]


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def turned(x: Tensor, scale: float = 1.0) -> Tensor:
    """A similarity transform of every pose alike."""
    rotation = axis_angle_to_matrix(torch.tensor([0.4, -1.1, 2.0], dtype=x.dtype))
    return scale * x @ rotation.mT + torch.tensor([0.3, 2.0, -1.0], dtype=x.dtype)


class TestPublished:
    """The mean of what comes back is the figure that the published code prints."""

    def check(self, value: Tensor, expected: float) -> None:
        assert value.item() == pytest.approx(expected, rel=1e-6)

    def test_joint_errors(self, case: ReferenceCase) -> None:
        target, root = case.inputs["gt"], case.config["root_joints"]
        predicted = target + case.inputs["noise"]
        self.check(1000 * mpjpe(predicted, target, root).mean(), case.expected["mpjpe_mm"])
        self.check(1000 * pa_mpjpe(predicted, target).mean(), case.expected["pa_mpjpe_mm"])
        target = target.clone()
        target[3] = torch.nan
        errors = mpjpe(predicted, target, root)
        assert torch.isnan(errors).nonzero().tolist() == [[3]]
        self.check(1000 * errors.nanmean(), case.expected["mpjpe_one_nan_frame_mm"])

    def test_accelerations(self, case: ReferenceCase) -> None:
        target, root = case.inputs["gt"], case.config["root_joints"]
        x, y = root_relative(target + case.inputs["noise"], root), root_relative(target, root)
        self.check(1000 * accel_error_padded(x, y).mean(), case.expected["accel_paper_smoothnet_mm"])
        self.check(1000 * accel_error(x, y).mean(), case.expected["accel_paper_deciwatch_mm"])

    @pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
    def test_pck_of_a_box(self, case: ReferenceCase, share: float) -> None:
        height, width = case.config["image_height_width"]
        x0, y0, x1, y1 = case.config["bbox_x0y0x1y1"]
        pixels = torch.tensor([width, height])
        target = case.inputs["gt2d"]
        predicted = target + case.inputs["noise2d"]
        hits = pck(predicted * pixels, target * pixels, share, size=max(x1 - x0, y1 - y0))
        for origin in ("smoothnet", "deciwatch"):
            self.check(hits.mean(), case.expected[f"pck_{share}_paper_{origin}"])


@pytest.fixture(scope="module")
def figures() -> dict[str, Tensor]:
    return reference_cases(HERE / "reference", "metrics")[0].outputs


@pytest.fixture(scope="module")
def joints() -> tuple[Tensor, Tensor]:
    """(predicted, target), (8, 14, 3): noise, a turn about z, a scale, a shift; the first pose mirrored."""
    target = torch.from_numpy(seeded_input("metrics_gt", (8, 14, 3), 300.0))
    predicted = target + torch.from_numpy(seeded_input("metrics_noise", (8, 14, 3), 40.0))
    cos, sin = math.cos(0.7), math.sin(0.7)
    predicted = 1.2 * predicted @ torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]).mT
    predicted = predicted + torch.tensor([100.0, -50, 30])
    predicted[0, :, 0] *= -1
    return predicted, target


class TestEvaluationOfBodies:
    """The figures that the evaluation code of mesh recovery prints, in millimetres and percent."""

    ROOT = (2, 3)  # the hips

    @pytest.mark.parametrize("alignment", ["none", "scale", "procrustes"])
    def test_joint_errors(self, figures: dict[str, Tensor], joints: tuple[Tensor, Tensor], alignment: str) -> None:
        align = {"none": lambda x, _: x, "scale": scale_align, "procrustes": similarity_align}[alignment]
        x, y = (root_relative(joint, self.ROOT) for joint in joints)
        x = align(x, y)  # on all joints, also where some are not counted
        assert_close(mpjpe(x, y).mean(), figures[f"mpjpe_{alignment}"].float(), rtol=1e-5, atol=0)
        counted = [joint for joint in range(14) if joint not in (0, 5, 10)]
        found = mpjpe(x[:, counted], y[:, counted]).mean()
        assert_close(found, figures[f"mpjpe_masked_{alignment}"].float(), rtol=1e-5, atol=0)
        assert_close(100 * pck(x, y, 150).mean(), figures[f"pck_{alignment}"], rtol=1e-5, atol=0)
        assert_close(100 * auc(x, y, AUC_THRESHOLDS_MM).mean(), figures[f"auc_{alignment}"].float(), rtol=1e-5, atol=0)

    def test_alignment_of_each_pose(self, figures: dict[str, Tensor], joints: tuple[Tensor, Tensor]) -> None:
        x, y = (root_relative(joint, self.ROOT) for joint in joints)
        assert_close(pa_mpjpe(x, y), figures["pa_per_sample"].float(), rtol=1e-5, atol=0)
        assert_close(similarity_align(x, y), figures["aligned"].float(), rtol=1e-4, atol=1e-2)

    def test_vertices(self, figures: dict[str, Tensor]) -> None:
        target = torch.from_numpy(seeded_input("metrics_gv", (8, 200, 3), 300.0))
        predicted = target + torch.from_numpy(seeded_input("metrics_gvn", (8, 200, 3), 20.0))
        assert_close(pve(predicted, target).mean(), figures["pve"], rtol=1e-5, atol=0)

    def test_acceleration_leaves_out_what_a_hidden_frame_touches(
        self, figures: dict[str, Tensor], joints: tuple[Tensor, Tensor]
    ) -> None:
        predicted, target = joints
        assert_close(accel_error(predicted, target), figures["accel"], rtol=1e-5, atol=0)
        hidden = target.clone()
        hidden[4] = torch.nan
        errors = accel_error(predicted, hidden)
        assert_close(errors[errors.isfinite()], figures["accel_masked"], rtol=1e-5, atol=0)


def test_mpjpe_by_hand() -> None:
    target = torch.zeros(2, 2, 3)
    predicted = torch.tensor([[[3.0, 4, 0], [0, 0, 1]], [[1, 2, 2], [0, 0, 0]]])
    assert mpjpe(predicted, target).tolist() == [3.0, 1.5]
    # root 0: its own error becomes 0, the other joint's becomes (-3, -4, 1) and (-1, -2, -2)
    assert_close(mpjpe(predicted, target, root=[0]), torch.tensor([math.sqrt(26) / 2, 1.5]))
    # the mean of both joints as the root: (1.5, 2, -0.5) each way
    assert_close(mpjpe(predicted, target, root=[0, 1])[0], torch.tensor(math.sqrt(1.5**2 + 4 + 0.25)))


def test_pve_by_hand() -> None:
    assert pve(torch.tensor([[[0.0, 3, 4], [0, 0, 0]]]), torch.zeros(1, 2, 3)).tolist() == [2.5]


def test_two_dimensions_count_too() -> None:
    x = normal(4, 17, 2)
    assert_close(mpjpe(x + torch.tensor([3.0, 4.0]), x), torch.full((4,), 5.0))
    angle = torch.tensor(0.7)
    rotation = torch.stack((torch.stack((angle.cos(), -angle.sin())), torch.stack((angle.sin(), angle.cos()))))
    assert_close(pa_mpjpe(2 * x @ rotation.mT + 1, x), torch.zeros(4), atol=1e-5, rtol=0)


class TestSimilarity:
    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
    def test_pa_mpjpe_forgives_a_similarity_but_not_a_mirror(self, dtype: torch.dtype, tolerance: float) -> None:
        x = normal(5, 17, 3, dtype=dtype)
        assert_close(pa_mpjpe(turned(x, 1.7), x), torch.zeros(5, dtype=dtype), atol=tolerance, rtol=0)
        mirrored = x * torch.tensor([-1.0, 1.0, 1.0], dtype=dtype)
        assert (pa_mpjpe(mirrored, x) > 0.1).all()
        assert (pa_mpjpe(turned(mirrored), x) > 0.1).all()

    def test_the_fit_is_scipys_where_no_mirror_is_needed(self) -> None:
        x = normal(8, 17, 3, dtype=torch.float64)
        y = turned(x, 0.8) + 0.2 * normal(8, 17, 3, seed=1, dtype=torch.float64)
        aligned = similarity_align(x, y)
        for frame in range(8):
            centred = y[frame] - y[frame].mean(dim=0)
            disparity = ((aligned[frame] - y[frame]) ** 2).sum() / (centred**2).sum()
            assert disparity.item() == pytest.approx(procrustes(y[frame].numpy(), x[frame].numpy())[2])

    @pytest.mark.parametrize("mirror", [1.0, -1.0])
    def test_no_similarity_near_the_fit_is_better(self, mirror: float) -> None:
        x = normal(17, 3, dtype=torch.float64) * torch.tensor([mirror, 1, 1])
        y = normal(17, 3, seed=1, dtype=torch.float64) * 0.3 + turned(normal(17, 3, dtype=torch.float64))
        aligned = similarity_align(x, y)
        best = ((aligned - y) ** 2).sum()
        middle = aligned.mean(dim=0)
        for seed in range(30):
            step = 0.05 * normal(7, seed=seed, dtype=torch.float64)
            moved = (1 + step[0]) * (aligned - middle) @ axis_angle_to_matrix(step[1:4]).mT + middle + step[4:]
            assert ((moved - y) ** 2).sum() > best

    def test_far_from_the_origin_in_millimetres_float32_is_enough(self) -> None:
        x = 300 * normal(10, 17, 3) + torch.tensor([2000.0, -1000.0, 5000.0])
        assert pa_mpjpe(turned(x, 0.9), x).max() < 0.01

    def test_flat_straight_and_single_joint_poses_are_defined(self) -> None:
        flat = normal(6, 17, 3) * torch.tensor([1.0, 1.0, 0.0])
        straight = normal(6, 17, 1) * torch.tensor([1.0, 2.0, 3.0])
        assert_close(pa_mpjpe(turned(flat, 1.3), flat), torch.zeros(6), atol=1e-5, rtol=0)
        assert_close(pa_mpjpe(turned(straight, 1.3), straight), torch.zeros(6), atol=1e-5, rtol=0)
        # In the plane a mirror is a turn about an axis in the plane.
        assert_close(pa_mpjpe(flat * torch.tensor([-1.0, 1, 1]), flat), torch.zeros(6), atol=1e-5, rtol=0)
        assert_close(pa_mpjpe(normal(6, 1, 3), normal(6, 1, 3, seed=1)), torch.zeros(6), atol=1e-6, rtol=0)

    @pytest.mark.parametrize("at", [0.0, 5000.1])
    def test_a_pose_collapsed_to_a_point_becomes_the_centroid(self, at: float) -> None:
        target = normal(3, 17, 3)
        collapsed = torch.full((3, 17, 3), at)
        expected = (target - target.mean(dim=1, keepdim=True)).norm(dim=-1).mean(dim=-1)
        assert_close(pa_mpjpe(collapsed, target), expected)
        # and onto a point everything fits
        assert_close(pa_mpjpe(target, collapsed), torch.zeros(3), atol=1e-3, rtol=0)

    def test_a_frame_with_nan_is_nan_and_leaves_the_others_alone(self) -> None:
        x, y = normal(2, 5, 17, 3), normal(2, 5, 17, 3, seed=1)
        expected = pa_mpjpe(x, y)
        x[0, 2, 7, 1] = torch.nan
        y[1, 4] = torch.inf
        made = pa_mpjpe(x, y)
        assert torch.isnan(made).nonzero().tolist() == [[0, 2], [1, 4]]
        rest = ~torch.isnan(made)
        assert_close(made[rest], expected[rest])
        assert torch.isnan(pa_mpjpe(torch.full((2, 3, 3), torch.nan), torch.zeros(2, 3, 3))).all()


def test_n_mpjpe_forgives_a_scale_alone() -> None:
    x = normal(5, 17, 3)
    assert_close(n_mpjpe(2.5 * x, x), torch.zeros(5), atol=1e-5, rtol=0)
    assert_close(n_mpjpe(2.5 * x + 3, x, root=[0]), torch.zeros(5), atol=1e-5, rtol=0)
    assert (n_mpjpe(turned(x), x) > 0.1).all()
    # <p, q> / <p, p> by hand: 2 * 3 + 1 * 1 over 4 + 1, that is 1.4
    p, q = torch.tensor([[[2.0, 0, 0], [0, 1, 0]]]), torch.tensor([[[3.0, 0, 0], [0, 1, 0]]])
    assert_close(n_mpjpe(p, q), torch.tensor([(0.2 + 0.4) / 2]))
    assert_close(n_mpjpe(torch.zeros(1, 2, 3), q), mpjpe(torch.zeros(1, 2, 3), q))


class TestPck:
    def test_by_hand(self) -> None:
        target = torch.zeros(2, 4, 3)
        predicted = torch.tensor([[0.0, 149, 150, 151], [200, 200, 200, 0]])[..., None] * torch.tensor([1.0, 0, 0])
        assert pck(predicted, target, 150).tolist() == [0.75, 0.25]
        assert pck(predicted, target, 0.5, size=torch.tensor([298.0, 400.0])).tolist() == [0.5, 1.0]

    def test_an_undetected_joint_is_a_miss_and_an_unknown_one_is_not_counted(self) -> None:
        target = torch.zeros(3, 4, 2)
        predicted = torch.zeros(3, 4, 2)
        predicted[0, 1] = torch.nan
        target[1, 1] = torch.nan
        predicted[1, 2] = torch.nan
        target[2] = torch.nan
        shares = pck(predicted, target, 1.0)
        assert_close(shares, torch.tensor([3 / 4, 2 / 3, torch.nan]), equal_nan=True)

    def test_auc_is_the_mean_over_thresholds(self) -> None:
        assert AUC_THRESHOLDS_MM[0] == 0
        assert AUC_THRESHOLDS_MM[-1] == 150
        assert len(AUC_THRESHOLDS_MM) == 31
        target = torch.zeros(1, 1, 3)
        for error, hits in ((0.0, 31), (75.0, 16), (150.0, 1), (150.1, 0)):
            share = auc(target + torch.tensor([error, 0, 0]), target, AUC_THRESHOLDS_MM)
            assert share.item() == pytest.approx(hits / 31)

    def test_wrong_arguments(self) -> None:
        x = torch.zeros(5, 4, 3)
        with pytest.raises(ShapeError, match=r"size: expected a number or \(5,\), got \(4,\)"):
            pck(x, x, 1, size=torch.ones(4))
        with pytest.raises(ShapeError, match="thresholds: expected at least one"):
            auc(x, x, ())


class TestMotion:
    def test_accel_error_by_hand(self) -> None:
        target = torch.zeros(5, 2, 3)
        predicted = target.clone()
        predicted[2, 0] = torch.tensor([0.0, 3.0, 4.0])  # second differences 5, -10, 5 of one joint in two
        assert accel_error(predicted, target).tolist() == [2.5, 5.0, 2.5]
        assert accel_error_padded(predicted, target).tolist() == [0, 2.5, 5.0, 2.5, 0]

    def test_constant_speed_has_none_and_constant_acceleration_no_jerk(self) -> None:
        t = torch.arange(8, dtype=torch.float64)[:, None, None]
        steady = t * torch.tensor([1.0, 2.0, 2.0]).expand(3, 3)
        assert_close(acceleration(steady), torch.zeros(6, dtype=torch.float64))
        assert_close(accel_error(steady, torch.zeros_like(steady)), torch.zeros(6, dtype=torch.float64))
        falling = 0.5 * t**2 * torch.tensor([1.0, 2.0, 2.0]).expand(3, 3)
        assert_close(acceleration(falling), torch.full((6,), 3.0, dtype=torch.float64))
        assert_close(jerk(falling), torch.zeros(5, dtype=torch.float64))
        assert_close(jerk(t**3 / 6 * torch.tensor([0.0, 0.0, 1.0])), torch.ones(5, dtype=torch.float64))

    def test_the_error_forgives_what_both_share(self) -> None:
        x, noise = normal(9, 17, 3, dtype=torch.float64), normal(9, 17, 3, seed=1, dtype=torch.float64)
        assert_close(accel_error(x + noise, x), acceleration(noise))

    def test_batches_are_clips_side_by_side(self) -> None:
        x, y = normal(2, 3, 6, 17, 3), normal(2, 3, 6, 17, 3, seed=1)
        assert accel_error(x, y).shape == (2, 3, 4)
        assert_close(accel_error(x, y)[1, 2], accel_error(x[1, 2], y[1, 2]))
        assert_close(jerk(x)[1, 2], jerk(x[1, 2]))
        assert_close(mpjpe(x, y)[1, 2], mpjpe(x[1, 2], y[1, 2]))
        assert_close(pa_mpjpe(x, y)[1, 2], pa_mpjpe(x[1, 2], y[1, 2]))

    def test_a_gap_makes_its_neighbours_nan(self) -> None:
        x = normal(10, 2, 3)
        x[4, 0, 0] = torch.nan
        assert torch.isnan(accel_error(x, torch.zeros_like(x))).nonzero().flatten().tolist() == [2, 3, 4]
        assert torch.isfinite(accel_error(x, torch.zeros_like(x)).nanmean())

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda x: accel_error(x[:2], x[:2]), r"predicted: expected \(\.\.\., T>=3, J, D=2\|3\), got \(2, 17, 3\)"),
            (lambda x: accel_error_padded(x[:2], x[:2]), "T>=3"),
            (lambda x: acceleration(x[:2]), "joints: expected .*T>=3"),
            (lambda x: jerk(x[:3]), "joints: expected .*T>=4"),
            (lambda x: accel_error(x, x[:4]), r"target: expected \(5, 17, 3\) as predicted, got \(4, 17, 3\)"),
            (lambda x: mpjpe(x, x[:, :14]), r"same skeleton; nothing is broadcast"),
            (lambda x: mpjpe(x, x[:1]), r"target: expected \(5, 17, 3\)"),
            (lambda x: mpjpe(x[..., :1], x[..., :1]), r"predicted: expected .*D=2\|3.*got \(5, 17, 1\)"),
            (lambda x: mpjpe(x, x, root=[]), "root: expected joints from 0 to 16, at least one"),
            (lambda x: mpjpe(x, x, root=[17]), r"root: expected joints from 0 to 16.*got \[17\]"),
            (lambda x: n_mpjpe(x, x, root=[-1]), "root: expected joints"),
            (lambda x: pve(x[..., :2], x[..., :2]), "D=3"),
        ],
    )
    def test_wrong_shapes(self, call: Callable[[Tensor], Tensor], message: str) -> None:
        with pytest.raises(ShapeError, match=message):
            call(normal(5, 17, 3))


class TestFeet:
    def test_a_foot_that_glides_slides_at_its_speed(self) -> None:
        t = torch.arange(20, dtype=torch.float64)
        feet = torch.stack((0.03 * t, 0.04 * t, torch.zeros(20)), dim=-1)[:, None]  # 0.05 a frame
        contacts = foot_contacts(feet, [0], up=UP, height=0.03)
        assert contacts.shape == (19, 1)
        assert contacts.all()
        assert foot_slide(feet, [0], contacts, up=UP, fps=30).item() == pytest.approx(1.5)

    def test_height_tells_contact_and_only_level_motion_counts(self) -> None:
        """Up on one foot: raised by 0.2 it flies, trembling by 0.01 it stands."""
        feet = torch.zeros(40, 2, 3, dtype=torch.float64)
        feet[10:20, 0, 2] = 0.2
        feet[:, 0, 0] = torch.arange(40)
        feet[::2, 1, 2] = 0.01
        contacts = foot_contacts(feet, [0, 1], up=UP, height=0.03)
        assert (~contacts[:, 0]).nonzero().flatten().tolist() == list(range(9, 20))
        assert contacts[:, 1].all()
        # 28 steps at speed 30, 39 at 0
        assert foot_slide(feet, [0, 1], contacts, up=UP, fps=30).item() == pytest.approx(28 * 30 / 67)

    def test_up_may_point_anywhere(self) -> None:
        walk = torch.from_numpy(walking_poses(60, rng=np.random.default_rng(0)).positions[0])
        expected = foot_contacts(walk, ANKLES, up=UP, height=0.03)
        assert 0 < expected.sum() < expected.numel()
        camera = walk[..., [0, 2, 1]] * torch.tensor([1.0, -1.0, 1.0])  # y down
        made = foot_contacts(camera, ANKLES, up=(0, -2, 0), height=0.03)
        assert (made == expected).all()
        slide = foot_slide(camera, ANKLES, made, up=(0, -2, 0), fps=30)
        assert_close(slide, foot_slide(walk, ANKLES, expected, up=UP, fps=30))

    def test_never_standing_is_nan_and_gaps_are_no_contact(self) -> None:
        feet = torch.zeros(6, 1, 3)
        feet[3] = torch.nan
        contacts = foot_contacts(feet, [0], up=UP, height=0.03)
        assert contacts.flatten().tolist() == [True, True, False, False, True]
        assert foot_slide(feet, [0], contacts, up=UP, fps=30).item() == 0
        assert torch.isnan(foot_slide(feet, [0], torch.zeros(5, 1, dtype=torch.bool), up=UP, fps=30))
        unseen = torch.full((6, 1, 3), torch.nan)
        assert not foot_contacts(unseen, [0], up=UP, height=0.03).any()

    def test_wrong_arguments(self) -> None:
        x = torch.zeros(5, 3, 3)
        with pytest.raises(ShapeError, match=r"feet: expected joints from 0 to 2, at least one, got \[3\]"):
            foot_contacts(x, [3], up=UP, height=0.1)
        with pytest.raises(ShapeError, match=r"up: expected 3 numbers, not all 0, got \[0, 0, 0\]"):
            foot_contacts(x, [0], up=(0, 0, 0), height=0.1)
        with pytest.raises(ShapeError, match=r"contacts: expected \(4, 1\), got \(5, 1\)"):
            foot_slide(x, [0], torch.ones(5, 1), up=UP, fps=30)
        with pytest.raises(ShapeError, match="D=3"):
            foot_contacts(x[..., :2], [0], up=UP, height=0.1)


class TestBones:
    def test_a_rigid_body_has_none(self) -> None:
        walk = torch.from_numpy(walking_poses(60, 2, rng=np.random.default_rng(0)).positions)
        spread = bone_length_spread(walk, H36M_17.bone_indices)
        assert spread.shape == (2, 16)
        assert spread.max() < 1e-5

    def test_by_hand(self) -> None:
        """Lengths 1, 2, 3: standard deviation sqrt(2 / 3), mean 2."""
        x = torch.zeros(3, 2, 3, dtype=torch.float64)
        x[:, 1, 0] = torch.tensor([1.0, 2.0, 3.0])
        assert bone_length_spread(x, [(0, 1)]).item() == pytest.approx(math.sqrt(2 / 3) / 2)
        gap = torch.cat((x, torch.full((2, 2, 3), torch.nan)))
        assert bone_length_spread(gap, [(0, 1)]).item() == pytest.approx(math.sqrt(2 / 3) / 2)

    def test_unseen_and_point_like_bones_are_nan(self) -> None:
        x = torch.zeros(3, 3, 3)
        x[:, 2] = torch.nan
        assert torch.isnan(bone_length_spread(x, [(0, 1), (1, 2)])).all()
        assert bone_length_spread(x, []).shape == (0,)

    def test_an_end_that_is_not_there(self) -> None:
        with pytest.raises(ShapeError, match=r"bones: expected joints from 0 to 2, got \[\(0, 3\)\]"):
            bone_length_spread(torch.zeros(3, 3, 3), [(0, 3)])


def test_arrays_integers_and_mixed_types_are_taken() -> None:
    x, y = normal(5, 17, 3), normal(5, 17, 3, seed=1)
    array = x.numpy().copy()
    array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_close(mpjpe(array, y.numpy()), mpjpe(x, y))
    assert pa_mpjpe(x, y).dtype == torch.float32
    assert pa_mpjpe(x.double(), y).dtype == torch.float64
    whole = np.arange(5 * 4 * 3).reshape(5, 4, 3)
    assert mpjpe(whole, whole).dtype == torch.float64
    assert accel_error(whole, 0 * whole).tolist() == [0, 0, 0]


def test_no_frames_give_no_numbers() -> None:
    x = torch.zeros(0, 17, 3)
    for metric in (mpjpe, pa_mpjpe, n_mpjpe, pve):
        assert metric(x, x).shape == (0,)
    assert pck(x, x, 1.0).shape == (0,)


def test_inputs_are_left_as_they_are() -> None:
    x, y = normal(6, 17, 3), normal(6, 17, 3, seed=1)
    kept = x.clone(), y.clone()
    for metric in (mpjpe, pa_mpjpe, n_mpjpe, accel_error):
        metric(x, y)
    assert_close((x, y), kept, atol=0, rtol=0)
