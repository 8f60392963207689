"""Varied motion: what a variation may change, and what it must not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.skeletons import H36M_17
from poseworks.core.training.keypoint_noise import KeypointNoise, add_noise
from poseworks.lifting.flipping import flip
from poseworks.lifting.learning.motion import MotionPool, MotionSampling, Recordings

STILL = MotionSampling(
    second_share=0, exchange_limb=0, exchange_body=0, swing_share=0, lean_share=0, fall_share=0, bone_spread=0,
    size_spread=0,
)  # fmt: skip


def clips(seed: int, lengths: tuple[int, ...] = (40, 25, 6)) -> Recordings:
    generator = np.random.default_rng(seed)
    return Recordings.of([generator.normal(size=(n, 17, 3)).astype(np.float32) for n in lengths])


def bodies(seed: int, frames: int) -> Tensor:
    """(T, 17, 3) people whose bones, all 0.3 m long, point anywhere."""
    bones = torch.randn(frames, 17, 3, generator=torch.Generator().manual_seed(seed))
    bones = 0.3 * torch.nn.functional.normalize(bones, dim=-1)
    person = torch.zeros(frames, 17, 3)
    for joint, parent in enumerate(H36M_17.parents):
        if parent >= 0:
            person[:, joint] = person[:, parent] + bones[:, joint]
    return person


def nearest(pieces: Tensor, known: Tensor) -> Tensor:
    """Distance of each piece to the nearest known one."""
    mode = "donot_use_mm_for_euclid_dist"  # the other way loses digits
    return torch.cdist(pieces.flatten(1), known.flatten(1), compute_mode=mode).amin(dim=1)


def bone_lengths(pieces: Tensor) -> Tensor:
    bones = [(joint, parent) for joint, parent in enumerate(H36M_17.parents) if parent >= 0]
    return torch.stack([(pieces[:, :, a] - pieces[:, :, b]).norm(dim=-1) for a, b in bones], dim=-1)


def test_without_variation_pieces_are_the_recordings_or_their_mirror_image() -> None:
    recordings = clips(0, (40,))
    pieces = MotionPool(STILL, recordings).draw(50, 8, torch.Generator().manual_seed(0))
    windows = recordings.positions.unfold(0, 8, 1).permute(0, 3, 1, 2)
    both = torch.cat([windows, flip(windows)])
    assert nearest(pieces, both).max() < 1e-4
    assert_close(flip(flip(windows)), windows)


def test_a_short_recording_stands_still_at_its_end() -> None:
    recordings = clips(1, (6,))
    pieces = recordings.draw(5, 10, torch.Generator().manual_seed(0))
    assert_close(pieces[:, :6], recordings.positions.expand(5, 6, 17, 3))
    assert_close(pieces[:, 6:], recordings.positions[5].expand(5, 4, 17, 3))


def test_no_piece_reaches_into_the_next_recording() -> None:
    positions = [np.full((n, 17, 3), k, dtype=np.float32) for k, n in enumerate((12, 9, 30))]
    pieces = Recordings.of(positions).draw(300, 9, torch.Generator().manual_seed(0))
    assert_close(pieces.amin(dim=(1, 2, 3)), pieces.amax(dim=(1, 2, 3)))


@pytest.mark.parametrize("name", ["exchange_limb", "swing_share", "lean_share", "fall_share"])
def test_a_variation_changes_poses_and_keeps_bones(name: str) -> None:
    person = bodies(5, 60)
    sampling = STILL.model_copy(update={name: 1.0})
    pieces = MotionPool(sampling, Recordings.of([person.numpy()])).draw(50, 1, torch.Generator().manual_seed(1))
    assert_close(bone_lengths(pieces), torch.full((50, 1, 16), 0.3))
    known = person[:, None]
    assert nearest(pieces, torch.cat([known, flip(known)])).median() > 0.1


def test_an_exchanged_body_keeps_its_legs_and_takes_the_rest() -> None:
    first, second = clips(3, (20,)), clips(4, (20,))
    sampling = STILL.model_copy(update={"exchange_body": 1.0, "second_share": 0.5})
    pieces = MotionPool(sampling, first, second).draw(40, 20, torch.Generator().manual_seed(2))
    arms = bone_lengths(pieces)[:, :, -6:].sum(dim=(1, 2))
    legs = bone_lengths(pieces)[:, :, :6].sum(dim=(1, 2))
    mixed = {(round(float(a), 1), round(float(b), 1)) for a, b in zip(arms, legs, strict=True)}
    assert len({a for a, _ in mixed}) >= 2
    assert len(mixed) > 2  # both halves of both recordings meet


def test_bones_vary_left_and_right_alike() -> None:
    person = torch.zeros(1, 17, 3)
    for joint, parent in enumerate(H36M_17.parents):
        if parent >= 0:
            person[:, joint] = person[:, parent] + torch.tensor([0.0, 0.1 if parent else 0.0, 0.3])
    recordings = Recordings.of([person.numpy()])
    sampling = STILL.model_copy(update={"bone_spread": 0.1})
    lengths = bone_lengths(MotionPool(sampling, recordings).draw(200, 1, torch.Generator().manual_seed(3)))[:, 0]
    names = [H36M_17.joint_names[joint] for joint, parent in enumerate(H36M_17.parents) if parent >= 0]
    left, right = names.index("left_knee"), names.index("right_knee")
    assert_close(lengths[:, left], lengths[:, right])
    assert abs(float(lengths[:, left].log().std()) - 0.1) < 0.02


def test_clean_keypoints_stay_and_noise_has_its_size() -> None:
    generator = torch.Generator().manual_seed(0)
    slopes = torch.rand(400, 9, 17, 2, generator=generator)
    clean = KeypointNoise(clean_share=1, converted_share=0, missing_share=0)
    same, observed = add_noise(slopes, clean, generator)
    assert_close(same, slopes, rtol=0, atol=0)
    assert observed.all()

    white = KeypointNoise(
        clean_share=0, spread=(0.01, 0.01), correlated_share=0, thrown_share=0, offset=0, converted_share=0,
        missing_share=0,
    )  # fmt: skip
    box = (slopes.amax(dim=2) - slopes.amin(dim=2)).amax(dim=-1)[..., None, None]
    error = (add_noise(slopes, white, generator)[0] - slopes) / box
    assert_close(error.std(), torch.tensor(0.01), rtol=0.02, atol=0)
    lasting = white.model_copy(update={"correlated_share": 1.0})
    error = (add_noise(slopes, lasting, generator)[0] - slopes) / box
    assert_close(error.std(), torch.tensor(0.01), rtol=0.03, atol=0)
    ratio = (error[:, 1:] * error[:, :-1]).mean() / error.square().mean()
    assert_close(ratio, torch.tensor(0.8), atol=0.03, rtol=0)


def test_thrown_missing_and_converted_keypoints_come_as_often_as_asked() -> None:
    generator = torch.Generator().manual_seed(1)
    slopes = torch.rand(2000, 2, 17, 2, generator=generator)
    quiet = KeypointNoise(
        clean_share=0, spread=(0, 0), thrown_share=0, offset=0, converted_share=0, converted_offset=0, missing_share=0
    )
    thrown = quiet.model_copy(update={"thrown_share": 0.02, "thrown_varies": False})
    moved = (add_noise(slopes, thrown, generator)[0] != slopes).any(dim=-1)
    assert_close(moved.float().mean(), torch.tensor(0.02), atol=0.003, rtol=0)
    missing = quiet.model_copy(update={"missing_share": 1.0})
    observed = add_noise(slopes, missing, generator)[1]
    assert_close((~observed).float().mean(), torch.tensor(0.15), atol=0.01, rtol=0)
    assert observed.any(dim=-1).all()
    converted = add_noise(slopes, quiet.model_copy(update={"converted_share": 1.0}), generator)[0]
    shoulders = slopes[:, :, H36M_17.indices(["left_shoulder", "right_shoulder"])].mean(dim=2)
    assert_close(converted[:, :, H36M_17.index("thorax")], shoulders)
