"""What is said of data sets, pictures and bodies that a network cannot be measured with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.formats.human_data import HumanData, write_human_data
from poseworks.core.testing_bodies import synthetic_regressor
from poseworks.core.video import write_picture
from poseworks.mesh_recovery import HMR
from poseworks.mesh_recovery.evaluation import PROTOCOLS, choose_protocol, evaluate, read_evaluation_data

ROWS = 5
Make = Callable[..., HMR]


def write_below(path: Path, rgb: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, rgb)


def test_bodies_and_regressors_that_are_missing(hmr: Make, folder: Path, tmp_path: Path) -> None:
    data = read_evaluation_data(folder / "pw3d_test.npz")
    one = folder / "smpl" / "SMPL_NEUTRAL.npz"
    with pytest.raises(ConfigError, match=r"one file, but the truth is of female, male bodies .* Give the folder"):
        evaluate(hmr(), data, PROTOCOLS["pw3d"], body=one)
    alone = tmp_path / "SMPL_NEUTRAL.npz"
    alone.symlink_to(one)
    for protocol, said in (("h36m", "J_regressor_h36m.npy is"), ("mi-toolbox", "J_regressor_extra.npy of 9 rows")):
        with pytest.raises(DataError, match=said):
            evaluate(hmr(), data, PROTOCOLS[protocol], body=alone)  # type: ignore[index]
    np.save(tmp_path / "J_regressor_extra.npy", synthetic_regressor(14, 401, 7, 5))
    with pytest.raises(FormatError, match="GraphCMR and Graphormer, 14 rows"):
        evaluate(hmr(), data, PROTOCOLS["mi-toolbox"], body=alone)


def test_data_without_what_counts(hmr: Make, folder: Path) -> None:
    labels = read_evaluation_data(folder / "h36m_valid.npz")
    with pytest.raises(DataError, match="no parameters of a body, which are the truth of this protocol"):
        evaluate(hmr(), labels, PROTOCOLS["pw3d"], body=folder / "smpl")
    bodies = read_evaluation_data(folder / "pw3d_test.npz")
    with pytest.raises(DataError, match="no row has all that the protocol h36m counts"):
        evaluate(hmr(), bodies, PROTOCOLS["h36m"], body=folder / "smpl")


def test_genders_and_boxes(hmr: Make, folder: Path, tmp_path: Path) -> None:
    smpl = {"global_orient": np.zeros((ROWS, 3)), "body_pose": np.zeros((ROWS, 23, 3)), "betas": np.zeros((ROWS, 10))}
    paths = ("a.png",) * ROWS
    boxes = np.tile([10.0, 5, 40, 50, 1], (ROWS, 1))
    file = tmp_path / "pw3d.npz"
    write_human_data(HumanData(image_path=paths, bbox_xywh=boxes, smpl=smpl), file)
    with pytest.raises(DataError, match=r"says no gender, .* State --true-gender neutral"):
        evaluate(hmr(), read_evaluation_data(file), PROTOCOLS["pw3d"], body=folder / "smpl")
    for gender in (["x"] * ROWS, ["m"]):
        other = {"meta": {"gender": np.array(gender)}}
        write_human_data(HumanData(image_path=paths, bbox_xywh=boxes, smpl=smpl, other=other), file, overwrite=True)
        with pytest.raises(FormatError, match="meta gender: expected m, f or n for each of 5 rows"):
            read_evaluation_data(file)
    boxes[2, 2] = 0
    write_human_data(HumanData(image_path=paths, bbox_xywh=boxes, smpl=smpl), file, overwrite=True)
    with pytest.raises(DataError, match=r"pw3d.npz: boxes: 2: .* width and height above 0"):
        read_evaluation_data(file)
    write_human_data(HumanData(image_path=paths, smpl=smpl), file, overwrite=True)
    with pytest.raises(DataError, match="neither bbox_xywh nor keypoints2d"):
        read_evaluation_data(file)
    points, mask = np.zeros((ROWS, 190, 3)), np.ones(190, np.uint8)
    points[:, :2] = [[[10, 20, 1], [30, 60, 1]]] * ROWS
    write_human_data(HumanData(image_path=paths, keypoints2d=points, keypoints2d_mask=mask), file, overwrite=True)
    np.testing.assert_allclose(read_evaluation_data(file).squares, [[20, 40, 48]] * ROWS)  # 1.2 times the height
    points[3, 1] = 0
    write_human_data(HumanData(image_path=paths, keypoints2d=points, keypoints2d_mask=mask), file, overwrite=True)
    with pytest.raises(DataError, match="row 3: keypoints: 1 of 190 can be seen"):
        read_evaluation_data(file)
    write_human_data(HumanData(bbox_xywh=boxes), file, overwrite=True)
    with pytest.raises(DataError, match="HumanData without image_path"):
        read_evaluation_data(file)


def test_pictures(hmr: Make, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pw3d_test.npz"
    file.write_bytes((folder / "pw3d_test.npz").read_bytes())
    data = read_evaluation_data(file)

    def measured(**options: Any) -> Any:
        return evaluate(hmr(), data, PROTOCOLS["pw3d"], body=folder / "smpl", **options)

    with pytest.raises(DataError, match=r"its first picture, imageFiles/walk/image_00000.png, is not below"):
        measured()
    monkeypatch.setenv("POSEWORKS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pw3d").symlink_to(folder)
    assert measured().pictures_counted == ROWS
    for number in (0, 1, 2):
        write_below(tmp_path / f"imageFiles/walk/image_{number:05d}.png", np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(DataError, match=r"2 pictures of .* are missing, such as imageFiles/walk/image_00004.png"):
        measured()
    assert measured(pictures=folder).pictures_counted == ROWS
    for number in (4, 5):
        (tmp_path / f"imageFiles/walk/image_{number:05d}.png").write_text("no picture")
    with pytest.raises(DataError, match=r"row 3: .*image_00004.png: is no recording"):
        measured(batch=3)
    for number in (4, 5):
        write_below(tmp_path / f"imageFiles/walk/image_{number:05d}.png", np.zeros((3, 4, 3), np.uint8))
    with pytest.raises(DataError, match=r"row 3: .*image_00004.png: box: .* lies outside the picture of 4 x 3"):
        measured()


def test_names_and_layouts(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.npz"
    file.write_bytes((folder / "pw3d_test.npz").read_bytes())
    data = read_evaluation_data(file)
    with pytest.raises(ConfigError, match=r"its name tells no data set .* State the protocol: --protocol pw3d"):
        choose_protocol(data)
    assert choose_protocol(data, "pw3d").name == "pw3d"
    np.savez(file, something=np.zeros(3))
    with pytest.raises(FormatError, match="neither HumanData nor in SPIN's layout"):
        read_evaluation_data(file)
    np.savez(file, imgname=np.array([], dtype="U1"), center=np.zeros((0, 2)), scale=np.zeros(0))
    with pytest.raises(DataError, match="a data set without rows"):
        read_evaluation_data(file)
