"""Smoothing of poses: units, root, gaps and people around any smoother."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from poseworks.core import COCO_17, H36M_17, PoseSequence, convert, poses_from_arrays
from poseworks.core.errors import ConfigError, DataError, SkeletonError
from poseworks.core.testing import reference_cases, walking_poses
from poseworks.temporal import (
    DeciWatch,
    DeciWatchConfig,
    Gaussian,
    OneEuro,
    SmoothNet,
    SmoothNetConfig,
    SmoothSettings,
    Stream,
    apply_windows,
    sampled_frames,
    smooth,
)
from poseworks.temporal.preparation import Preparation
from poseworks.temporal.published import ROOT_REMOVED

HERE = Path(__file__).parent
ANYWHERE = Preparation(scale="any", centring="none")


@dataclass
class Recorder:
    """A network that adds a constant to its windows and remembers them."""

    preparation: Preparation
    offset: float = 0.0
    window: int = 8
    stride: int = 1
    seen: list[Tensor] = field(default_factory=list)

    @property
    def reads(self) -> Tensor:
        return torch.ones(self.window, dtype=torch.bool)

    def run_windows(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return x + self.offset


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def small_net(preparation: Preparation | None, window: int = 8) -> SmoothNet:
    torch.manual_seed(0)
    net = SmoothNet(SmoothNetConfig(window=window, output=window, hidden=16, residual_hidden=8)).eval()
    net.preparation = preparation
    return net


@pytest.mark.parametrize("case", reference_cases(HERE / "reference", "smoothnet_rootcentred_w16"), ids=lambda c: c.name)
def test_root_removed_equals_the_pose_toolkit(case) -> None:  # type: ignore[no-untyped-def]
    net = SmoothNet(SmoothNetConfig(window=16, output=16, hidden=512, residual_hidden=256, blocks=3)).eval()
    net.load_state_dict(case.state_dict())
    net.preparation = ROOT_REMOVED
    poses = poses_from_arrays(case.inputs["x"].numpy(), H36M_17, fps=50, unit="m", frame="camera")
    result = smooth(poses, net)
    np.testing.assert_allclose(result.poses.positions[0], case.outputs["output"].numpy(), atol=2e-5)


def test_a_filter_equals_itself_on_the_channels(rng: np.random.Generator) -> None:
    poses = walking_poses(40, people=2, rng=rng, noise=0.02)
    result = smooth(poses, Gaussian(sigma_frames=2))
    for person in range(2):
        channels = poses.positions[person].reshape(40, -1)
        expected = Gaussian(sigma_frames=2)(channels).reshape(40, 17, 3)
        np.testing.assert_allclose(result.poses.positions[person], expected, atol=1e-6)
    assert result.poses.history[-1]["settings"]["smoother"]["sigma_frames"] == 2


def test_people_do_not_touch_one_another(rng: np.random.Generator) -> None:
    poses = walking_poses(40, people=3, rng=rng, noise=0.02, missing=0.05)
    both = smooth(poses, small_net(ANYWHERE)).poses
    alone = smooth(poses.select_people([1]), small_net(ANYWHERE)).poses
    np.testing.assert_array_equal(both.positions[1], alone.positions[0])


def test_networks_see_metres_around_the_root_and_the_root_around_its_mean(rng: np.random.Generator) -> None:
    metres = walking_poses(20, rng=rng)
    far = metres.replace(positions=1000 * (metres.positions + 50), unit="mm")
    network = Recorder(Preparation(centring="root"))
    result = smooth(far, network)
    joints, root = network.seen
    assert joints.shape[-1] == 16 * 3  # a single root is a constant zero to itself, and stays out
    assert root.shape[-1] == 3
    assert joints.abs().max() < 2
    torch.testing.assert_close(root.mean(dim=1), torch.zeros(root.shape[0], 3), atol=1e-4, rtol=0)
    np.testing.assert_allclose(result.poses.positions, far.positions, atol=0.05)  # float32 at 50 metres, in mm


def test_two_hips_as_root_come_back(rng: np.random.Generator) -> None:
    poses = walking_poses(20, rng=rng, skeleton=COCO_17)
    result = smooth(poses, Recorder(Preparation(centring="root")))
    np.testing.assert_allclose(result.poses.positions, poses.positions, atol=1e-5)


def test_the_root_is_smoothed_as_well(rng: np.random.Generator) -> None:
    poses = walking_poses(30, rng=rng, noise=0.02)
    result = smooth(poses, Recorder(Preparation(centring="root"), offset=0.25))
    pelvis, wrist = (result.poses.positions[0, :, H36M_17.index(n)] for n in ("pelvis", "left_wrist"))
    np.testing.assert_allclose(pelvis, poses.positions[0, :, 0] + 0.25, atol=1e-5)
    np.testing.assert_allclose(wrist, poses.positions[0, :, H36M_17.index("left_wrist")] + 0.5, atol=1e-5)


def test_root_relative_poses_keep_their_root(rng: np.random.Generator) -> None:
    poses = walking_poses(20, rng=rng)
    relative = poses.replace(positions=poses.positions - poses.positions[:, :, :1], frame="root")
    result = smooth(relative, Recorder(Preparation(centring="root"), offset=0.25))
    assert (result.poses.positions[:, :, 0] == 0).all()
    np.testing.assert_allclose(result.poses.positions[:, :, 1:], relative.positions[:, :, 1:] + 0.25, atol=1e-6)


def test_pixels_reach_the_weights_as_shares_of_the_image_or_as_metres(rng: np.random.Generator) -> None:
    poses = walking_poses(20, dims=2, rng=rng)
    assert poses.image_size is not None
    published = Recorder(Preparation(scale="image", centring="none"))
    smooth(poses, published)
    assert published.seen[0].abs().max() <= 0.5
    metric = Recorder(Preparation(centring="none"))
    result = smooth(poses, metric)
    height = (
        metric.seen[0].reshape(-1, 17, 2)[..., 1].amax(1) - metric.seen[0].reshape(-1, 17, 2)[..., 1].amin(1)
    ).max()
    assert 1.2 < height < 2.2
    assert any("1.7 m" in note for note in result.notes)
    np.testing.assert_allclose(result.poses.positions, poses.positions, atol=1e-3)


def test_gaps_are_bridged_or_split_joint_by_joint(rng: np.random.Generator) -> None:
    poses = walking_poses(60, rng=rng)
    x = poses.positions.copy()
    x[0, 10:14, 3] = np.nan  # 0.13 s
    x[0, 20:50, 5] = np.nan  # 1 s
    x[0, :, 9] = np.nan
    x[0, :4] = np.nan
    network = Recorder(ANYWHERE)
    result = smooth(poses.replace(positions=x), network)
    y = result.poses.positions[0]
    assert all(bool(window.isfinite().all()) for window in network.seen)
    np.testing.assert_allclose(y[12, 3], x[0, 9, 3] + (x[0, 14, 3] - x[0, 9, 3]) * 3 / 5, atol=1e-5)
    assert np.isnan(y[20:50, 5]).all()
    assert np.isfinite(y[50:, 5]).all()
    assert np.isnan(y[:, 9]).all()
    assert np.isnan(y[:4]).all()
    text = " ".join(result.notes)
    for part in (
        "4 missing positions",
        "split the track of left_knee",
        "never observed: neck",
        "shorter than the window",
    ):
        assert part in text or part == "shorter than the window"
    assert np.isnan(
        smooth(poses.replace(positions=x), network, SmoothSettings(max_gap_s=0)).poses.positions[0, 12, 3]
    ).all()


def test_filled_frames_have_the_confidence_of_their_weaker_neighbour(rng: np.random.Generator) -> None:
    poses = walking_poses(20, rng=rng)
    x, confidence = poses.positions.copy(), np.full((1, 20, 17), 0.9, dtype=np.float32)
    x[0, 8:10, 4] = np.nan
    confidence[0, 8:10, 4], confidence[0, 7, 4] = 0, 0.6
    result = smooth(poses.replace(positions=x, confidence=confidence), Gaussian(sigma_frames=1))
    np.testing.assert_allclose(result.poses.confidence[0, 6:11, 4], [0.9, 0.6, 0.6, 0.6, 0.9], rtol=1e-6)


def test_joints_below_the_asked_confidence_are_bridged(rng: np.random.Generator) -> None:
    poses = walking_poses(20, rng=rng)
    x, confidence = poses.positions.copy(), np.ones((1, 20, 17), dtype=np.float32)
    x[0, 10, 4], confidence[0, 10, 4] = 99, 0.1
    result = smooth(
        poses.replace(positions=x, confidence=confidence), Recorder(ANYWHERE), SmoothSettings(min_confidence=0.3)
    )
    np.testing.assert_allclose(result.poses.positions[0, 10, 4], (x[0, 9, 4] + x[0, 11, 4]) / 2, atol=1e-5)
    assert any("below the asked confidence" in note for note in result.notes)


def test_a_clip_shorter_than_a_window_is_padded_and_said(rng: np.random.Generator) -> None:
    poses = walking_poses(5, rng=rng)
    net = small_net(ANYWHERE)
    result = smooth(poses, net)
    expected = apply_windows(net, poses.positions[0].reshape(5, -1))
    np.testing.assert_allclose(result.poses.positions[0].reshape(5, -1), expected, atol=1e-6)
    assert any("shorter than the window of 8 frames" in note and "repeated" in note for note in result.notes)
    kept = smooth(poses, net, SmoothSettings(short="identity"))
    np.testing.assert_allclose(kept.poses.positions, poses.positions, atol=1e-6)


@pytest.mark.parametrize("latency", [0, 3])
def test_a_latency_equals_the_stream(rng: np.random.Generator, latency: int) -> None:
    poses = walking_poses(30, rng=rng, noise=0.01)
    channels = poses.positions[0].reshape(30, -1)
    for smoother in (small_net(ANYWHERE), Gaussian(sigma_frames=2)):
        stream = Stream(smoother, latency_frames=latency)
        expected = np.concatenate([stream.push(channels), stream.flush()])
        result = smooth(poses, smoother, SmoothSettings(latency_frames=latency))
        np.testing.assert_allclose(result.poses.positions[0].reshape(30, -1), expected, atol=1e-6)


def test_deciwatch_takes_the_sampled_frames_alone(rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    net = DeciWatch(DeciWatchConfig(channels=1, interval=5, q=2, width=16, layers=1)).eval()
    net.preparation = ANYWHERE
    poses = walking_poses(41, rng=rng, fps=5.0)  # 5 fps: its own interval is longer than half a second
    sparse = np.full_like(poses.positions, np.nan)
    known = sampled_frames(41, 5)
    sparse[:, known] = poses.positions[:, known]
    result = smooth(poses.replace(positions=sparse), net)
    assert np.isfinite(result.poses.positions).all()
    np.testing.assert_allclose(result.poses.positions, smooth(poses, net).poses.positions, atol=1e-5)


def test_weights_that_mix_joints_get_all_of_them_or_say_so(rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    net = DeciWatch(DeciWatchConfig(channels=51, interval=5, q=1, width=16, layers=1)).eval()
    poses = walking_poses(20, rng=rng)
    result = smooth(poses, net)
    assert np.isfinite(result.poses.positions).all()
    assert any("root's own track is not smoothed" in note for note in result.notes)
    with pytest.raises(DataError, match="51 channels together"):
        smooth(walking_poses(20, rng=rng, skeleton=convert_target()), net)
    x = poses.positions.copy()
    x[:, :, 9] = np.nan
    with pytest.raises(DataError, match="never observed: neck"):
        smooth(poses.replace(positions=x), net)


def convert_target():  # type: ignore[no-untyped-def]
    from poseworks.core import J14

    return J14


def test_one_euro_counts_in_metres_whatever_the_unit(rng: np.random.Generator) -> None:
    poses = walking_poses(30, rng=rng, noise=0.01)
    euro = OneEuro(min_cutoff_hz=1, beta=3, fps=30)
    metres = smooth(poses, euro).poses.positions
    millimetres = smooth(poses.replace(positions=1000 * poses.positions, unit="mm"), euro).poses.positions
    np.testing.assert_allclose(millimetres, 1000 * metres, atol=0.01)


def test_another_frame_rate_and_uneven_times_are_said(rng: np.random.Generator) -> None:
    poses = walking_poses(20, rng=rng, fps=60)
    net = small_net(Preparation(scale="any", centring="none", fps=30))
    times = np.arange(20) / 60.0
    times[10:] += 0.5
    notes = smooth(poses.replace(times=times), net).notes
    assert any("60 frames per second" in note and "less than intended" in note for note in notes)
    assert any("not evenly spaced" in note for note in notes)


def test_a_person_never_seen_stays_so(rng: np.random.Generator) -> None:
    poses = walking_poses(20, people=2, rng=rng)
    x = poses.positions.copy()
    x[1] = np.nan
    result = smooth(poses.replace(positions=x), Gaussian(sigma_frames=1))
    assert np.isnan(result.poses.positions[1]).all()
    assert result.harm.people[1].verdict == "nothing to compare"
    assert "person 1: never observed, left as it is" in result.notes


def test_what_cannot_be_smoothed_is_refused(rng: np.random.Generator) -> None:
    poses = walking_poses(20, rng=rng)
    nobody = poses.replace(positions=np.zeros((0, 20, 17, 3)), confidence=np.zeros((0, 20, 17)))
    with pytest.raises(DataError, match="nothing to smooth"):
        smooth(nobody, Gaussian(sigma_frames=1))
    with pytest.raises(DataError, match="nothing to smooth"):
        smooth(
            walking_poses(1, rng=rng).replace(positions=np.zeros((1, 0, 17, 3)), confidence=np.zeros((1, 0, 17))),
            Gaussian(sigma_frames=1),
        )
    with pytest.raises(ConfigError, match="Drop one"):
        smooth(poses, Gaussian(sigma_frames=1), SmoothSettings(guard=True, latency_frames=2))
    with pytest.raises(ConfigError, match="filters have no windows"):
        smooth(poses, Gaussian(sigma_frames=1), SmoothSettings(stride=2))
    with pytest.raises(ConfigError, match="smooth_rotations"):
        smooth(poses, small_net(Preparation(representation="six_d_rows", scale="any", centring="none")))
    x = poses.positions.copy()
    x[:, :, 0] = np.nan
    with pytest.raises(DataError, match=r"root \(pelvis\) is never observed"):
        smooth(poses.replace(positions=x), small_net(Preparation()))


def test_weights_of_any_scale_do_without_a_root(rng: np.random.Generator) -> None:
    poses = walking_poses(40, rng=rng)
    free = Recorder(Preparation(scale="any", centring="root"))
    x = poses.positions.copy()
    x[0, 20:, 0] = np.nan
    result = smooth(poses.replace(positions=x), free)
    assert np.isfinite(result.poses.positions[0, 20:, 1:]).all()
    assert any("the root is missing in 20 frames" in note for note in result.notes)
    palm = PoseSequence(
        positions=rng.normal(size=(1, 20, 1, 2)),
        joint_names=("palm",),
        skeleton="custom",
        fps=30,
        unit="px",
        frame="image",
    )
    assert any("no joint is the root" in note for note in smooth(palm, free).notes)
    with pytest.raises(SkeletonError, match="--root"):
        smooth(palm.replace(positions=rng.normal(size=(1, 20, 1, 3)), unit="m", frame="world"), Recorder(Preparation()))


def test_positions_that_lack_their_root_are_kept_and_counted(rng: np.random.Generator) -> None:
    poses = walking_poses(60, rng=rng)
    x = poses.positions.copy()
    x[0, :25, 0] = np.nan
    result = smooth(poses.replace(positions=x), Recorder(Preparation(), offset=1.0))
    np.testing.assert_array_equal(result.poses.positions[0, :25, 1:], x[0, :25, 1:])
    np.testing.assert_allclose(result.poses.positions[0, 25:, 1:], x[0, 25:, 1:] + 2, atol=1e-5)
    assert any(f"{25 * 16} positions were not smoothed" in note for note in result.notes)


def test_one_frame_is_enough(rng: np.random.Generator) -> None:
    poses = walking_poses(1, rng=rng)
    for smoother in (Gaussian(sigma_frames=2), small_net(None), small_net(ANYWHERE)):
        result = smooth(poses, smoother)
        assert result.poses.positions.shape == poses.positions.shape
        assert np.isfinite(result.poses.positions).all()


def test_times_ids_and_skeleton_stay(rng: np.random.Generator) -> None:
    poses = convert(walking_poses(12, people=2, rng=rng, skeleton=COCO_17), H36M_17)
    poses = poses.replace(times=np.arange(12) / 30, person_ids=np.array([7, 4]))
    result: PoseSequence = smooth(poses, Gaussian(sigma_frames=1), model="m", model_sha256="ab").poses
    np.testing.assert_array_equal(result.times, poses.times)
    np.testing.assert_array_equal(result.person_ids, [7, 4])
    assert result.history[:-1] == poses.history
    assert (result.history[-1]["model"], result.history[-1]["model_sha256"]) == ("m", "ab")
