"""Pixels scaled for the networks, against the published readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.formats import read_poses
from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import COCO_17, H36M_17, convert
from poseworks.core.testing import seeded_input
from poseworks.lifting.h36m import denormalize, normalize, split_clips

REFERENCE = Path(__file__).parent / "reference"
SIZES = np.array([[1000, 1002], [1000, 1000], [1000, 1000], [1000, 1002]])  # of the four cameras, in the vectors' order


def stored(name: str) -> dict[str, np.ndarray]:
    with np.load(REFERENCE / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def test_inputs_and_labels_equal_the_published_reader() -> None:
    arrays = stored("lcn_protocol")
    items = len(arrays["test_labels"])
    width, height = (SIZES[np.arange(items) % 4, axis] for axis in (0, 1))
    joints = arrays["test_joint_3d_image"]
    labels = normalize(joints, width, height)
    np.testing.assert_allclose(labels.reshape(items, 51), arrays["test_labels"], rtol=1e-6, atol=1e-12)
    inputs = normalize(joints[..., :2], width, height)
    np.testing.assert_allclose(inputs.reshape(items, 34), arrays["test_2d_gt"], rtol=1e-6, atol=1e-12)
    pixels = denormalize(arrays["prediction"].reshape(items, 17, 3), width, height)
    np.testing.assert_allclose(pixels, arrays["denormalised"], rtol=1e-6)


def test_predictions_of_clips_equal_the_published_ones() -> None:
    arrays = stored("protocol_expected")
    size = np.array([_size(clip, arrays) for clip in range(5)])
    found = denormalize(arrays["prediction"], size[:, 0], size[:, 1])
    np.testing.assert_allclose(found, arrays["denormalised"], rtol=1e-5, atol=1e-3)


def _size(clip: int, arrays: dict[str, np.ndarray]) -> tuple[int, int]:
    """The image that explains a clip's first point: cameras differ in height alone, by two pixels."""
    y, pixels = arrays["prediction"][clip, 0, 0, 1], arrays["denormalised"][clip, 0, 0, 1]
    return min(((1000, h) for h in (1000, 1002)), key=lambda size: abs((y + size[1] / 1000) * 500 - pixels))


def test_the_in_the_wild_code_scales_otherwise() -> None:
    """It halves the shorter side, and centres on the image: for landscape video larger numbers than in training."""
    arrays = stored("wild_expected")
    ours = normalize(arrays["halpe_to_h36m"][..., :2], 1280, 720)
    np.testing.assert_allclose(ours * 1280 / 720, arrays["pixel_normalised"][..., :2], atol=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_there_and_back(dims: int) -> None:
    points = torch.rand(2, 5, 17, dims, generator=torch.Generator().manual_seed(0)) * 900
    back = denormalize(normalize(points, 1280, 720), 1280, 720)
    torch.testing.assert_close(back, points, atol=1e-3, rtol=1e-5)
    array = normalize(points.numpy(), 1280, 720)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, normalize(points, 1280, 720).numpy(), rtol=1e-6, atol=1e-6)


def test_the_corners_of_the_image() -> None:
    corners = np.array([[0.0, 0.0, 0.0], [1280.0, 720.0, 640.0]])
    np.testing.assert_allclose(normalize(corners, 1280, 720), [[-1, -0.5625, 0], [1, 0.5625, 1]])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="x, y or x, y, z"):
        normalize(np.zeros((17, 4)), 100, 100)
    with pytest.raises(ShapeError, match=r"at most the first 1 axes of the points, got \(2, 2\)"):
        normalize(np.zeros((17, 2)), np.ones((2, 2)), 100)
    for width, height in ((0, 100), (100, -1)):
        with pytest.raises(DataError, match="width first"):
            denormalize(np.zeros((17, 2)), width, height)


# --- clips ------------------------------------------------------------------------------------------------------------


def test_clips_are_those_of_the_published_reader() -> None:
    source, expected = stored("protocol_source"), stored("protocol_expected")
    random = np.random.RandomState(0)  # one stream: the training split first
    train = split_clips(source["train/source"][::2], 27, 9, random)
    test = split_clips(source["test/source"][::2].tolist(), 27, 27, random)
    np.testing.assert_array_equal(train, expected["split_train"])
    np.testing.assert_array_equal(test, expected["split_test"])


def test_without_a_generator_numpys_global_one_is_drawn_from_as_published() -> None:
    source, expected = stored("protocol_source"), stored("protocol_expected")
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(0)  # noqa: NPY002
        clips = [
            split_clips(source[f"{split}/source"][::2], 27, stride) for split, stride in (("train", 9), ("test", 27))
        ]
    finally:
        np.random.set_state(state)  # noqa: NPY002
    np.testing.assert_array_equal(clips[1], expected["split_test"])


def test_clips_start_every_stride_and_tails_are_dropped() -> None:
    names = ["a"] * 10 + ["b"] * 7
    assert split_clips(names, 4, 3)[:, 0].tolist() == [0, 3, 6, 10, 13]
    assert split_clips(names, 4, 9)[:, 0].tolist() == [0, 10]  # a stride longer than a clip leaves frames out
    clips = split_clips(names, 4, 3)
    np.testing.assert_array_equal(np.diff(clips, axis=1), 1)


def test_a_short_recording_is_stretched_unless_it_is_the_last() -> None:
    clips = split_clips(["a"] * 242 + ["b"] * 243 + ["c"] * 100, 243, 243, np.random.RandomState(3))
    assert clips.shape == (2, 243)
    assert clips[0].min() == 0
    assert clips[0].max() == 241
    assert (np.diff(clips[0]) >= 0).all()
    np.testing.assert_array_equal(clips[1], np.arange(242, 485))
    again = split_clips(["a"] * 242 + ["b"] * 243, 243, 243, np.random.RandomState(3))
    np.testing.assert_array_equal(clips, again)


def _walked(names: list[int], n: int, stride: int, random: np.random.RandomState) -> list[list[int]]:
    """The published rule word for word: frame by frame, with a start that moves."""
    clips, start, cut = [], 0, set()
    for frame in range(1, len(names) + 1):
        if frame - start == n:
            clips.append(list(range(start, frame)))
            cut.add(names[frame - 1])
            start += stride
        if frame < len(names) and names[frame] != names[frame - 1]:
            if names[frame - 1] not in cut:
                length = frame - start
                even = np.linspace(0, length, num=n, endpoint=False)
                coin = random.randint(2, size=n)
                mixed = np.sort(coin * np.floor(even) + (1 - coin) * np.ceil(even))
                clips.append((np.clip(mixed, 0, length - 1).astype(int) + start).tolist())
                cut.add(names[frame - 1])
            start = frame
    return clips


@pytest.mark.parametrize("seed", range(30))
def test_clips_are_those_of_the_published_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, stride = int(rng.integers(1, 9)), int(rng.integers(1, 14))
    lengths = rng.integers(1, 25, size=rng.integers(1, 8))
    names = np.repeat(rng.integers(0, 5, size=len(lengths)), lengths).tolist()
    found = split_clips(names, n, stride, np.random.RandomState(seed)).tolist()
    assert found == _walked(names, n, stride, np.random.RandomState(seed))


def test_a_recording_that_comes_twice_is_stretched_once() -> None:
    names = ["a"] * 2 + ["b"] * 4 + ["a"] * 2 + ["b"] * 4
    assert len(split_clips(names, 4, 4, np.random.RandomState(0))) == 3


def test_no_frames_no_clips() -> None:
    assert split_clips([], 27, 9).shape == (0, 27)
    with pytest.raises(ConfigError, match="at least 1, got 0 and 9"):
        split_clips(["a"], 0, 9)
    with pytest.raises(ShapeError, match="recording of each frame"):
        split_clips(np.zeros((3, 2)), 2, 1)


# --- the original flow in the wild ------------------------------------------------------------------------------------

# Joints that the original takes from elsewhere: 9 is its nose, 10 lies between the eyes, and 7 in the middle of others.
SAME = [joint for joint in range(17) if joint not in (7, 9, 10)]


def test_halpe_of_one_person_becomes_h36m_as_in_the_original_but_for_the_head() -> None:
    arrays = stored("wild_expected")
    poses = convert(read_poses(REFERENCE / "wild_alphapose.json", fps=25, image_size="1280x720", person=1), H36M_17)
    seen = poses.observed[0].all(axis=1)
    ours = (poses.positions[0, seen] - np.float32([640, 360])) / 360
    np.testing.assert_allclose(ours[:, SAME], arrays["pixel_normalised_person1"][:, SAME, :2], atol=1e-5)


def test_coco_becomes_h36m_as_in_the_original_but_for_the_head() -> None:
    arrays = stored("wild_expected")
    coco = seeded_input("wild/coco17", (11, 17, 3), 150) + np.float32([640, 360, 0])
    poses = PoseSequence(
        positions=coco[None, ..., :2], joint_names=COCO_17.joint_names, skeleton="coco17", fps=25, unit="px",
        frame="image", image_size=(1280, 720),
    )  # fmt: skip
    ours = convert(poses, H36M_17).positions[0]
    np.testing.assert_allclose(ours[:, SAME], arrays["coco_to_h36m"][:, SAME, :2], rtol=1e-5, atol=1e-3)


def test_the_originals_other_input_forms_are_the_same_pixels_scaled_and_padded() -> None:
    arrays = stored("wild_expected")
    pixels, boxed, padded = (arrays[key] for key in ("halpe_to_h36m", "box_normalised", "clip_padded_to_27"))
    seen = pixels[pixels[..., 2] != 0][:, :2]
    low, side = seen.min(axis=0), (seen.max(axis=0) - seen.min(axis=0)).max()
    middle = (seen.max(axis=0) + low) / 2
    np.testing.assert_allclose(boxed[..., :2], (pixels[..., :2] - middle) / (side / 2), atol=1e-5)
    expected = np.pad(arrays["pixel_normalised"], ((0, 16), (0, 0), (0, 0)), "edge")
    np.testing.assert_allclose(padded, expected, atol=1e-6)
