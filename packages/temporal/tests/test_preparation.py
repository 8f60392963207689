"""What weights expect, and the way there and back."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from poseworks.core import COCO_17, H36M_17, PoseSequence, poses_from_arrays
from poseworks.core.body_size import person_size
from poseworks.core.errors import DataError, SkeletonError
from poseworks.core.testing import walking_poses
from poseworks.temporal.preparation import Preparation, default_preparation, root_rows, scaling


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def flat(rng: np.random.Generator, **fields: object) -> PoseSequence:
    return poses_from_arrays(rng.uniform(0, 1, (5, 17, 2)), COCO_17, **{"fps": 30, "frame": "image", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(("unit", "factor"), [("m", 1.0), ("mm", 1e-3)])
def test_metres_and_millimetres_reach_metres_and_return(rng: np.random.Generator, unit: str, factor: float) -> None:
    x = rng.normal(size=(6, 17, 3))
    found = scaling(poses_from_arrays(x, H36M_17, fps=30, unit=unit, frame="world"), 0, Preparation())  # type: ignore[arg-type]
    np.testing.assert_allclose(found.apply(x), factor * x, rtol=1e-12)
    np.testing.assert_allclose(found.undo(found.apply(x)), x, rtol=1e-12)


def test_pixels_are_divided_by_the_image_size_as_published(rng: np.random.Generator) -> None:
    poses = flat(rng, unit="px", image_size=(200, 100))
    found = scaling(poses, 0, Preparation(scale="image", centring="none"))
    np.testing.assert_allclose(found.apply(np.array([200.0, 25.0])), [0.5, -0.25])
    np.testing.assert_allclose(found.undo(np.array([0.5, -0.25])), [200, 25])


def test_a_person_in_pixels_becomes_one_metre_seventy(rng: np.random.Generator) -> None:
    poses = walking_poses(dims=2, rng=rng)
    found = scaling(poses, 0, Preparation(centring="none"))
    prepared = found.apply(poses.positions[0].astype(float))
    assert person_size(prepared, poses.joint_names) == pytest.approx(1.7)
    assert found.note is not None
    assert "1.7 m" in found.note


def test_shares_of_width_and_height_become_square_first() -> None:
    positions = np.zeros((3, 2, 2))
    positions[:, 1] = (0.0, 0.245)
    poses = PoseSequence(
        positions=positions[None], joint_names=("left_hip", "left_knee"), skeleton="custom", fps=30,
        unit="normalised", frame="image", image_size=(200, 100),
    )  # fmt: skip
    # The thigh is 24.5 px long, so the person has 100 px and a pixel 17 mm.
    np.testing.assert_allclose(scaling(poses, 0, Preparation()).factor, [200 * 0.017, 100 * 0.017])


def test_units_that_cannot_be_known_are_refused(rng: np.random.Generator) -> None:
    unknown = poses_from_arrays(rng.normal(size=(5, 17, 3)), H36M_17, fps=30, unit="normalised", frame="camera")
    with pytest.raises(DataError, match="--unit m"):
        scaling(unknown, 0, Preparation())
    with pytest.raises(DataError, match="--image-size"):
        scaling(flat(rng, unit="px"), 0, Preparation(scale="image"))
    with pytest.raises(DataError, match="3D in normalised"):
        scaling(unknown, 0, Preparation(scale="image"))
    assert (scaling(unknown, 0, Preparation(scale="any")).factor == 1).all()


def test_the_root_is_found_by_name(rng: np.random.Generator) -> None:
    assert root_rows(walking_poses(rng=rng)) == (0,)
    coco = walking_poses(rng=rng, skeleton=COCO_17)
    assert sorted(coco.joint_names[row] for row in root_rows(coco)) == ["left_hip", "right_hip"]
    assert root_rows(coco, ("nose",)) == (0,)
    custom = PoseSequence(
        positions=np.zeros((1, 2, 2, 3)), joint_names=("thumb_tip", "palm"), skeleton="custom", fps=30, unit="m",
        frame="world",
    )  # fmt: skip
    with pytest.raises(SkeletonError, match="--root"):
        root_rows(custom)
    assert root_rows(custom, ("palm",)) == (1,)
    with pytest.raises(SkeletonError, match="no joint named tail"):
        root_rows(custom, ("tail",))


def test_published_weights_are_given_what_their_papers_gave_them() -> None:
    assert (default_preparation(3).scale, default_preparation(3).centring) == ("metres", "root")
    assert (default_preparation(2).scale, default_preparation(2).image_shift) == ("image", 0.5)
    with pytest.raises(ValidationError, match="centering"):
        Preparation(centering="root")  # type: ignore[call-arg]
