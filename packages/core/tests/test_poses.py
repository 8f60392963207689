"""PoseSequence: what it takes, what it refuses, and that it lists every fault at once."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from poseworks.core.errors import DataError, PoseworksError, ShapeError
from poseworks.core.poses import PoseSequence, history_entry, poses_from_arrays
from poseworks.core.skeletons import COCO_17, H36M_17, skeleton_from_names
from poseworks.core.testing import walking_poses

NAMES = ("a", "b", "c")


def fields(**changes: Any) -> dict[str, Any]:
    """Fields of two people over four frames with three joints, with changes."""
    good = {
        "positions": np.zeros((2, 4, 3, 3)),
        "joint_names": NAMES,
        "skeleton": "custom",
        "fps": 30,
        "unit": "m",
        "frame": "world",
    }
    return good | changes


def build(**changes: Any) -> PoseSequence:
    return PoseSequence(**fields(**changes))


def faults(**changes: Any) -> list[str]:
    with pytest.raises(DataError) as caught:
        build(**changes)
    return str(caught.value).removeprefix("poses: ").split("; ")


def test_types_are_brought_to_the_contracts() -> None:
    poses = build(
        positions=np.arange(72, dtype=np.float64).reshape(2, 4, 3, 3).tolist(),
        confidence=np.ones((2, 4, 3), dtype=int),
        joint_names=np.array(NAMES),
        fps=np.float32(25),
        times=[0, 1, 2, 4],
        person_ids=[7.0, 3.0],
        history=[{"verb": "smooth"}],
    )
    assert poses.positions.dtype == poses.confidence.dtype == np.float32
    assert poses.times is not None
    assert poses.times.dtype == np.float64
    assert poses.person_ids is not None
    assert poses.person_ids.dtype == np.int64
    assert poses.joint_names == NAMES
    assert type(poses.fps) is float
    assert poses.history == ({"verb": "smooth"},)
    assert (poses.num_people, poses.num_frames, poses.num_joints, poses.num_dims) == (2, 4, 3, 3)


def test_confidence_is_one_where_the_source_has_none() -> None:
    assert (build().confidence == np.ones((2, 4, 3))).all()


def test_seconds_come_from_times_or_from_fps() -> None:
    assert build(fps=2).seconds.tolist() == [0, 0.5, 1, 1.5]
    assert build(times=[0, 1, 2, 4]).seconds.tolist() == [0, 1, 2, 4]


def test_observed_needs_every_coordinate() -> None:
    positions = np.zeros((2, 4, 3, 3))
    positions[0, 1, 2, 0] = np.nan
    assert (~build(positions=positions).observed).nonzero() == ([0], [1], [2])


@pytest.mark.parametrize("shape", [(0, 4, 3, 3), (2, 0, 3, 3), (0, 0, 3, 2), (1, 1, 3, 2), (1, 4, 0, 3)])
def test_no_people_no_frames_and_one_frame_are_poses(shape: tuple[int, ...]) -> None:
    poses = build(positions=np.zeros(shape), joint_names=NAMES[: shape[2]])
    assert poses.positions.shape == shape
    assert poses.seconds.shape == shape[1:2]
    assert poses.select_people(range(shape[0])).positions.shape == shape


def test_all_nan_is_not_observed_and_no_fault() -> None:
    poses = build(positions=np.full((2, 4, 3, 3), np.nan))
    assert not poses.observed.any()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"positions": np.zeros((4, 3, 3))}, "positions: expected (P, T, J, D=2|3), got (4, 3, 3)"),
        ({"positions": np.zeros((2, 4, 3, 4))}, "positions: expected (P, T, J, D=2|3), got (2, 4, 3, 4)"),
        ({"positions": np.float32(1)}, "positions: expected (P, T, J, D=2|3), got ()"),
        ({"positions": [[1, 2], [3]]}, "positions: expected real numbers, got [[1, 2], [3]]"),
        ({"positions": np.zeros((2, 4, 3, 3), dtype=complex)}, "positions: expected real numbers, got array([["),
        ({"positions": None}, "positions: expected real numbers, got None"),
        (
            {"positions": np.full((2, 4, 3, 3), np.inf)},
            "positions: infinite values where NaN should say that a joint was not observed",
        ),
        (
            {"positions": np.full((2, 4, 3, 3), 1e300)},
            "positions: infinite values where NaN should say that a joint was not observed",
        ),
        ({"confidence": np.ones((2, 4))}, "confidence: expected (2, 4, 3) as in positions, got (2, 4)"),
        ({"confidence": np.full((2, 4, 3), 1.1)}, "confidence: expected values from 0 to 1 and no NaN"),
        ({"confidence": np.full((2, 4, 3), np.nan)}, "confidence: expected values from 0 to 1 and no NaN"),
        ({"confidence": "high"}, "confidence: expected real numbers, got 'high'"),
        ({"joint_names": ("a", "b")}, "joint_names: expected 3 as in positions, got 2"),
        ({"joint_names": ("a", "b", "a")}, "joint_names: a name occurs twice"),
        ({"joint_names": "abc"}, "joint_names: expected a sequence of names, got 'abc'"),
        ({"joint_names": None}, "joint_names: expected a sequence of names, got None"),
        ({"skeleton": "h36m17"}, "joint_names: not those of h36m17 in its order, expected skeleton custom"),
        ({"fps": 0}, "fps: expected a number above 0, got 0.0"),
        ({"fps": -30}, "fps: expected a number above 0, got -30.0"),
        ({"fps": float("nan")}, "fps: expected a number above 0, got nan"),
        ({"fps": float("inf")}, "fps: expected a number above 0, got inf"),
        ({"fps": None}, "fps: expected a number, got None"),
        ({"fps": "fast"}, "fps: expected a number, got 'fast'"),
        ({"unit": "cm"}, "unit: expected one of px, m, mm, normalised, got 'cm'"),
        ({"frame": "body"}, "frame: expected one of image, camera, world, root, got 'body'"),
        ({"frame": "image"}, "unit: m contradicts the frame image, expected px or normalised"),
        ({"unit": "px"}, "unit: px contradicts the frame world, expected m, mm or normalised"),
        ({"image_size": (640, 480)}, "image_size: only with the frame image, not world"),
        (
            {"image_size": (0, 480), "frame": "image", "unit": "px"},
            "image_size: expected (width, height) above 0, got (0, 480)",
        ),
        (
            {"image_size": (480,), "frame": "image", "unit": "px"},
            "image_size: expected (width, height) above 0, got (480,)",
        ),
        (
            {"image_size": (640.5, 480), "frame": "image", "unit": "px"},
            "image_size: expected two whole numbers, got (640.5, 480)",
        ),
        ({"image_size": 640, "frame": "image", "unit": "px"}, "image_size: expected two whole numbers, got 640"),
        ({"times": [0, 1, 2]}, "times: expected (4,) as in positions, got (3,)"),
        ({"times": [0, 1, 1, 2]}, "times: expected finite, rising seconds"),
        ({"times": [0, 1, np.nan, 2]}, "times: expected finite, rising seconds"),
        ({"times": [0, 1, 2, np.inf]}, "times: expected finite, rising seconds"),
        ({"times": "now"}, "times: expected real numbers, got 'now'"),
        ({"person_ids": [1]}, "person_ids: expected (2,) as in positions, got (1,)"),
        ({"person_ids": [1, 1]}, "person_ids: a number occurs twice"),
        ({"person_ids": [1, 1.5]}, "person_ids: expected whole numbers, got [1, 1.5]"),
        ({"person_ids": [1, np.inf]}, "person_ids: expected whole numbers, got [1, inf]"),
        ({"history": ["smooth"]}, "history: expected mappings that JSON can hold, got ['smooth']"),
        ({"history": [{"x": np.zeros(1)}]}, "history: expected mappings that JSON can hold, got [{'x': array([0.])}]"),
        ({"history": [{"x": float("nan")}]}, "history: expected mappings that JSON can hold, got [{'x': nan}]"),
    ],
)
def test_a_fault_is_named(changes: dict[str, Any], fault: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = faults(**changes)
    assert found.startswith(fault)
    assert len(found) < 200


def test_an_unknown_skeleton_lists_the_known_ones() -> None:
    (fault,) = faults(skeleton="h36m")
    assert fault.startswith("skeleton: 'h36m' is unknown, expected custom or one of coco17, h36m17")


def test_every_fault_is_listed_at_once() -> None:
    found = faults(
        positions=np.full((2, 4, 3, 3), np.inf),
        confidence=np.ones((2, 4)),
        joint_names=("a", "a"),
        skeleton="coco17",
        fps=0,
        unit="px",
        frame="camera",
        image_size=(1, 0),
        times=[2, 1, 0, 3],
        person_ids=[5, 5],
        history=[{"x": object()}],
    )
    assert [fault.split(":")[0] for fault in found] == [
        *("history", "positions", "confidence", "joint_names", "times", "person_ids"),
        *("joint_names", "joint_names", "fps", "unit", "image_size", "image_size"),
    ]


def test_a_wrong_shape_does_not_hide_the_rest() -> None:
    found = faults(positions=np.zeros((4, 3)), fps="x", unit="cm", frame="body")
    assert [fault.split(":")[0] for fault in found] == ["fps", "positions", "unit", "frame"]


def test_a_fault_is_one_error_of_ours() -> None:
    with pytest.raises(PoseworksError):
        build(fps=0)
    with pytest.raises(ValueError, match="fps"):
        build(fps=0)


def test_a_copy_is_checked_again() -> None:
    poses = build()
    assert poses.replace(fps=60).fps == 60
    assert poses.fps == 30
    with pytest.raises(DataError, match="confidence"):
        poses.replace(positions=np.zeros((1, 4, 3, 3)))
    with pytest.raises(AttributeError):
        poses.fps = 60  # type: ignore[misc]


def test_history_grows_by_a_step() -> None:
    entry = history_entry("smooth", "poseworks-core", {"model": 1}, model="x", model_sha256="ab")
    assert entry.pop("version")
    assert entry == {
        "verb": "smooth",
        "package": "poseworks-core",
        "settings": {"model": 1},
        "model": "x",
        "model_sha256": "ab",
    }
    assert build(history=({"verb": "detect"},)).with_step(entry).history == ({"verb": "detect"}, entry)


def test_people_are_selected_with_what_is_theirs() -> None:
    rng = np.random.default_rng(0)
    poses = build(positions=rng.random((2, 4, 3, 3)), confidence=rng.random((2, 4, 3)), person_ids=[7, 3])
    swapped = poses.select_people([1, 0])
    np.testing.assert_array_equal(swapped.positions, poses.positions[::-1])
    np.testing.assert_array_equal(swapped.confidence, poses.confidence[::-1])
    assert swapped.person_ids is not None
    assert swapped.person_ids.tolist() == [3, 7]
    assert poses.select_people([]).positions.shape == (0, 4, 3, 3)
    for rows in ([2], [-1], [0, 5]):
        with pytest.raises(DataError, match="people: expected rows from 0 to 1, got"):
            poses.select_people(rows)


def test_known_skeleton() -> None:
    assert build().known_skeleton() is None
    assert walking_poses(3, skeleton=COCO_17, rng=np.random.default_rng(0)).known_skeleton() is COCO_17


def test_from_arrays_of_one_person_or_more() -> None:
    one = poses_from_arrays(
        np.zeros((5, 17, 2)), COCO_17, fps=30, unit="px", frame="image", confidence=np.full((5, 17), 0.5)
    )
    assert one.positions.shape == (1, 5, 17, 2)
    assert one.confidence.shape == (1, 5, 17)
    two = poses_from_arrays(np.zeros((2, 5, 17, 3)), H36M_17, fps=30, unit="m", frame="root", person_ids=[1, 2])
    assert (two.skeleton, two.joint_names) == ("h36m17", H36M_17.joint_names)
    custom = poses_from_arrays(np.zeros((5, 1, 3)), skeleton_from_names(["tip"]), fps=30, unit="m", frame="world")
    assert custom.skeleton == "custom"
    with pytest.raises(ShapeError, match=r"positions: expected \(T, J, D\) or \(P, T, J, D\), got \(17, 3\)"):
        poses_from_arrays(np.zeros((17, 3)), COCO_17, fps=30, unit="m", frame="world")
    with pytest.raises(DataError, match="joint_names: expected 16 as in positions, got 17"):
        poses_from_arrays(np.zeros((5, 16, 3)), COCO_17, fps=30, unit="m", frame="world")


@given(
    positions=hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=5, max_side=4)),
    fps=st.floats(),
    unit=st.sampled_from(["px", "m", "mm", "normalised", "", "M"]),
    frame=st.sampled_from(["image", "camera", "world", "root", "front"]),
    times=st.none() | hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=4)),
    ids=st.none() | st.lists(st.integers(-5, 5), max_size=4),
)
def test_anything_is_either_poses_or_a_data_error(
    positions: Any, fps: float, unit: Any, frame: Any, times: Any, ids: Any
) -> None:
    joints = positions.shape[2] if positions.ndim > 2 else 0
    try:
        poses = build(
            positions=positions,
            joint_names=[f"j{number}" for number in range(joints)],
            fps=fps,
            unit=unit,
            frame=frame,
            times=times,
            person_ids=ids,
        )
    except DataError:
        return
    assert not np.isinf(poses.positions).any()
    assert poses.fps > 0
    assert len(poses.seconds) == poses.num_frames
