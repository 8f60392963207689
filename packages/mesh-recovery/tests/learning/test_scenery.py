from __future__ import annotations

import numpy as np

from poseworks.core.body_models.free import free_body
from poseworks.mesh_recovery.learning.scenery import (
    Wardrobe,
    any_background,
    any_light,
    as_by_a_camera,
    clouds,
    fabric,
    part_of,
)


def test_clothes_lie_where_clothes_lie() -> None:
    body = free_body()
    wardrobe = Wardrobe(body.v_template.astype(np.float64), body.weights)
    x, y, _ = body.v_template.T
    dressed = [wardrobe.dress(np.random.default_rng(seed)) for seed in range(12)]
    face = body.extra_vertices[0]  # the nose
    hands = np.abs(x) > 0.8
    for colors in dressed:
        assert colors.shape == body.v_template.shape
        assert colors.min() >= 0
        assert colors.max() <= 1
        assert (colors[hands] == colors[face]).all()  # of the skin
    chest = (np.abs(x) < 0.1) & (np.abs(y) < 0.1)
    assert np.std([colors[chest].mean(axis=0) for colors in dressed], axis=0).min() > 0.1


def test_fabrics_are_of_one_or_two_colours() -> None:
    places = np.random.default_rng(0).uniform(-1, 1, (500, 3))
    counts = {len(np.unique(fabric(places, np.random.default_rng(seed)), axis=0)) for seed in range(30)}
    assert counts == {1, 2}


def test_backgrounds_and_light_differ() -> None:
    pictures = np.stack([any_background(24, np.random.default_rng(seed)) for seed in range(10)])
    assert pictures.dtype == np.uint8
    assert pictures.std(axis=0).mean() > 30
    lights = [any_light(np.random.default_rng(seed)) for seed in range(50)]
    assert all(light.ambient + light.diffuse <= 1.25 for light in lights)
    directions = np.array([light.direction for light in lights])
    assert np.allclose(np.linalg.norm(directions, axis=1), 1)
    assert (directions[:, 1] < 0.25).all()  # hardly ever from below: y points down
    assert directions[:, 2].min() < -0.5  # from the camera's side
    assert directions[:, 2].max() > 0.5  # and from behind


def test_clouds_have_coarse_grain() -> None:
    noise = clouds(64, np.random.default_rng(0))
    near = np.corrcoef(noise[:, :-1, 0].ravel(), noise[:, 1:, 0].ravel())[0, 1]
    far = np.corrcoef(noise[:, :-30, 0].ravel(), noise[:, 30:, 0].ravel())[0, 1]
    assert near > 0.8 > far


def test_a_part_of_a_photo_is_a_square_of_it() -> None:
    across = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (120, 200, 3))
    for seed in range(5):
        part = part_of(across, 50, np.random.default_rng(seed))
        assert part.shape == (50, 50, 3)
        steps = np.diff(part[25, 5:45, 0].astype(float))
        assert 0.4 * 120 / 50 - 0.2 < steps.mean() < 120 / 50 + 0.2  # 40 to 100 % of the shorter side


def test_a_camera_blurs_and_adds_noise() -> None:
    half = np.zeros((32, 32, 3), np.uint8)
    half[:, 16:] = 200
    taken = [as_by_a_camera(half, np.random.default_rng(seed)) for seed in range(12)]
    assert all(picture.shape == half.shape for picture in taken)
    edges = [picture[:, 16].astype(float).mean() - picture[:, 15].astype(float).mean() for picture in taken]
    assert min(edges) < 0.75 * max(edges)
