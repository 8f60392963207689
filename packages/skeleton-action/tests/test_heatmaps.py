"""Both drawings, NumPy's sparse one and torch's dense one, beside the published volumes and beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError, ShapeError, SkeletonError
from poseworks.skeleton_action.drawing import draw_volumes
from poseworks.skeleton_action.geometry import Sample, flip
from poseworks.skeleton_action.heatmaps import paste, patches_of
from poseworks.skeleton_action.layouts import COCO_LAYOUT, JointLayout, Stream

with np.load(Path(__file__).parent / "reference" / "heatmap_edges.npz", allow_pickle=False) as stored:
    EDGES = {name: stored[name] for name in stored.files}
SAMPLE = Sample(EDGES["keypoint"], EDGES["keypoint_score"], (32, 34))
STREAMS: dict[str, Stream] = {"keypoint": "joint", "limb": "limb"}
PAIR = JointLayout(skeleton="custom", joint_names=("left_end", "right_end"), limbs=((0, 1),))
Drawn = NDArray[np.floating[Any]]


def sparse(sample: Sample, layout: JointLayout, stream: Stream, sigma: float = 0.6, epsilon: float = 1e-4) -> Drawn:
    """(T, C, H, W)."""
    frames = sample.keypoints.shape[1]
    volume = np.zeros((1, layout.channels(stream), frames, *sample.size), dtype=np.float32)
    paste(patches_of(sample, layout, stream, sigma, epsilon), volume)
    drawn: Drawn = volume[0].transpose(1, 0, 2, 3)
    return drawn


def dense(sample: Sample, layout: JointLayout, stream: Stream, sigma: float = 0.6, epsilon: float = 1e-4) -> Drawn:
    """(T, C, H, W)."""
    keypoints, scores = (torch.from_numpy(array)[None] for array in (sample.keypoints, sample.scores))
    (drawn,) = draw_volumes(keypoints, scores, sample.size, layout, stream, sigma, epsilon)
    frames: Drawn = drawn.transpose(0, 1).numpy()
    return frames


@pytest.mark.parametrize("draw", [sparse, dense])
@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(("flavour", "epsilon"), [("mm", 1e-4), ("pyskl", 1e-3)])
def test_edges_equal_the_published(draw: Any, name: str, flavour: str, epsilon: float) -> None:
    stream = STREAMS[name]
    expected = EDGES[f"{flavour}.{name}.double"]
    plain = draw(SAMPLE, COCO_LAYOUT, stream, epsilon=epsilon)
    if flavour == "mm":
        mirrored = draw(flip(SAMPLE, COCO_LAYOUT), COCO_LAYOUT, stream, epsilon=epsilon)
    else:
        mirrored = plain[:, COCO_LAYOUT.flip(stream), :, ::-1]
    assert_allclose(np.concatenate([plain, mirrored]), expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("draw", [sparse, dense])
def test_scores_of_one_and_a_wide_sigma_equal_the_published(draw: Any) -> None:
    sure = Sample(SAMPLE.keypoints, np.ones_like(SAMPLE.scores), SAMPLE.size)
    assert_allclose(draw(sure, COCO_LAYOUT, "joint"), EDGES["mm.keypoint.no_score"], rtol=0, atol=5e-6)
    assert_allclose(draw(SAMPLE, COCO_LAYOUT, "limb", sigma=2.0), EDGES["mm.limb.sigma2"], rtol=0, atol=5e-6)


@pytest.mark.parametrize("stream", ["joint", "limb"])
def test_mirrored_windows_are_those_of_the_mirrored_array(stream: Stream) -> None:
    people = patches_of(SAMPLE, COCO_LAYOUT, stream)
    mirrored = np.zeros((1, 17, 2, 32, 34), dtype=np.float32)
    turn = COCO_LAYOUT.flip(stream)
    paste([[patches.mirrored(34, turn) for patches in person] for person in people], mirrored)
    expected = sparse(SAMPLE, COCO_LAYOUT, stream)[:, turn, :, ::-1]
    np.testing.assert_array_equal(mirrored[0].transpose(1, 0, 2, 3), expected)


@settings(deadline=None, max_examples=60)
@given(
    people=st.integers(1, 3), frames=st.integers(1, 4), height=st.integers(1, 40), width=st.integers(1, 40),
    sigma=st.sampled_from([0.3, 0.6, 2.0]), stream=st.sampled_from(["joint", "limb"]), seed=st.integers(0, 999),
)  # fmt: skip
def test_both_drawings_agree_on_anything(
    people: int, frames: int, height: int, width: int, sigma: float, stream: Stream, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    keypoints = rng.normal(scale=30, size=(people, frames, 17, 2)).astype(np.float32) + 16
    keypoints[rng.random(keypoints.shape) < 0.05] = np.nan
    scores = np.clip(rng.normal(0.5, 0.5, (people, frames, 17)), 0, 1).astype(np.float32)
    sample = Sample(keypoints, scores, (height, width))
    drawn = sparse(sample, COCO_LAYOUT, stream, sigma)
    assert np.isfinite(drawn).all()
    # 1e-5: limbs are up to 100 pixels long here.
    assert_allclose(drawn, dense(sample, COCO_LAYOUT, stream, sigma), rtol=0, atol=1e-5)


@pytest.mark.parametrize("draw", [sparse, dense])
def test_a_limb_is_as_bright_along_its_whole_way_as_its_weaker_end(draw: Any) -> None:
    keypoints = np.array([[[[4, 8], [20, 8]]]], dtype=np.float32)
    scores = np.array([[[0.9, 0.5]]], dtype=np.float32)
    drawn = draw(Sample(keypoints, scores, (16, 32)), PAIR, "limb")[0, 0]
    assert_allclose(drawn[8, 4:21], 0.5, rtol=1e-6)
    assert_allclose(drawn[9, 4:21], 0.5 * np.exp(-1 / 0.72), rtol=1e-6)
    assert drawn.sum() == pytest.approx(drawn[6:11, 2:23].sum())  # nothing beyond 1.8 pixels


@pytest.mark.parametrize("draw", [sparse, dense])
def test_of_two_people_the_brighter_is_seen_not_the_sum(draw: Any) -> None:
    keypoints = np.full((2, 1, 2, 2), 8, dtype=np.float32)
    scores = np.array([[[0.3, 0.0]], [[0.7, 0.0]]], dtype=np.float32)
    both = draw(Sample(keypoints, scores, (16, 16)), PAIR, "joint")
    assert both.max() == np.float32(0.7)
    assert_allclose(both, draw(Sample(keypoints[1:], scores[1:], (16, 16)), PAIR, "joint"))


def test_far_away_and_missing_points_are_not_drawn() -> None:
    keypoints = np.array([[[[1e6, 5], [-1e6, 5]], [[np.nan, 5], [5, 5]]]], dtype=np.float32)
    sample = Sample(keypoints, np.ones((1, 2, 2), dtype=np.float32), (16, 16))
    for draw in (sparse, dense):
        joints = draw(sample, PAIR, "joint")
        assert joints[0].max() == joints[1, 0].max() == 0
        assert joints[1, 1].max() == 1
        assert draw(sample, PAIR, "limb")[1].max() == 0


@pytest.mark.parametrize("stream", ["joint", "limb"])
def test_it_stays_on_the_device_of_the_keypoints(stream: Stream) -> None:
    keypoints, scores = torch.zeros(2, 1, 3, 17, 2, device="meta"), torch.zeros(2, 1, 3, 17, device="meta")
    drawn = draw_volumes(keypoints, scores, (8, 10), COCO_LAYOUT, stream)
    assert (drawn.device.type, drawn.shape, drawn.dtype) == ("meta", (2, 17, 3, 8, 10), torch.float32)


def test_what_does_not_fit_is_refused() -> None:
    keypoints, scores = torch.zeros(1, 1, 3, 17, 2), torch.zeros(1, 1, 3, 17)
    with pytest.raises(ShapeError, match=r"keypoints: expected \(B, M>=1, T, V=17, C=2\), got \(1, 1, 3, 5, 2\)"):
        draw_volumes(keypoints[..., :5, :], scores, (8, 8), COCO_LAYOUT, "joint")
    with pytest.raises(ShapeError, match=r"M>=1.*got \(1, 0, 3, 17, 2\)"):
        draw_volumes(keypoints[:, :0], scores[:, :0], (8, 8), COCO_LAYOUT, "joint")
    with pytest.raises(ShapeError, match=r"scores: expected \(1, 1, 3, 17\) as the keypoints, got \(1, 1, 2, 17\)"):
        draw_volumes(keypoints, scores[:, :, :2], (8, 8), COCO_LAYOUT, "joint")
    with pytest.raises(ConfigError, match="stream: expected 'joint' or 'limb', got 'bone'"):
        draw_volumes(keypoints, scores, (8, 8), COCO_LAYOUT, "bone")  # type: ignore[arg-type]
    sample = Sample(np.zeros((1, 3, 5, 2), dtype=np.float32), np.zeros((1, 3, 5), dtype=np.float32), (8, 8))
    with pytest.raises(SkeletonError, match=r"keypoints: expected 17 joints \(coco17\), got 5\. Convert"):
        patches_of(sample, COCO_LAYOUT, "joint")
    with pytest.raises(ConfigError, match="stream: expected 'joint' or 'limb', got 'bone'"):
        patches_of(SAMPLE, COCO_LAYOUT, "bone")  # type: ignore[arg-type]
