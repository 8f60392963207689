"""Whole pipelines: every stage and volume of the published code, and what bad input comes to."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from poseworks.core.errors import ConfigError, DataError, ShapeError, SkeletonError
from poseworks.core.testing import ReferenceCase, reference_cases
from poseworks.skeleton_action import COCO_LAYOUT, Annotation, Preparation, sample_frames, volumes
from poseworks.skeleton_action.annotation import as_annotation
from poseworks.skeleton_action.geometry import Sample, compact, compact_box, take_frames
from poseworks.skeleton_action.layouts import JointLayout, Stream

REFERENCE = Path(__file__).parent / "reference"
PIPELINES = reference_cases(REFERENCE, "pipeline_*")
TESTS = [case for case in PIPELINES if case.manifest["mode"] == "test"]
TRAININGS = [case for case in PIPELINES if case.manifest["mode"] == "train"]
ANNOTATIONS = reference_cases(REFERENCE, "annotations")[0].arrays


def published(name: str) -> dict[str, Any]:
    """The dict that the published code reads."""
    parts = {key.removeprefix(f"{name}."): array for key, array in ANNOTATIONS.items() if key.startswith(f"{name}.")}
    shape = tuple(parts.pop("img_shape").tolist())
    frames = parts["keypoint"].shape[1]
    return {"frame_dir": name, "label": 0, "img_shape": shape, "original_shape": shape, "total_frames": frames, **parts}


def stream_of(case: ReferenceCase) -> Stream:
    return "joint" if case.manifest["stream"] == "keypoint" else "limb"


def preparation_of(case: ReferenceCase) -> Preparation:
    return Preparation(stream=stream_of(case), flavour=case.manifest["flavour"])


def assert_volume(found: np.ndarray[Any, Any], case: ReferenceCase) -> None:
    """The slice as such; sums within what 5e-6 a voxel amounts to over the voxels that are not zero."""
    expected = {name.removeprefix("volume."): array for name, array in case.arrays.items() if "volume." in name}
    assert found.shape == tuple(expected["shape"])
    assert found.dtype == np.float32
    assert_allclose(found[:, ::4, ::16], expected["slice"], rtol=0, atol=5e-6)
    values = found.astype(np.float64)
    rows, columns = np.arange(found.shape[3])[:, None], np.arange(found.shape[4])
    assert_allclose(values.max(axis=(2, 3, 4)), expected["max_nc"], rtol=0, atol=5e-6)
    sums = {"sum_nc": values, "sumsq_nc": values**2, "sumx_nc": values * columns, "sumy_nc": values * rows}
    for name, terms in sums.items():
        assert_allclose(terms.sum(axis=(2, 3, 4)), expected[name], rtol=2e-6, atol=1e-3)
    assert_allclose(values.sum(axis=(1, 3, 4)), expected["sum_nt"], rtol=2e-6, atol=1e-3)


@pytest.mark.parametrize("case", TESTS, ids=lambda case: case.name)
def test_volumes_for_testing_equal_the_published(case: ReferenceCase) -> None:
    manifest = case.manifest
    annotation = published(manifest["annotation"])
    found = volumes.test_volumes(
        annotation, stream_of(case), manifest["num_clips"], manifest["double"], manifest["flavour"]
    )
    assert_volume(found, case)


@pytest.mark.parametrize("case", TESTS, ids=lambda case: case.name)
def test_stages_of_testing_equal_the_published(case: ReferenceCase) -> None:
    preparation, clips = preparation_of(case), case.manifest["num_clips"]
    annotation = as_annotation(published(case.manifest["annotation"]))
    indices = sample_frames(annotation.num_frames, 48, clips, preparation.flavour)
    assert_array_equal(indices, case.arrays["frame_inds"])
    assert_compacted(take_frames(annotation, indices), case)
    ready = volumes.sample_to_test(annotation, preparation, clips)
    assert_allclose(ready.keypoints, case.arrays["crop.keypoint"], rtol=0, atol=1e-5)
    assert ready.size == (64, 64)


def assert_compacted(sample: Sample, case: ReferenceCase) -> None:
    small = compact(sample, compact_box(sample))
    assert small.size == tuple(case.arrays["compact.img_shape"])
    assert_allclose(small.region, case.arrays["compact.crop_quadruple"], rtol=0, atol=1e-12)
    assert_allclose(small.keypoints, case.arrays["compact.keypoint"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", TRAININGS, ids=lambda case: case.name)
def test_training_equals_the_published(case: ReferenceCase) -> None:
    seed, preparation = case.manifest["seed"], preparation_of(case)
    annotation = as_annotation(published(case.manifest["annotation"]))
    frames = sample_frames(annotation.num_frames, test=False, rng=np.random.RandomState(seed))
    assert_array_equal(frames, case.arrays["frame_inds"])
    assert_compacted(take_frames(annotation, frames), case)
    sample = volumes.sample_to_train(annotation, preparation, np.random.RandomState(seed), random.Random(seed))
    assert_allclose(sample.keypoints, case.arrays["flip.keypoint"], rtol=0, atol=1e-5)
    assert_array_equal(sample.scores, case.arrays["flip.keypoint_score"])
    assert sample.size == (56, 56)
    assert_volume(volumes.draw_views(sample, preparation), case)


@pytest.mark.parametrize("stream", ["joint", "limb"])
def test_mirrored_volumes_of_the_two_lines_lie_one_pixel_apart(stream: Stream) -> None:
    rng = np.random.default_rng(0)
    inside = rng.uniform(10, 54, (1, 8, 17, 2)).astype(np.float32)
    sample = Sample(inside, np.ones((1, 8, 17), dtype=np.float32), (64, 64))
    drawn, turned = (
        volumes.draw_views(sample, Preparation(stream=stream, flavour=flavour), mirror=True)
        for flavour in ("mmaction", "pyskl")
    )
    assert_array_equal(drawn[0], turned[0])
    assert_array_equal(turned[1], turned[0][COCO_LAYOUT.flip(stream)][..., ::-1])
    # Windows reach a little further to the left than to the right: what is cut off differs, up to exp(-1.8^2 / 0.72).
    assert_allclose(drawn[1][..., 1:], turned[1][..., :-1], rtol=0, atol=0.0112)


def test_pyskl_trains_as_mmaction_after_one_draw_more() -> None:
    annotation, rng = published("ann_d"), np.random.RandomState(0)
    rng.random()
    expected = volumes.sample_to_train(annotation, Preparation(), rng, random.Random(0))
    pyskl = Preparation(flavour="pyskl")
    found = volumes.sample_to_train(annotation, pyskl, np.random.RandomState(0), random.Random(0))
    assert_array_equal(found.keypoints, expected.keypoints)


def test_any_joint_set_is_data() -> None:
    hand = JointLayout(skeleton="custom", joint_names=("wrist", "left_tip", "right_tip"), limbs=((0, 1), (0, 2)))
    keypoints = np.zeros((1, 5, 3, 2), dtype=np.float32)
    keypoints[:] = [[100, 100], [50, 40], [150, 40]]
    annotation = Annotation(identifier="hand", keypoints=keypoints, image_shape=(200, 200))
    limbs = volumes.test_volumes(annotation, "limb", 1, True, "pyskl", layout=hand, clip_len=6, size=32)
    assert limbs.shape == (2, 2, 6, 32, 32)
    assert_array_equal(limbs[1], limbs[0][::-1, ..., ::-1])
    assert limbs.max() > 0.9


def test_a_buffer_is_used_again_and_what_it_held_is_gone() -> None:
    one, other = published("ann_a"), published("ann_b")
    out = np.full((2, 17, 48, 64, 64), 7, dtype=np.float32)
    assert volumes.test_volumes(one, "limb", 1, out=out) is out
    assert_array_equal(volumes.test_volumes(other, num_clips=1, out=out), volumes.test_volumes(other, num_clips=1))
    with pytest.raises(ShapeError, match=r"out: expected float32 \(2, 17, 48, 64, 64\), contiguous; got float64"):
        volumes.test_volumes(one, num_clips=1, out=out.astype(np.float64))
    with pytest.raises(ShapeError, match="contiguous"):
        volumes.test_volumes(one, num_clips=1, out=np.asfortranarray(out))


def test_more_people_take_no_more_memory_for_volumes() -> None:
    crowd = {**published("ann_d")}
    crowd["keypoint"] = np.repeat(crowd["keypoint"], 200, axis=0)
    crowd["keypoint_score"] = np.repeat(crowd["keypoint_score"], 200, axis=0)
    assert_array_equal(volumes.test_volumes(crowd, num_clips=1), volumes.test_volumes(published("ann_d"), num_clips=1))


def test_people_who_are_not_there_leave_the_volume_empty() -> None:
    absent = {**published("ann_d")}
    absent["keypoint"], absent["keypoint_score"] = 0 * absent["keypoint"], 0 * absent["keypoint_score"]
    assert volumes.test_volumes(absent, num_clips=1).max() == 0


def test_bad_input_is_refused() -> None:
    good = published("ann_a")
    with pytest.raises(DataError, match=r"'ann_a': nobody is in it \(0 people\)"):
        volumes.test_volumes({**good, "keypoint": good["keypoint"][:0], "keypoint_score": good["keypoint_score"][:0]})
    with pytest.raises(SkeletonError, match=r"'ann_a': expected 17 joints \(coco17\), got 13\. Convert the poses"):
        volumes.test_volumes({**good, "keypoint": good["keypoint"][:, :, :13], "keypoint_score": None})
    overflown = good["keypoint"].astype(np.float32) * 1000
    with pytest.raises(DataError, match=r"infinite values; float16 ends at 65504"), np.errstate(over="ignore"):
        volumes.test_volumes({**good, "keypoint": overflown.astype(np.float16)})
    with pytest.raises(DataError, match=r"keypoints: expected \(M, T, V, 2\), got \(60, 17, 2\)"):
        volumes.test_volumes({**good, "keypoint": good["keypoint"][0]})
    with pytest.raises(ConfigError, match=r"test_volumes: stream: .*'joint' or 'limb'"):
        volumes.test_volumes(good, "bone")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"test_volumes: size: .*greater than 0"):
        volumes.test_volumes(good, size=0)
    with pytest.raises(ConfigError, match="num_clips: expected 1 or more of each"):
        volumes.test_volumes(good, num_clips=0)


def test_width_and_height_exchanged_are_noticed() -> None:
    keypoints = np.full((1, 5, 17, 2), (1500, 400), dtype=np.float32)
    right = Annotation(identifier="clip", keypoints=keypoints, image_shape=(1080, 1920))
    volumes.checked_annotation(right, COCO_LAYOUT)
    with pytest.raises(
        DataError, match=r"'clip': most keypoints lie outside of an image of height 1920 and width 1080"
    ):
        volumes.checked_annotation(replace(right, image_shape=(1920, 1080)), COCO_LAYOUT)
