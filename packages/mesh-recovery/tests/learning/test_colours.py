from __future__ import annotations

import colorsys

import numpy as np

from poseworks.mesh_recovery.learning.colours import Photometric, distort, scale_channels

SAME = {"brightness": 0.0, "contrast": (1.0, 1.0), "saturation": (1.0, 1.0), "hue_deg": 0.0}


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)


def hsv(picture: np.ndarray) -> np.ndarray:
    """(N, 3) by Python's own conversion."""
    return np.array([colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in picture.reshape(-1, 3)])


def changes(**changed: object) -> Photometric:
    return Photometric.model_validate({"probability": 1.0, **SAME, **changed})


def test_channels_are_scaled_each_by_one_number() -> None:
    grey = np.full((6, 6, 3), 100, np.uint8)
    for seed in range(20):
        scaled = scale_channels(grey, 0.4, np.random.default_rng(seed))
        assert (scaled == scaled[0, 0]).all()
        assert scaled.min() >= 60
        assert scaled.max() <= 140
    bright = np.full((2, 2, 3), 250, np.uint8)
    assert max(scale_channels(bright, 0.4, np.random.default_rng(seed)).max() for seed in range(20)) == 255


def test_no_change_is_no_change() -> None:
    assert np.array_equal(distort(image(), changes(), np.random.default_rng(0)), image())
    never = Photometric(probability=0)
    assert np.array_equal(distort(image(), never, np.random.default_rng(0)), image())


def test_saturation_is_that_of_the_hsv_model() -> None:
    pale = distort(image(), changes(saturation=(0.5, 0.5)), np.random.default_rng(0))
    expected = hsv(image()) * (1, 0.5, 1)
    rgb = np.array([colorsys.hsv_to_rgb(*pixel) for pixel in expected]) * 255
    assert np.abs(pale.reshape(-1, 3) - rgb).max() <= 0.51


def test_hue_turns_by_one_angle_and_keeps_the_rest() -> None:
    turned = distort(image(), changes(hue_deg=180.0), np.random.default_rng(1))
    before, after = hsv(image()), hsv(turned)
    vivid = (before[:, 1] > 0.4) & (before[:, 2] > 0.4)
    angles = np.exp(2j * np.pi * (after - before)[vivid, 0])
    assert abs(angles.mean()) > 0.999
    assert abs(np.angle(angles.mean())) > 0.1
    assert np.abs((after - before)[vivid, 1:]).max() < 0.02


def test_brightness_and_contrast() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    assert (distort(grey, changes(contrast=(1.5, 1.5)), np.random.default_rng(0)) == 150).all()
    shifts = [distort(grey, changes(brightness=32.0), np.random.default_rng(seed))[0, 0, 0] for seed in range(30)]
    assert 68 <= min(shifts) < 80
    assert 120 < max(shifts) <= 132
