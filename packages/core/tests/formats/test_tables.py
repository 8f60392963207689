"""CSV and TRC as other programs write them, and each fault by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from poseworks.core.errors import ConfigError, FormatError, PoseworksError
from poseworks.core.formats import read_poses, write_poses
from poseworks.core.poses import PoseSequence
from poseworks.core.skeletons import COCO_17


def _written(folder: Path, text: str, name: str) -> Path:
    (folder / name).write_bytes(text.encode())
    return folder / name


BARE = "frame,time,person,a_x,a_y,b_x,b_y\n0,0,4,1,2,3,4\n2,0.2,4,5,6,,\n0,0,9,7,8,9,10\n"
HINTS = {"fps": 10, "unit": "px", "frame": "image"}


def test_a_bare_table_needs_hints(tmp_path: Path) -> None:
    path = _written(tmp_path, BARE, "x.csv")
    poses = read_poses(path, **HINTS)
    assert poses.joint_names == ("a", "b")
    assert poses.skeleton == "custom"
    assert poses.times is None
    assert poses.person_ids is not None
    assert poses.person_ids.tolist() == [4, 9]
    nan = np.nan
    assert_array_equal(poses.positions[0], [[[1, 2], [3, 4]], [[nan, nan]] * 2, [[5, 6], [nan, nan]]])
    assert_array_equal(poses.confidence[0], [[1, 1], [0, 0], [1, 0]])
    assert read_poses(path, person=9, **HINTS).num_people == 1
    for name in HINTS:
        with pytest.raises(ConfigError, match=f"Give it: {name}="):
            read_poses(path, **{key: value for key, value in HINTS.items() if key != name})


def test_uneven_times_of_a_bare_table_are_kept(tmp_path: Path) -> None:
    text = "frame,time,person,a_x,a_y\n0,0,0,1,2\n1,0.1,0,1,2\n2,0.5,0,1,2\n"
    poses = read_poses(_written(tmp_path, text, "x.csv"), **HINTS)
    assert poses.times is not None
    assert poses.times.tolist() == [0, 0.1, 0.5]
    assert poses.person_ids is None


def test_the_table_can_be_read_by_eye(tmp_path: Path) -> None:
    poses = PoseSequence(
        positions=[[[[1.5, np.nan], [0.1, -3]]]], confidence=[[[0, 0.25]]], joint_names=("hip", "knee"),
        skeleton="custom", fps=25, unit="px", frame="image", image_size=(64, 48), history=({"verb": "made"},),
    )  # fmt: skip
    write_poses(poses, tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == (
        "# poseworks.csv/1\n# skeleton: custom\n# unit: px\n# frame: image\n# fps: 25.0\n# image_size: 64 48\n"
        '# frames: 1\n# people: 1\n# times: even\n# history: [{"verb": "made"}]\n'
        "frame,time,person,hip_x,hip_y,hip_confidence,knee_x,knee_y,knee_confidence\n"
        "0,0.0,0,1.5,,0.0,0.1,-3.0,0.25\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,time,person\n", "columns begin with"),
        ("frame,time,person,a_x,b_y\n", "columns begin with"),
        ("frame,time,person,a_x,a_y,a_z,b_x,b_y\n", "columns begin with"),
        ("frame,time,person,a_x,a_y\n0,0,0,1\n", "row 1: 4 cells, expected 5"),
        ("frame,time,person,a_x,a_y\n0,0,0,1,x\n1,0,?,1,2\n", "row 1: expected numbers, got 'x'; row 2: .*'?'"),
        ("frame,time,person,a_x,a_y\n-1,0,0,1,2\n", "frame -1 or person 0 is out of range"),
        ("frame,time,person,a_x,a_y\n0,0,0,1,2\n0,0,0,1,2\n", "two rows are of one person and frame"),
        ("frame,time,person,a_x,a_y\n0,0,0,inf,2\n", "infinite"),
        ("frame,time,person,a_x,a_y\n0,0,0,1e40,2\n", "infinite"),
        ("frame,time,person,a_x,a_y,a_x,a_y\n0,0,0,1,2,1,2\n", "a name occurs twice"),
        ('frame,time,person,a_x,a_y\n0,0,0,1,"2\n', "unexpected end of data"),
        ("# poseworks.csv/2\nframe,time,person,a_x,a_y\n", "expected '# poseworks.csv/1'"),
        ("# fps: 0\n# fps: x\n# unit: inch\nframe,time,person,a_x,a_y\n", "fps cannot be '0'; .*fps cannot.*; .*inch"),
        ("# history: {}\nframe,time,person,a_x,a_y\n", "history cannot be '{}'"),
        ("# frames: 1\nframe,time,person,a_x,a_y\n1,0,0,1,2\n", "rows of frame 1, but the header has 1 frames"),
        ("# people: 1\nframe,time,person,a_x,a_y\n0,0,5,1,2\n", "rows of person 5"),
        ("# people: 2\n# person_ids: 1\nframe,time,person,a_x,a_y\n0,0,1,1,2\n", "2 people, but 1 are named"),
        ("# times: stated\nframe,time,person,a_x,a_y\n0,0,0,1,2\n2,1,0,1,2\n", "frame 1 has no time"),
        ("# skeleton: coco17\nframe,time,person,a_x,a_y\n0,0,0,1,2\n", "not those of coco17"),
        ("# fps: 20\nframe,time,person,a_x,a_y\n0,0,0,1,2\n", "fps is 20.0 in the file, but 10.0 was given"),
    ],
)
def test_each_fault_of_a_table_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PoseworksError, match=message):
        read_poses(_written(tmp_path, text, "x.csv"), format="csv", **HINTS)


POSE2SIM = (
    "PathFileType\t4\t(X/Y/Z)\tperson00.trc\n"
    "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n"
    "60\t60\t3\t4\tm\t60\t0\t3\n"
    "Frame#\tTime\tHip\t\t\tRBigToe\t\t\tNeck\t\t\tHead\t\t\t\t\t\n"
    "\t\tX1\tY1\tZ1\tX2\tY2\tZ2\tX3\tY3\tZ3\tX4\tY4\tZ4\t\n"
    "0\t0.0\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\t12\n"
    "1\t0.017\t1\t2\t3\t\t\t\t7\t8\t9\tnan\tnan\tnan\n"
    "3\t0.05\t1\t2\t3\t4\t5\t6\n"
)


def test_a_trc_of_pose2sim(tmp_path: Path) -> None:
    for text in (
        POSE2SIM,
        POSE2SIM.replace("\n", "\r\n"),
        POSE2SIM.replace("\n0\t0.0", "\n\n0\t0.0"),
        POSE2SIM.replace("\n", "\r"),
    ):
        poses = read_poses(_written(tmp_path, text, "x.trc"))
        assert poses.joint_names == ("pelvis", "right_big_toe", "thorax", "head_top")
        assert (poses.fps, poses.unit, poses.frame, poses.times) == (60, "m", "world", None)
        assert poses.num_frames == 4
        observed = [[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]]
        assert_array_equal(poses.observed[0], np.array(observed, bool))
        assert_array_equal(poses.positions[0, 0], np.arange(1, 13).reshape(4, 3))


def test_units_and_order_of_a_trc(tmp_path: Path) -> None:
    names = sorted(COCO_17.joint_names)
    text = (
        "PathFileType\t4\t(X/Y/Z)\tx\nDataRate\tNumFrames\tNumMarkers\tUnits\n50\t1\t17\tcm\nFrame#\tTime\t"
        + "\t\t\t".join(names)
        + "\n1\t0\t"
        + "\t".join(str(100 * k) for k in range(51))
        + "\n"
    )
    poses = read_poses(_written(tmp_path, text, "x.trc"), frame="camera")
    assert (poses.skeleton, poses.unit, poses.frame) == ("coco17", "m", "camera")
    for joint, name in enumerate(COCO_17.joint_names):
        first = 3 * names.index(name)
        assert_allclose(poses.positions[0, 0, joint], [first, first + 1, first + 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("60\t60\t3", "0\t60\t3", "DataRate '0'"),
        ("60\t60\t3", "x\t60\t3", "DataRate 'x'"),
        ("60\t60\t3\t", "60\t60\t4\t", "NumFrames is '4', but there are 3; is the file cut off"),
        ("3\t4\tm", "3\t5\tm", "NumMarkers is '5', but there are 4"),
        ("3\t4\tm", "3\t4\tinch", "Units 'inch'; expected m, mm or cm"),
        ("\tUnits\t", "\tOther\t", "header: Units missing"),
        ("\n1\t0.017", "\n0\t0.017", "frame numbers do not rise"),
        ("\n1\t0.017", "\n1\tx", "line 7: expected a frame number"),
        ("\t11\t12\n", "\t11\t12\t13\n", "more than 3 cells for each of 4 markers"),
        ("Neck", "Hip", "a marker occurs twice"),
        ("Frame#", "Bild#", "lines that begin with DataRate and with Frame#"),
        ("\t2\t3\t4", "\tinf\t3\t4", "infinite"),
        ("3\t0.05", "3\t0.5", "times do not fit the data rate"),
    ],
)
def test_each_fault_of_a_trc_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in POSE2SIM
    with pytest.raises(FormatError, match=message):
        read_poses(_written(tmp_path, POSE2SIM.replace(old, new, 1), "x.trc"))


@pytest.mark.parametrize("hints", [{"fps": 30}, {"unit": "mm"}, {"skeleton": "coco17"}, {"image_size": (1, 1)}])
def test_hints_that_contradict_a_trc(hints: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"in the file|no use for"):
        read_poses(_written(tmp_path, POSE2SIM, "x.trc"), **hints)
