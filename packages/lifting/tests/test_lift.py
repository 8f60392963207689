"""From 2D tracks to 3D: what must hold for any network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core import COCO_17, H36M_17, PoseSequence, SkeletonError, poses_from_arrays, read_poses
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.skeletons import HALPE_26
from poseworks.core.testing import walking_poses
from poseworks.lifting import LCN, Distiller, EHGFormer, EHGFormerConfig, LCNConfig, load, save
from poseworks.lifting.body_scale import standing_height
from poseworks.lifting.input_forms import Preparation
from poseworks.lifting.lifter import camera_of, lift, lift_people
from poseworks.lifting.settings import LiftSettings, default_model

RAY = Preparation(form="ray", assumed_focal=1.2)
CAMERA = Pinhole(1200, 1200, 640, 190)
Network = LCN | EHGFormer


def lcn(preparation: Preparation = RAY, features: int = 3) -> LCN:
    torch.manual_seed(1)
    network = LCN(LCNConfig(in_features=features, channels=8, layers=1)).eval()
    network.preparation = preparation
    return network


def ehgformer(preparation: Preparation = RAY, frames: int = 9) -> EHGFormer:
    torch.manual_seed(2)
    network = EHGFormer(EHGFormerConfig(frames=frames, width=16, blocks=1, heads=2)).eval()
    torch.nn.init.normal_(network.frame_embedding, std=0.5)  # so that the place in a window matters
    network.preparation = preparation
    return network


@pytest.fixture
def walk() -> PoseSequence:
    """112 frames of somebody who walks past, as a detector saw them."""
    return read_poses(Path(__file__).parent / "data" / "walk_side_coco17.npz")


def shifted(poses: PoseSequence, left: float, top: float, size: tuple[int, int]) -> PoseSequence:
    """The same person in an image that is padded (or cropped) at the left and the top, and has another size."""
    return poses.replace(positions=poses.positions + np.float32([left, top]), image_size=size)


def spread(poses: PoseSequence) -> float:
    return float(np.nanstd(poses.positions))


# --- units, frames, history -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [lcn(), ehgformer()], ids=["lcn", "ehgformer"])
def test_without_a_size_the_unit_is_normalised_and_the_root_is_the_origin(walk: PoseSequence, network: Network) -> None:
    lifted = lift(walk, network)
    assert (lifted.unit, lifted.frame, lifted.skeleton, lifted.num_frames) == ("normalised", "root", "h36m17", 112)
    assert lifted.fps == walk.fps
    assert np.isfinite(lifted.positions).all()
    assert np.abs(lifted.positions[:, :, 0]).max() == 0
    entry = lifted.history[-1]
    assert entry["verb"] == "lift"
    assert entry["settings"]["form"] == "ray"
    assert "were this a person as tall as" in entry["settings"]["one_unit"]
    assert entry["settings"]["root"].startswith("fixed")


@pytest.mark.parametrize("form", ["ray", "image"])
def test_a_height_makes_metres_with_one_factor(walk: PoseSequence, form: str) -> None:
    network = lcn(RAY if form == "ray" else Preparation())
    lifted = lift(walk, network, height=1.72)
    assert (lifted.unit, lifted.history[-1]["settings"]["one_unit"]) == ("m", "one metre")
    assert np.median(standing_height(lifted.positions[0].astype(float))) == pytest.approx(1.72, rel=0.03)
    if form == "ray":
        ratio = lifted.positions[0] / np.where(np.arange(17)[:, None] > 0, lift(walk, network).positions[0], np.nan)
        scale = lifted.history[-1]["settings"]["metres_per_unit"][0]
        assert np.nanmedian(ratio) == pytest.approx(scale, rel=1e-5)
        assert lift(walk, network, height=3.44 / 2).positions == pytest.approx(lifted.positions)


def test_a_bone_makes_metres(walk: PoseSequence) -> None:
    lifted = lift(walk, lcn(), bones={"left_thigh": 0.43})
    names = lifted.joint_names
    ends = lifted.positions[0][:, [names.index("left_hip"), names.index("left_knee")]]
    assert np.median(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)) == pytest.approx(0.43, rel=1e-4)


@pytest.mark.parametrize("form", ["ray", "image"])
def test_a_camera_places_the_root(walk: PoseSequence, form: str) -> None:
    network = lcn(RAY if form == "ray" else Preparation())
    placed, alone = lift(walk, network, height=1.7, camera=CAMERA), lift(walk, network, height=1.7)
    assert placed.frame == "camera"
    assert placed.history[-1]["settings"]["camera"] == {"fx": 1200, "fy": 1200, "cx": 640, "cy": 190}
    assert (placed.positions[..., 2].mean(axis=2) > 0.5).all()
    if form == "image":  # the camera does not enter this network
        relative = placed.positions - placed.positions[:, :, :1]
        np.testing.assert_allclose(relative, alone.positions, atol=2e-6)
    by_focal = lift(walk, network, height=1.7, focal=1200.0)  # the principal point is the middle of the image
    np.testing.assert_array_equal(by_focal.positions, placed.positions)


def test_a_camera_is_stated_once(walk: PoseSequence) -> None:
    with pytest.raises(ConfigError, match="Leave one of the two out"):
        camera_of(walk, CAMERA, 1200)
    assert camera_of(walk, None, None) is None


def test_weights_that_need_a_focal_length_say_so(walk: PoseSequence) -> None:
    network = lcn(Preparation(form="ray"))
    with pytest.raises(ConfigError, match="focal length"):
        lift(walk, network)
    assert lift(walk, network, focal=1000.0).frame == "camera"


def test_an_assumed_focal_length_is_noted(walk: PoseSequence) -> None:
    assert any("1.2 times the longer side" in note for note in lift_people(walk, lcn()).notes)
    assert not any("focal" in note for note in lift_people(walk, lcn(), camera=CAMERA).notes)


# --- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [lcn(), ehgformer()], ids=["lcn", "ehgformer"])
def test_padding_and_cropping_change_nothing_where_the_camera_is_known(walk: PoseSequence, network: Network) -> None:
    plain = lift(walk, network, camera=CAMERA)
    for left, top, size in ((300, 0, (1580, 380)), (0, 500, (1280, 1000)), (-200, -40, (900, 300))):
        moved = Pinhole(CAMERA.fx, CAMERA.fy, CAMERA.cx + left, CAMERA.cy + top)
        found = lift(shifted(walk, left, top, size), network, camera=moved)
        np.testing.assert_allclose(found.positions, plain.positions, atol=2e-3)  # pixels are stored in float32


def test_a_wider_or_taller_image_gives_the_same_pose(walk: PoseSequence) -> None:
    # Where the focal length is not known, the longer side stands for it: the other one does not matter.
    network = lcn()
    plain = lift(walk, network)
    tall = lift(shifted(walk, 0, 450, (1280, 1280)), network)
    assert np.abs(tall.positions - plain.positions).max() < 1e-4 * spread(plain)


def test_the_image_form_keeps_proportions(walk: PoseSequence) -> None:
    # As published: an image twice as large in pixels is the same image.
    network = lcn(Preparation())
    twice = walk.replace(positions=2 * walk.positions, image_size=(2560, 760))
    np.testing.assert_allclose(lift(twice, network).positions, lift(walk, network).positions, atol=1e-5)


def test_shares_of_the_image_are_pixels_once_its_size_is_known(walk: PoseSequence) -> None:
    shares = walk.replace(positions=walk.positions / np.float32([1280, 380]), unit="normalised")
    network = lcn()
    np.testing.assert_allclose(lift(shares, network).positions, lift(walk, network).positions, atol=1e-4)


# --- windows ----------------------------------------------------------------------------------------------------------


def test_there_is_no_seam_where_windows_join() -> None:
    # Somebody who sways slowly, and a network whose answer drifts from the first to the last frame of a window.
    network = ehgformer(frames=27)
    drift = torch.linspace(-1, 1, 27)[:, None] * torch.randn(16, generator=torch.Generator().manual_seed(0))
    network.frame_embedding.data[0] = drift
    pose = walking_poses(1, dims=2, skeleton=H36M_17, rng=np.random.default_rng(0)).positions[0, 0] + 100
    sway = 20 * np.sin(np.arange(240) / 40)[:, None, None] * np.linspace(-1, 1, 17)[:, None]
    poses = poses_from_arrays(pose + sway, H36M_17, fps=30, unit="px", frame="image", image_size=(1280, 720))
    blended, cut = (lift(poses, network, overlap=overlap, flip=False).positions[0] for overlap in (0.5, 0.0))

    def bends(x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(np.diff(x, n=2, axis=0), axis=-1).mean(axis=1)

    joins = np.arange(27, 216, 27) - 2  # second differences that reach over a join of windows that do not overlap
    rough, smooth = bends(cut), bends(blended)
    assert rough[joins].min() > 5 * np.median(rough)
    assert smooth.max() < 0.2 * rough[joins].min()
    stride = 13  # blended windows begin, and end, every so many frames
    at_ends = np.concatenate([np.arange(stride, 226, stride) - 2, np.arange(27, 239, stride) - 2])
    assert smooth[at_ends].max() < 2 * np.quantile(np.delete(smooth, at_ends), 0.9)


@pytest.mark.parametrize("frames", [1, 2, 8, 9])
def test_short_clips_are_lifted_as_they_are(walk: PoseSequence, frames: int) -> None:
    network = ehgformer(frames=9)
    clip = walk.replace(positions=walk.positions[:, :frames], confidence=walk.confidence[:, :frames])
    lifted = lift(clip, network, flip=False)
    from poseworks.lifting.input_forms import prepare
    from poseworks.lifting.keypoints import h36m_keypoints

    seen = h36m_keypoints(clip)
    prepared = prepare(RAY, seen.positions[0], seen.confidence[0], (1280, 380))
    with torch.no_grad():
        expected = prepared.restore(network(prepared.x[None])[0].numpy())
    np.testing.assert_allclose(lifted.positions[0], expected, atol=1e-5)


@pytest.mark.parametrize("network", [lcn(), lcn(Preparation(), 2), ehgformer()], ids=["lcn", "lcn2", "ehgformer"])
def test_flipping_makes_the_mirrored_walk_the_mirror_of_the_walk(walk: PoseSequence, network: Network) -> None:
    mirrored = walk.replace(
        positions=np.stack([1280 - walk.positions[..., 0], walk.positions[..., 1]], axis=-1)[:, :, COCO_17.mirrored],
        confidence=walk.confidence[:, :, list(COCO_17.mirrored)],
    )
    back = lift(mirrored, network).positions[:, :, list(H36M_17.mirrored)] * np.float32([-1, 1, 1])
    assert np.abs(back - lift(walk, network).positions).max() < 1e-3
    assert np.abs(lift(walk, network, flip=False).positions - lift(walk, network).positions).max() > 1e-2


def test_another_frame_rate_is_resampled_and_said(walk: PoseSequence) -> None:
    network = ehgformer(RAY.model_copy(update={"fps": 15.0}))
    lifted = lift_people(walk, network)
    assert any("resampled to 15" in note for note in lifted.notes)
    halved = walk.replace(positions=walk.positions[:, ::2], confidence=walk.confidence[:, ::2], fps=walk.fps / 2)
    np.testing.assert_allclose(lifted.poses.positions[:, ::2], lift(halved, network).positions, atol=1e-5)
    assert not any("resampled" in note for note in lift_people(halved, network).notes)
    streamed = lift_people(walk, network, LiftSettings(latency_frames=0))
    assert any("2 times as slow" in note for note in streamed.notes)


# --- people, gaps, missing joints -------------------------------------------------------------------------------------


def test_people_do_not_know_each_other(walk: PoseSequence) -> None:
    two = walk.replace(
        positions=np.concatenate([walk.positions, walk.positions[:, ::-1] + 9]),
        confidence=np.concatenate([walk.confidence, walk.confidence[:, ::-1]]),
        person_ids=np.array([7, 3]),
    )
    network = ehgformer()
    both = lift_people(two, network, LiftSettings(height=1.7))
    for row in range(2):
        alone = lift(two.select_people([row]), network, height=1.7)
        np.testing.assert_array_equal(alone.positions[0], both.poses.positions[row])
    assert both.poses.person_ids is not None
    assert both.poses.person_ids.tolist() == [7, 3]
    assert any("all 2 people" in note for note in both.notes)


def test_short_gaps_are_bridged_and_long_ones_split() -> None:
    poses = walking_poses(100, dims=2, skeleton=H36M_17, rng=np.random.default_rng(1))
    positions = poses.positions * np.float32(0.5) + 100
    positions[0, 10:15] = np.nan
    positions[0, 40:70] = np.nan
    poses = poses.replace(positions=positions)
    lifted = lift_people(poses, ehgformer())
    seen = np.isfinite(lifted.poses.positions).all(axis=(0, 2, 3))
    assert seen[:40].all()
    assert seen[70:].all()
    assert not seen[40:70].any()
    parts = [poses.replace(positions=positions[:, part], confidence=poses.confidence[:, part]) for part in
             (slice(0, 40), slice(70, 100))]  # fmt: skip
    for part, frames in zip(parts, (slice(0, 40), slice(70, 100)), strict=True):
        np.testing.assert_allclose(lift(part, ehgformer()).positions, lifted.poses.positions[:, frames], atol=1e-6)
    assert any("in gaps of up to 5 frames were interpolated" in note for note in lifted.notes)
    assert any("not seen in 30 frames" in note for note in lifted.notes)
    single = lift(poses, lcn())  # one frame: what is not seen is left out
    assert np.isnan(single.positions[0, 10:15]).all()


def test_missing_joints_are_guessed_by_the_ray_form_with_confidence_0(walk: PoseSequence) -> None:
    positions = walk.positions.copy()
    positions[:, 20:80, COCO_17.index("left_wrist")] = np.nan  # too long to be bridged
    lifted = lift_people(walk.replace(positions=positions), lcn())
    wrist = H36M_17.index("left_wrist")
    assert np.isfinite(lifted.poses.positions).all()
    assert (lifted.poses.confidence[0, 20:80, wrist] == 0).all()
    assert (np.delete(lifted.poses.confidence[0], wrist, axis=1)[20:80] > 0).all()
    assert any("joints not seen: 60;" in note for note in lifted.notes)


def test_the_image_form_leaves_out_what_lacks_a_joint(walk: PoseSequence) -> None:
    positions = walk.positions.copy()
    positions[:, 20:80, COCO_17.index("left_wrist")] = np.nan
    positions[:, 90:95, COCO_17.index("left_wrist")] = np.nan
    lifted = lift_people(walk.replace(positions=positions), lcn(Preparation()))
    seen = np.isfinite(lifted.poses.positions).all(axis=(0, 2, 3))
    assert np.flatnonzero(~seen).tolist() == list(range(20, 80))
    assert any("60 frames with too few joints" in note for note in lifted.notes)


def test_unsure_joints_count_as_missing_and_nobody_is_noted(walk: PoseSequence) -> None:
    confidence = walk.confidence.copy()
    confidence[:, 40:] = 0.1
    lifted = lift_people(walk.replace(confidence=confidence), lcn(), LiftSettings(min_confidence=0.15))
    assert np.isnan(lifted.poses.positions[0, 40:]).all()
    assert any("below the asked confidence" in note for note in lifted.notes)
    none = lift_people(walk.replace(confidence=np.zeros_like(confidence)), lcn(), LiftSettings(min_confidence=0.5))
    assert any("not lifted" in note for note in none.notes)


def test_exchanged_sides_are_put_back_on_request(walk: PoseSequence) -> None:
    positions = walk.positions.copy()
    positions[:, 50:60] = positions[:, 50:60][:, :, list(COCO_17.mirrored)]
    swapped = walk.replace(positions=positions)
    lifted = lift_people(swapped, lcn(), LiftSettings(unswap=True))
    assert any("exchanged back" in note for note in lifted.notes)
    np.testing.assert_allclose(lifted.poses.positions, lift(walk, lcn()).positions, atol=1e-6)
    with pytest.raises(ConfigError, match="latency forbids"):
        lift_people(swapped, lcn(), LiftSettings(unswap=True, latency_frames=0))


# --- skeletons and refusals -------------------------------------------------------------------------------------------


def test_any_skeleton_that_makes_h36m17(walk: PoseSequence) -> None:
    halpe = walking_poses(30, dims=2, skeleton=HALPE_26, rng=np.random.default_rng(0))
    assert lift(halpe.replace(positions=halpe.positions / 2 + 100), lcn()).skeleton == "h36m17"
    shuffled = walk.replace(
        positions=walk.positions[:, :, ::-1], confidence=walk.confidence[:, :, ::-1],
        joint_names=walk.joint_names[::-1], skeleton="custom",
    )  # fmt: skip
    np.testing.assert_allclose(lift(shuffled, lcn()).positions, lift(walk, lcn()).positions, atol=1e-6)


def test_seventeen_unknown_joints_are_refused(walk: PoseSequence) -> None:
    unknown = walk.replace(joint_names=tuple(f"joint_{j}" for j in range(17)), skeleton="custom")
    with pytest.raises(SkeletonError, match=r"coco17 or h36m17, in orders that differ.*--skeleton"):
        lift(unknown, lcn())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": None, "unit": "normalised", "positions": np.full((1, 112, 17, 2), 0.5)}, "--image-size"),
        ({"frame": "root", "image_size": None}, "frame root"),
        ({"unit": "normalised"}, "look like pixels"),
        ({"positions": np.zeros((1, 112, 17, 2)) + 0.5}, "state --unit normalised"),
        ({"image_size": (200, 100)}, "outside of the image of 200 x 100"),
    ],
)
def test_what_is_no_keypoints_of_an_image_is_refused(
    walk: PoseSequence, change: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        lift(walk.replace(**change), lcn())


def test_an_image_size_that_is_not_stated_is_assumed_by_the_ray_form_alone(walk: PoseSequence) -> None:
    unsized = walk.replace(image_size=None)
    lifted = lift_people(unsized, lcn())
    assert any("just hold the keypoints" in note for note in lifted.notes)
    width, height = lifted.poses.history[-1]["settings"]["assumed_image_size"]
    stated = lift(walk.replace(image_size=(width, height)), lcn())
    np.testing.assert_array_equal(lifted.poses.positions, stated.positions)
    placed = lift_people(unsized, lcn(), camera=CAMERA)  # a camera says all that the size would stand for
    assert not any("image" in note for note in placed.notes)
    np.testing.assert_array_equal(placed.poses.positions, lift(walk, lcn(), camera=CAMERA).positions)
    with pytest.raises(DataError, match="--image-size"):
        lift(unsized, lcn(Preparation()))


def test_3d_poses_are_refused() -> None:
    with pytest.raises(DataError, match="3D already"):
        lift(walking_poses(rng=np.random.default_rng(0)), lcn())
    empty = poses_from_arrays(np.zeros((0, 5, 17, 2)), COCO_17, fps=30, unit="px", frame="image", image_size=(9, 9))
    with pytest.raises(DataError, match="nothing to work on"):
        lift(empty, lcn())


def test_a_network_that_does_not_lift_is_refused(walk: PoseSequence) -> None:
    with pytest.raises(ConfigError, match="Distiller"):
        lift(walk, Distiller())


@pytest.mark.parametrize(
    ("options", "message"),
    [({"overlap": 1.0}, "overlap"), ({"height": 172.0}, "metres"), ({"height": -1.0}, "height"),
     ({"max_gap_s": -1.0}, "max_gap_s"), ({"bones": {"nose": 0.1}}, "no bone")],
)  # fmt: skip
def test_settings_out_of_range(walk: PoseSequence, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lift(walk, lcn(), **options)  # type: ignore[arg-type]


def test_a_folder_of_weights_may_be_named(walk: PoseSequence, tmp_path: Path) -> None:
    network = lcn()
    save(network, tmp_path / "weights")
    lifted = lift(walk, tmp_path / "weights")
    np.testing.assert_allclose(lifted.positions, lift(walk, network).positions, atol=1e-6)
    assert lifted.history[-1]["model"] == str(tmp_path / "weights")
    assert lifted.history[-1]["model_sha256"]


def test_progress_sums_to_the_whole(walk: PoseSequence) -> None:
    for network in (lcn(), ehgformer(), ehgformer(RAY.model_copy(update={"fps": 15.0}))):
        shares: list[float] = []
        lift(walk, network, advance=shares.append)
        assert sum(shares) == pytest.approx(1, abs=0.05)


def test_the_default_weights_are_those_made_for_a_known_camera_or_an_unknown_one() -> None:
    for known, form in ((True, "ray"), (False, "box")):
        assert load(default_model(knows_camera=known)).preparation.form == form  # type: ignore[union-attr]
