"""A person as a moving skeleton: axes and units, and what may be shown on which body."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.core.body_models import SMPL, load_body
from poseworks.core.body_models.rigs import Axes, moved_to, rig
from poseworks.core.errors import ConfigError
from poseworks.core.testing_bodies import random_motion, synthetic_body


@pytest.fixture(scope="module")
def free() -> SMPL:
    return load_body("free")


def test_axes_are_rotations_that_lead_up_and_forward_where_they_say() -> None:
    up, forward = np.array([0, 1, 0]), np.array([0, 0, 1])
    np.testing.assert_array_equal(Axes("z").from_rest @ up, [0, 0, 1])
    np.testing.assert_array_equal(Axes("z").from_rest @ forward, [0, -1, 0])
    np.testing.assert_array_equal(Axes("y").from_frame("camera") @ [0, -1, 0], up)
    np.testing.assert_array_equal(Axes("z").from_frame("camera") @ [0, -1, 0], [0, 0, 1])
    for axes in (Axes("y"), Axes("z")):
        for matrix in (axes.from_rest, axes.from_frame("camera"), axes.from_frame("world")):
            assert np.linalg.det(matrix) == pytest.approx(1)
    assert [Axes(unit=unit).per_metre for unit in ("m", "cm", "mm")] == pytest.approx([1, 100, 1000])


def test_offsets_lead_from_parent_to_joint(free: SMPL) -> None:
    person = rig(random_motion(), free, 0, Axes("z", "cm"))
    for joint, parent in enumerate(person.parents):
        start = person.rest[parent] if parent >= 0 else 0
        np.testing.assert_allclose(start + person.offsets[joint], person.rest[joint])
    assert person.children(9) == [12, 13, 14]
    assert np.ptp(person.vertices[:, 2]) == pytest.approx(np.ptp(person.vertices, axis=0).max(), rel=0.2)  # stature


def test_smpls_rotations_are_shown_on_the_free_body_without_their_shape(free: SMPL) -> None:
    motion = random_motion().replace(body="smpl", gender="male", betas=np.ones((1, 16), np.float32))
    shown, notes = moved_to(motion, free)
    np.testing.assert_array_equal(shown.pose, motion.pose)
    assert (shown.body, shown.gender, shown.betas.shape, shown.betas.any()) == ("free", "neutral", (1, 10), np.False_)
    assert notes == ("shown on the free body: rotations and places hold, shapes are its mean one",)
    assert shown.history[-1]["settings"] == {"from_body": "smpl", "to_body": "free"}
    assert moved_to(shown, free) == (shown, ())
    with pytest.raises(ConfigError, match="of the free body, got smpl"):
        moved_to(shown, SMPL(synthetic_body()))
