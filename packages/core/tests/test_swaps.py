"""Left and right put back: on recorded detections, by hand, and what must hold for any input."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from poseworks.core import BLAZEPOSE_33, COCO_17, H36M_17, SMPL_24, PoseSequence, Skeleton, poses_from_arrays
from poseworks.core import swaps as module
from poseworks.core.swaps import repair_swaps
from poseworks.core.testing import walking_poses

HERE = Path(__file__).parent

# Where the landmarks lie nearer to the projected 3D points of the four calibrated views when left and right are
# exchanged; in the three other views there is no such frame.
BALANCE_VIEW_2 = (*range(41, 64), 65, *range(67, 74), 81)
# He faces the camera throughout, and his left shoulder is on the image's left in these frames alone.
JUMPING_JACKS = (60, 61, 62, 66)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def recorded(name: str, fps: float, view: int | None = None) -> PoseSequence:
    """Stored detections of one person; the frames without anybody are NaN."""
    with np.load(HERE / "data" / "detected_landmarks33.npz") as stored:
        pixels, visibility = stored[f"{name}_tenth_px"], stored[f"{name}_visibility_percent"]
    if view is not None:
        pixels, visibility = pixels[view], visibility[view]
    positions = np.where(pixels == -32768, np.nan, pixels / 10)
    return poses_from_arrays(positions, BLAZEPOSE_33, fps=fps, unit="px", frame="image", confidence=visibility / 100)


def every(poses: PoseSequence, step: int, first: int = 0) -> PoseSequence:
    """Every `step`-th frame."""
    frames = slice(first, None, step)
    return poses.replace(
        positions=poses.positions[:, frames], confidence=poses.confidence[:, frames], fps=poses.fps / step
    )


def exchange(poses: PoseSequence, frames: object, skeleton: Skeleton, person: int = 0) -> PoseSequence:
    """Left and right exchanged in these frames: by name, not by what the package says about pairs."""
    order = []
    for name in skeleton.joint_names:
        side, _, rest = name.partition("_")
        other = {"left": "right_", "right": "left_"}.get(side)
        order.append(skeleton.joint_names.index(name if other is None else other + rest))
    positions, confidence = poses.positions.copy(), poses.confidence.copy()
    positions[person, frames] = positions[person, frames][:, order]
    confidence[person, frames] = confidence[person, frames][:, order]
    return poses.replace(positions=positions, confidence=confidence)


def assert_same(actual: PoseSequence, expected: PoseSequence) -> None:
    np.testing.assert_array_equal(actual.positions, expected.positions)
    np.testing.assert_array_equal(actual.confidence, expected.confidence)


@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize("view", range(4))
def test_the_exchanged_frames_of_four_views_and_no_others(view: int, step: int) -> None:
    poses = recorded("balance", 60, view)
    for first in range(step):
        expected = [(f - first) // step for f in BALANCE_VIEW_2 if view == 1 and f % step == first]
        assert repair_swaps(every(poses, step, first)).changed[0].tolist() == expected


def test_exchanging_back_takes_half_of_the_jumps() -> None:
    poses = recorded("balance", 60, 1)
    before, after = (
        np.linalg.norm(np.diff(p.positions[0], n=2, axis=0), axis=-1).mean() for p in (poses, repair_swaps(poses).poses)
    )
    assert before > 49
    assert after < 23.5


@pytest.mark.parametrize("step", [1, 2])
def test_jumping_jacks(step: int) -> None:
    for first in range(step):
        found = repair_swaps(every(recorded("jumping_jacks", 30), step, first)).changed[0]
        assert (found * step + first).tolist() == [f for f in JUMPING_JACKS if f % step == first]


@pytest.mark.parametrize("step", [1, 2, 5])
def test_legs_that_cross_are_not_exchanged(step: int) -> None:
    for first in range(step):
        poses = every(recorded("walk_side", 30), step, first)
        repaired = repair_swaps(poses)
        assert repaired.changed[0].size == 0
        assert_same(repaired.poses, poses)


@pytest.mark.parametrize("skeleton", [H36M_17, COCO_17, SMPL_24, BLAZEPOSE_33], ids=lambda s: s.name)
@pytest.mark.parametrize("dims", [2, 3])
def test_every_exchange_is_undone_bit_by_bit(skeleton: Skeleton, dims: int, rng: np.random.Generator) -> None:
    clean = walking_poses(120, people=2, dims=dims, skeleton=skeleton, rng=rng, noise=2.0 if dims == 2 else 0.01)
    clean = clean.replace(confidence=rng.uniform(0.3, 1, clean.confidence.shape))
    assert all(found.size == 0 for found in repair_swaps(clean).changed)
    first, second = [10, 30, 31, 32, 33, *range(60, 80)], list(range(100, 112))
    given = exchange(exchange(clean, first, skeleton), second, skeleton, person=1)
    repaired = repair_swaps(given)
    assert [found.tolist() for found in repaired.changed] == [first, second]
    assert_same(repaired.poses, clean)


def test_history_says_what_was_looked_at(rng: np.random.Generator) -> None:
    clean = walking_poses(60, people=2, rng=rng).replace(person_ids=np.array([7, 9]))
    repaired = repair_swaps(exchange(clean, [5, 20, 21, 22], H36M_17, person=1)).poses
    entry = repaired.history[-1]
    assert (entry["verb"], entry["package"]) == ("repair_swaps", "poseworks-core")
    assert entry["settings"] == {
        "people": [
            {"person": 7, "exchanged": 0, "frames": []},
            {"person": 9, "exchanged": 4, "frames": [[5, 5], [20, 22]]},
        ]
    }


def test_a_second_call_changes_nothing(rng: np.random.Generator) -> None:
    walks = walking_poses(200, people=3, skeleton=COCO_17, rng=rng, noise=0.05, missing=0.1)
    for person in range(3):
        walks = exchange(walks, np.flatnonzero(rng.random(200) < 0.3), COCO_17, person)
    positions = walks.positions.copy()
    for left, right in COCO_17.pairs:  # and single pairs as well, so that little is certain
        mixed = rng.random((3, 200)) < 0.2
        positions[mixed, left], positions[mixed, right] = positions[mixed, right], positions[mixed, left]
    walks = walks.replace(positions=positions, confidence=walks.confidence * rng.random((3, 200, 17)))
    once = repair_swaps(walks)
    assert sum(found.size for found in once.changed) > 0
    again = repair_swaps(once.poses)
    assert [found.size for found in again.changed] == [0, 0, 0]
    assert_same(again.poses, once.poses)
    changed = [
        np.flatnonzero((a != b).any(axis=1)) for a, b in zip(walks.confidence, once.poses.confidence, strict=True)
    ]
    assert [frames.tolist() for frames in changed] == [found.tolist() for found in once.changed]


def test_poses_exchanged_as_a_whole_come_back_exchanged_as_a_whole() -> None:
    poses = recorded("balance", 60, 1)
    whole = exchange(poses, slice(None), BLAZEPOSE_33)
    np.testing.assert_array_equal(repair_swaps(whole).changed[0], BALANCE_VIEW_2)
    assert_same(repair_swaps(whole).poses, exchange(repair_swaps(poses).poses, slice(None), BLAZEPOSE_33))


@pytest.mark.parametrize(("factor", "offset"), [(0.001, -3.0), (1000.0, 5e4), (-1.0, 0.0)])
def test_unit_place_and_mirror_do_not_matter(factor: float, offset: float) -> None:
    poses = recorded("balance", 60, 1)
    moved = poses.replace(positions=factor * poses.positions.astype(np.float64) + offset)
    np.testing.assert_array_equal(repair_swaps(moved).changed[0], BALANCE_VIEW_2)


def test_backwards_in_time_is_the_same() -> None:
    poses = recorded("balance", 60, 1)
    turned = poses.replace(positions=poses.positions[:, ::-1], confidence=poses.confidence[:, ::-1])
    np.testing.assert_array_equal(99 - repair_swaps(turned).changed[0][::-1], BALANCE_VIEW_2)


def test_one_joint_thrown_far_off_does_not_decide(rng: np.random.Generator) -> None:
    poses = walking_poses(80, dims=2, rng=rng, noise=1.0)
    thrown = poses.positions.copy()
    for frame in range(5, 80, 5):
        thrown[0, frame, rng.integers(17)] += 3000
    assert repair_swaps(poses.replace(positions=thrown)).changed[0].size == 0


def test_a_whole_person_who_jumps_is_not_exchanged(rng: np.random.Generator) -> None:
    poses = walking_poses(80, dims=2, rng=rng, noise=1.0)
    jumps = poses.positions.copy()
    jumps[0, 40:] += (400, -100)  # a cut in the video
    assert repair_swaps(poses.replace(positions=jumps)).changed[0].size == 0


def test_gaps_cost_nothing_and_short_ones_are_bridged(rng: np.random.Generator) -> None:
    clean = walking_poses(90, rng=rng, noise=0.005, missing=0.2)
    positions = clean.positions.copy()
    positions[0, 30:38] = np.nan  # 0.27 s; the exchange ends inside
    clean = clean.replace(positions=positions, confidence=clean.confidence * np.isfinite(positions).all(axis=-1))
    frames = [*range(22, 30), 60]
    repaired = repair_swaps(exchange(clean, frames, H36M_17))
    assert repaired.changed[0].tolist() == frames
    assert_same(repaired.poses, clean)


def test_after_a_long_gap_each_piece_has_a_majority_of_its_own(rng: np.random.Generator) -> None:
    clean = walking_poses(120, rng=rng, noise=0.005)
    positions = clean.positions.copy()
    positions[0, 40:60] = np.nan  # 0.67 s
    clean = clean.replace(positions=positions)
    given = exchange(clean, range(60, 120), H36M_17)  # nothing in the motion tells that the second piece is wrong
    assert repair_swaps(given).changed[0].size == 0
    mostly = exchange(given, range(60, 70), H36M_17)
    assert repair_swaps(mostly).changed[0].tolist() == list(range(60, 70))


def test_a_frame_with_few_joints_follows_its_neighbours(rng: np.random.Generator) -> None:
    clean = walking_poses(60, dims=2, rng=rng, noise=1.0)
    positions = clean.positions.copy()
    positions[0, 25, :13] = np.nan  # the left arm is left over, the right arm is thrown somewhere
    positions[0, 25, 14:] = 9.0
    clean = clean.replace(positions=positions)
    repaired = repair_swaps(exchange(clean, range(20, 30), H36M_17))
    assert repaired.changed[0].tolist() == list(range(20, 30))
    assert_same(repaired.poses, clean)


def test_confidence_decides_where_both_halves_are_as_long(rng: np.random.Generator) -> None:
    poses = exchange(walking_poses(60, dims=2, rng=rng, noise=1.0), range(30), H36M_17)
    for sure, expected in ((slice(0, 30), range(30, 60)), (slice(30, 60), range(30))):
        confidence = np.full_like(poses.confidence, 0.6)
        confidence[0, sure] = 0.9
        assert repair_swaps(poses.replace(confidence=confidence)).changed[0].tolist() == list(expected)


def test_times_count_instead_of_frames(rng: np.random.Generator) -> None:
    poses = exchange(walking_poses(60, dims=2, rng=rng, noise=1.0), range(40, 60), H36M_17)
    assert repair_swaps(poses).changed[0].tolist() == list(range(40, 60))
    late = np.arange(60) / 30 + np.where(np.arange(60) < 40, 0, 2)  # two seconds between the frames 39 and 40
    assert repair_swaps(poses.replace(times=late)).changed[0].size == 0


def test_any_names_with_left_and_right_will_do(rng: np.random.Generator) -> None:
    names = ("left_wing", "tail", "right_wing")
    seconds = np.arange(40) / 30
    wings = np.stack([np.cos(seconds), 0 * seconds, -np.cos(seconds)], axis=1)
    positions = np.stack([wings, np.repeat(seconds[:, None], 3, axis=1)], axis=-1)[None]
    positions[:, 8:12] = positions[:, 8:12, [2, 1, 0]]
    poses = PoseSequence(
        positions=positions, joint_names=names, skeleton="custom", fps=30, unit="normalised", frame="image"
    )
    assert repair_swaps(poses).changed[0].tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize("shape", [(0, 5, 17, 2), (2, 0, 17, 2), (1, 1, 17, 3), (1, 2, 17, 3), (2, 9, 17, 2)])
@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_nothing_to_compare_is_left_as_it_is(shape: tuple[int, ...], fill: float) -> None:
    poses = poses_from_arrays(np.full(shape, fill), COCO_17, fps=30, unit="m" if shape[-1] == 3 else "px", frame="root")
    repaired = repair_swaps(poses)
    assert [found.size for found in repaired.changed] == [0] * shape[0]
    assert_same(repaired.poses, poses)
    assert len(repaired.poses.history) == 1


def test_a_skeleton_without_sides_is_left_as_it_is() -> None:
    poses = PoseSequence(
        positions=np.random.default_rng(0).random((1, 20, 2, 2)), joint_names=("a", "b"), skeleton="custom", fps=30,
        unit="px", frame="image",
    )  # fmt: skip
    assert repair_swaps(poses).changed[0].size == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_states_are_the_best_of_all(seed: int) -> None:
    rng, frames = np.random.default_rng(seed), 8
    step, triple = rng.random((2, frames - 1)), rng.random((2, 2, frames - 2))
    penalty = rng.uniform(0, 0.3, frames - 1)

    def cost(states: tuple[int, ...]) -> float:
        changes = [a ^ b for a, b in pairwise(states)]
        total = module.PENALTY * (states[0] + states[-1]) + sum(
            penalty[t] * changed for t, changed in enumerate(changes)
        )
        total += sum(step[changed, t] for t, changed in enumerate(changes))
        return float(total + sum(triple[changes[t], changes[t + 1], t] for t in range(frames - 2)))

    best = min(product((0, 1), repeat=frames), key=cost)
    found = tuple(int(state) for state in module._viterbi(step, triple, penalty))
    assert cost(found) == pytest.approx(cost(best))  # two may be alike: all exchanged, and none


def test_the_side_that_is_hardly_visible_stays_so() -> None:
    """All limbs pass each other, or bounce back, twice: only the confidence says which of the two they did."""
    third = 20
    frames = 3 * third
    away = 80.0 * np.abs(np.sin(np.pi * (np.arange(frames) + 0.5) / third))
    positions = np.zeros((1, frames, COCO_17.num_joints, 2), np.float32)
    sides = {"left": 1.0, "right": -1.0}
    for row, name in enumerate(COCO_17.joint_names):
        positions[0, :, row, 0] = sides.get(name.split("_")[0], 0.0) * away
        positions[0, :, row, 1] = 50 * row // 2
    far = np.array([name.startswith("right_") for name in COCO_17.joint_names])
    bounced = np.ones(positions.shape[:3], np.float32)
    bounced[0, :, far] = 0.05
    passed = bounced.copy()
    passed[0, third : 2 * third] = passed[0, third : 2 * third][:, list(COCO_17.mirrored)]
    for confidence, expected in ((bounced, []), (passed, list(range(third, 2 * third)))):
        poses = PoseSequence(
            positions=positions, confidence=confidence, joint_names=COCO_17.joint_names, skeleton="coco17", fps=30,
            unit="px", frame="image",
        )  # fmt: skip
        assert repair_swaps(poses).changed[0].tolist() == expected
