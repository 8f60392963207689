"""Errors by the published protocols: against sums by hand, on data in the published layouts and a body of formulas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from poseworks.core.body_models import SMPL, load_body
from poseworks.core.cli import run
from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.formats.human_data import HumanData, write_human_data
from poseworks.core.keypoint_conventions import index_table
from poseworks.core.testing_bodies import body_arrays, synthetic_body, synthetic_regressor
from poseworks.core.video import write_picture
from poseworks.mesh_recovery import HMR, Discriminator, DiscriminatorConfig, HMRConfig, ResNetConfig, save
from poseworks.mesh_recovery.cli import app
from poseworks.mesh_recovery.evaluation import (
    PROTOCOLS,
    choose_protocol,
    constant_predictor,
    evaluate,
    predictor,
    read_evaluation_data,
)
from poseworks.mesh_recovery.evaluation.data import sequences

ROWS = 5
LEFT_FIRST_14 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)  # as published
OF_24 = (*range(13), 18)
RNG = np.random.default_rng(0)
POSE = 0.4 * RNG.normal(size=(ROWS, 24, 3))
BETAS = RNG.normal(size=(ROWS, 10))
GENDER = ("m", "f", "f", "m", "m")


def small_hmr(**config: Any) -> HMR:
    torch.manual_seed(0)
    backbone = ResNetConfig(width=2, blocks=(1, 1, 1, 1))
    return HMR(HMRConfig(backbone=backbone, feature_size=64, hidden=8, **config)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, leg_regressor: np.ndarray) -> Path:
    """Pictures, data sets of each layout, and the bodies of three genders with their regressors."""
    home = tmp_path_factory.mktemp("sets")
    (home / "smpl").mkdir()
    arrays = body_arrays(synthetic_body())
    for number, gender in enumerate(("NEUTRAL", "MALE", "FEMALE")):
        changed = {"v_template": (1 + 0.1 * number) * arrays["v_template"]}
        np.savez(home / "smpl" / f"SMPL_{gender}.npz", **{**arrays, **changed})  # type: ignore[arg-type]
    np.save(home / "smpl" / "J_regressor_h36m.npy", leg_regressor)
    np.save(home / "smpl" / "J_regressor_extra.npy", synthetic_regressor(9, 401, 7, 5))
    names = []
    for row in range(ROWS):
        names.append(f"imageFiles/walk/image_{row + (row > 2):05d}.png")  # number 3 is missing
        write_picture_below(home / names[-1], RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    boxes = np.tile([10.0, 5, 40, 50, 1], (ROWS, 1))
    smpl = {"global_orient": POSE[:, 0], "body_pose": POSE[:, 1:], "betas": BETAS}
    three: dict[str, Any] = {"image_path": tuple(names), "bbox_xywh": boxes}
    write_human_data(
        HumanData(**three, smpl=smpl, other={"meta": {"gender": np.array(GENDER)}}), home / "pw3d_test.npz"
    )
    labels = {}
    for name, convention in (("h36m", "h36m"), ("mi", "mpi_inf_3dhp_test")):
        points, mask = np.zeros((ROWS, 190, 4)), np.zeros(190, np.uint8)
        mask[index_table(convention, "human_data")[0]] = 1
        points[:] = RNG.normal(size=points.shape)
        points[..., 3] = 1
        points *= mask[:, None]
        labels[name] = HumanData(**three, keypoints3d=points, keypoints3d_mask=mask)
    write_human_data(labels["h36m"], home / "h36m_valid.npz")
    write_human_data(labels["mi"], home / "mpi_inf_3dhp_test.npz")
    write_human_data(HumanData(**three, smpl=smpl, other={"meta": {"body": "free"}}), home / "rendered.npz")
    spin: dict[str, Any] = {
        "imgname": np.array(names),
        "center": boxes[:, :2] + boxes[:, 2:4] / 2,
        "scale": np.full(ROWS, 0.25),
    }
    np.savez(home / "3dpw_spin.npz", **spin, pose=POSE.reshape(ROWS, 72), shape=BETAS, gender=np.array(GENDER))
    joints = np.concatenate([RNG.normal(size=(ROWS, 24, 3)), np.ones((ROWS, 24, 1))], axis=-1)
    joints[-1, 18, 3] = 0  # a joint that counts is not known there
    np.savez(home / "mpi_inf_3dhp_valid.npz", **spin, S=joints)
    return home


def write_picture_below(path: Path, rgb: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, rgb)


@pytest.fixture(scope="module")
def bodies(folder: Path) -> Mapping[str, SMPL]:
    return {word[0]: load_body(folder / "smpl", gender=word) for word in ("neutral", "male", "female")}


def posed(body: SMPL, rows: Any = slice(None)) -> Any:
    pose, betas = (torch.as_tensor(x[rows], dtype=torch.float32) for x in (POSE, BETAS))
    return body(betas, pose)


def aligned_by_hand(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x under the similarity transform that brings it nearest to y, as the papers' code does it."""
    p, q = x - x.mean(0), y - y.mean(0)
    u, _, vt = np.linalg.svd(p.T @ q)
    z = np.eye(3)
    z[2, 2] = np.sign(np.linalg.det(u @ vt))
    r = vt.T @ z @ u.T
    scale = np.trace(r @ p.T @ q) / (p**2).sum()
    out: np.ndarray = scale * (r @ p.T).T + y.mean(0)
    return out


def by_hand(found: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """MPJPE and PA-MPJPE in mm."""
    errors = [np.linalg.norm(x - y, axis=-1).mean() for x, y in zip(found, true, strict=True)]
    after = [np.linalg.norm(aligned_by_hand(x, y) - y, axis=-1).mean() for x, y in zip(found, true, strict=True)]
    return 1000 * float(np.mean(errors)), 1000 * float(np.mean(after))


def the_network(network: HMR, folder: Path, rows: int = ROWS) -> Any:
    """What a network says of the pictures, cropped by hand."""
    from poseworks.core.video import read_picture
    from poseworks.mesh_recovery import crop_box

    data = read_evaluation_data(folder / "pw3d_test.npz")
    exact = network.preparation.model_copy(update={"enlarge": 1.0})
    crops = [crop_box(read_picture(folder / data.pictures[row]), (5, 5, 50, 50), exact)[0] for row in range(rows)]
    with torch.no_grad():
        return network(torch.stack(crops))


def test_3dpw_takes_the_gender_of_the_truth_and_the_neutral_prediction(
    folder: Path, bodies: Mapping[str, SMPL], leg_regressor: np.ndarray
) -> None:
    network = small_hmr()
    answer = the_network(network, folder)
    found = bodies["n"](answer.betas, answer.rotations).vertices.detach().numpy()
    true = np.stack([posed(bodies[word], [row]).vertices[0].numpy() for row, word in enumerate(GENDER)])
    joints = [(leg_regressor @ each)[:, LEFT_FIRST_14] - (leg_regressor @ each)[:, :1] for each in (found, true)]
    for file in ("pw3d_test.npz", "3dpw_spin.npz"):
        data = read_evaluation_data(folder / file)
        result = evaluate(network, data, choose_protocol(data), body=folder / "smpl", batch=2)
        (errors,) = result.errors
        assert (result.protocol, errors.output, result.pictures_counted) == ("pw3d", "parameters", ROWS)
        assert (errors.mpjpe_mm, errors.pa_mpjpe_mm) == pytest.approx(by_hand(*joints), rel=1e-4)
        assert errors.pve_mm == pytest.approx(1000 * np.linalg.norm(found - true, axis=-1).mean(), rel=1e-4)
        distance = np.linalg.norm(joints[0] - joints[1], axis=-1)
        assert errors.pck_150mm == pytest.approx((distance < 0.15).mean())
        shares = [(distance < threshold).mean() for threshold in np.linspace(0, 0.15, 31)]
        assert errors.auc == pytest.approx(np.mean(shares), abs=1e-9)
        # Rows 0 to 2 follow each other; 3 and 4 are too few for a second difference.
        second = [np.diff(each[:3], n=2, axis=0) for each in joints]
        assert errors.accel_mm == pytest.approx(1000 * np.linalg.norm(second[0] - second[1], axis=-1).mean(), rel=1e-4)
        assert [each.joint for each in errors.joints] == list(PROTOCOLS["pw3d"].joints)
        np.testing.assert_allclose([j.mpjpe_mm for j in errors.joints], 1000 * distance.mean(axis=0), rtol=1e-4)
        # The network's sizes are of nobody's; told by a name, it is compared.
        assert result.claims == ()
    named = evaluate(network, data, PROTOCOLS["pw3d"], body=folder / "smpl", name="hmr-l1")
    assert [(claim.variant, claim.pa_mpjpe_mm) for claim in named.claims] == [("hmr-l1", 58.20)]
    neutral = evaluate(network, data, PROTOCOLS["pw3d"], body=folder / "smpl", true_gender="neutral")
    assert neutral.errors[0].mpjpe_mm != pytest.approx(errors.mpjpe_mm, rel=1e-3)


def test_the_truth_itself_has_no_error(folder: Path, bodies: Mapping[str, SMPL]) -> None:
    data = read_evaluation_data(folder / "pw3d_test.npz")
    rows = iter(range(ROWS))

    def truth(images: Tensor) -> dict[str, Any]:
        whole = [posed(bodies[GENDER[row]], [row]) for _, row in zip(images, rows, strict=False)]
        return {"parameters": (torch.cat([x.vertices for x in whole]), torch.cat([x.joints for x in whole]))}

    (errors,) = evaluate(small_hmr(), data, PROTOCOLS["pw3d"], body=folder / "smpl", batch=1, predict=truth).errors
    assert [errors.mpjpe_mm, errors.pve_mm, errors.accel_mm] == [0, 0, 0]
    assert errors.pa_mpjpe_mm == pytest.approx(0, abs=1e-3)
    assert errors.pck_150mm == 1
    assert errors.auc == pytest.approx(30 / 31)  # below 0 lies nothing


@pytest.mark.parametrize(("file", "convention"), [("h36m_valid.npz", "h36m"), ("mpi_inf_3dhp_valid.npz", "smpl_24")])
def test_labels_are_taken_where_they_stand(
    folder: Path, bodies: Mapping[str, SMPL], leg_regressor: np.ndarray, file: str, convention: str
) -> None:
    network = small_hmr()
    answer = the_network(network, folder)
    found = leg_regressor @ bodies["n"](answer.betas, answer.rotations).vertices.detach().numpy()
    found = found - found[:, :1]
    data = read_evaluation_data(folder / file)
    protocol = choose_protocol(data)
    result = evaluate(network, data, protocol, body=folder / "smpl")
    if convention == "h36m":
        from poseworks.core.formats.human_data import read_human_data

        labels, _ = read_human_data(folder / file).keypoints("keypoints3d", "h36m")
        true = labels[:, LEFT_FIRST_14, :3] - labels[:, :1, :3]
        expected = by_hand(found[:, LEFT_FIRST_14], true)
        assert (protocol.name, result.pictures_counted) == ("h36m", ROWS)
    else:
        with np.load(folder / file) as stored:
            labels = stored["S"][:-1]  # of the last row a joint is not known
        true = labels[:, (*OF_24, 14, 16, 17), :3] - labels[:, 14:15, :3]
        expected = by_hand(found[:-1, (*LEFT_FIRST_14, 0, 7, 9)], true)
        assert (protocol.name, result.pictures_counted, result.pictures_in_file) == ("mi", ROWS - 1, ROWS)
    assert (result.errors[0].mpjpe_mm, result.errors[0].pa_mpjpe_mm) == pytest.approx(expected, rel=1e-4)
    assert result.errors[0].pve_mm is None
    assert result.true_gender is None


def test_the_toolboxs_protocol_of_mi_is_about_the_hips(folder: Path, bodies: Mapping[str, SMPL]) -> None:
    network = small_hmr()
    answer = the_network(network, folder)
    body = bodies["n"](answer.betas, answer.rotations)
    extra = torch.from_numpy(np.load(folder / "smpl" / "J_regressor_extra.npy")).float() @ body.vertices
    of_54 = torch.cat([body.joints, extra], dim=1).detach().numpy()
    table = (8, 5, 45, 46, 4, 7, 21, 19, 17, 16, 18, 20, 47, 48, 49, 50, 51, 52, 53, 24, 26, 25, 28, 27)  # as published
    found = of_54[:, [table[place] for place in OF_24]]
    data = read_evaluation_data(folder / "mpi_inf_3dhp_test.npz")
    from poseworks.core.formats.human_data import read_human_data

    labels, _ = read_human_data(folder / "mpi_inf_3dhp_test.npz").keypoints("keypoints3d", "smpl_24")
    true = labels[:, OF_24, :3]
    protocol = choose_protocol(data)
    assert protocol.name == "mi-toolbox"
    (errors,) = evaluate(network, data, protocol, body=folder / "smpl").errors
    expected = by_hand(*(x - x[:, 2:4].mean(axis=1, keepdims=True) for x in (found, true)))
    assert (errors.mpjpe_mm, errors.pa_mpjpe_mm) == pytest.approx(expected, rel=1e-4)


def test_rendered_pictures_are_measured_on_the_free_body(folder: Path) -> None:
    data = read_evaluation_data(folder / "rendered.npz")
    protocol = choose_protocol(data)
    assert protocol.name == "rendered"
    with pytest.raises(ConfigError, match="protocol rendered: defined on the free body, the network was trained on"):
        evaluate(small_hmr(), data, protocol)
    network = small_hmr(body="free")
    body = load_body("free")
    constant = constant_predictor(body, torch.as_tensor(POSE[0]), torch.as_tensor(BETAS[0]))
    (errors,) = evaluate(network, data, protocol, predict=constant).errors
    assert errors.accel_mm is None  # its pictures are no sequence
    regressor = body.regressors["h36m17"]
    places = [regressor.joint_names.index(name) for name in protocol.joints]
    joints = (regressor(posed(body).vertices) - regressor(posed(body).vertices)[:, :1]).numpy()[:, places]
    expected = by_hand(np.repeat(joints[:1], ROWS, axis=0), joints)
    assert (errors.mpjpe_mm, errors.pa_mpjpe_mm) == pytest.approx(expected, rel=1e-4)


def test_smpls_protocols_refuse_the_free_body(folder: Path) -> None:
    data = read_evaluation_data(folder / "pw3d_test.npz")
    with pytest.raises(ConfigError, match="protocol pw3d: defined on SMPL's body, got the free body"):
        evaluate(small_hmr(), data, PROTOCOLS["pw3d"], body="free")
    with pytest.raises(ConfigError, match="the network was trained on the free body: their numbers do not compare"):
        evaluate(small_hmr(body="free"), data, PROTOCOLS["pw3d"], body=folder / "smpl")
    with pytest.raises(ConfigError, match="--body: the protocol pw3d is defined on SMPL's body: give the folder"):
        evaluate(small_hmr(), data, PROTOCOLS["pw3d"])
    with pytest.raises(ConfigError, match=r"the parameters in .*rendered.npz are of the free body.*by --protocol rend"):
        choose_protocol(read_evaluation_data(folder / "rendered.npz"), "pw3d")
    with pytest.raises(ConfigError, match=r"is of the free body\. Leave --body out"):
        evaluate(
            small_hmr(body="free"),
            read_evaluation_data(folder / "rendered.npz"),
            PROTOCOLS["rendered"],
            body=folder / "smpl",
        )


def test_vertices_alone_are_measured_about_the_pelvis(folder: Path, bodies: Mapping[str, SMPL]) -> None:
    """What a network on the mesh gives stands anywhere."""
    data = read_evaluation_data(folder / "pw3d_test.npz")
    vertices = posed(bodies["n"]).vertices + 5.0

    def predict(images: Tensor) -> dict[str, Any]:
        return {"vertices": (vertices, None)}

    (errors,) = evaluate(
        small_hmr(), data, PROTOCOLS["pw3d"], body=folder / "smpl", true_gender="neutral", predict=predict
    ).errors
    assert errors.mpjpe_mm == pytest.approx(0, abs=5e-3)
    assert errors.pve_root_mm == pytest.approx(0, abs=5e-3)
    assert errors.pve_mm is None
    with pytest.raises(ConfigError, match=r"the network gives vertices alone\. Measure it by --protocol mi"):
        evaluate(
            small_hmr(),
            read_evaluation_data(folder / "mpi_inf_3dhp_test.npz"),
            PROTOCOLS["mi-toolbox"],
            body=folder / "smpl",
            predict=predict,
        )


def test_answers_that_are_no_numbers_are_told(folder: Path, bodies: Mapping[str, SMPL]) -> None:
    network = small_hmr()
    torch.nn.init.constant_(network.regressor.betas.bias, float("nan"))
    data = read_evaluation_data(folder / "pw3d_test.npz")
    with pytest.raises(DataError, match="row 0 and after: the network's parameters are NaN or infinite"):
        evaluate(network, data, PROTOCOLS["pw3d"], body=folder / "smpl")
    assert set(predictor(small_hmr(), bodies["n"])(torch.zeros(1, 3, 64, 64))) == {"parameters"}
    with pytest.raises(ConfigError, match="the network is an adversary"):
        evaluate(Discriminator(DiscriminatorConfig()), data, PROTOCOLS["pw3d"])
    with pytest.raises(ConfigError, match="batch: expected 1 or more, got 0"):
        evaluate(small_hmr(), data, PROTOCOLS["pw3d"], batch=0)


class TestFaultsOfFiles:
    def test_bodies_and_regressors_that_are_missing(self, folder: Path, tmp_path: Path) -> None:
        data = read_evaluation_data(folder / "pw3d_test.npz")
        one = folder / "smpl" / "SMPL_NEUTRAL.npz"
        with pytest.raises(ConfigError, match=r"one file, but the truth is of female, male bodies .* Give the folder"):
            evaluate(small_hmr(), data, PROTOCOLS["pw3d"], body=one)
        alone = tmp_path / "SMPL_NEUTRAL.npz"
        alone.symlink_to(one)
        for protocol, said in (("h36m", "J_regressor_h36m.npy is"), ("mi-toolbox", "J_regressor_extra.npy of 9 rows")):
            with pytest.raises(DataError, match=said):
                evaluate(small_hmr(), data, PROTOCOLS[protocol], body=alone)  # type: ignore[index]
        np.save(tmp_path / "J_regressor_extra.npy", synthetic_regressor(14, 401, 7, 5))
        with pytest.raises(FormatError, match="GraphCMR and Graphormer, 14 rows"):
            evaluate(small_hmr(), data, PROTOCOLS["mi-toolbox"], body=alone)

    def test_data_without_what_counts(self, folder: Path) -> None:
        labels = read_evaluation_data(folder / "h36m_valid.npz")
        with pytest.raises(DataError, match="no parameters of a body, which are the truth of this protocol"):
            evaluate(small_hmr(), labels, PROTOCOLS["pw3d"], body=folder / "smpl")
        bodies = read_evaluation_data(folder / "pw3d_test.npz")
        with pytest.raises(DataError, match="no row has all that the protocol h36m counts"):
            evaluate(small_hmr(), bodies, PROTOCOLS["h36m"], body=folder / "smpl")

    def test_genders_and_boxes(self, folder: Path, tmp_path: Path) -> None:
        smpl = {"global_orient": POSE[:, 0], "body_pose": POSE[:, 1:], "betas": BETAS}
        paths = ("a.png",) * ROWS
        boxes = np.tile([10.0, 5, 40, 50, 1], (ROWS, 1))
        file = tmp_path / "pw3d.npz"
        write_human_data(HumanData(image_path=paths, bbox_xywh=boxes, smpl=smpl), file)
        with pytest.raises(DataError, match=r"says no gender, .* State --true-gender neutral"):
            evaluate(small_hmr(), read_evaluation_data(file), PROTOCOLS["pw3d"], body=folder / "smpl")
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

    def test_pictures(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "pw3d_test.npz"
        file.write_bytes((folder / "pw3d_test.npz").read_bytes())
        data = read_evaluation_data(file)

        def measured(**options: Any) -> Any:
            return evaluate(small_hmr(), data, PROTOCOLS["pw3d"], body=folder / "smpl", **options)

        with pytest.raises(DataError, match=r"its first picture, imageFiles/walk/image_00000.png, is not below"):
            measured()
        monkeypatch.setenv("POSEWORKS_DATA", str(tmp_path / "data"))
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "pw3d").symlink_to(folder)
        assert measured().pictures_counted == ROWS
        for number in (0, 1, 2):
            write_picture_below(tmp_path / f"imageFiles/walk/image_{number:05d}.png", np.zeros((60, 80, 3), np.uint8))
        with pytest.raises(DataError, match=r"2 pictures of .* are missing, such as imageFiles/walk/image_00004.png"):
            measured()
        assert measured(pictures=folder).pictures_counted == ROWS
        for number in (4, 5):
            (tmp_path / f"imageFiles/walk/image_{number:05d}.png").write_text("no picture")
        with pytest.raises(DataError, match=r"row 3: .*image_00004.png: is no recording"):
            measured(batch=3)
        for number in (4, 5):
            write_picture_below(tmp_path / f"imageFiles/walk/image_{number:05d}.png", np.zeros((3, 4, 3), np.uint8))
        with pytest.raises(DataError, match=r"row 3: .*image_00004.png: box: .* lies outside the picture of 4 x 3"):
            measured()

    def test_names_and_layouts(self, folder: Path, tmp_path: Path) -> None:
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


def test_sequences_end_where_numbers_jump() -> None:
    names = ("a/x_01.jpg", "a/x_02.jpg", "b/x_03.jpg", "b/x_05.jpg", "b/x_06.jpg", "b/x.jpg", "b\\x_07.jpg")
    assert [part.tolist() for part in sequences(names)] == [[0, 1], [2], [3, 4], [5], [6]]


def test_the_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSEWORKS_DATA", raising=False)
    save(small_hmr(), tmp_path / "network")
    line = ["evaluate", str(tmp_path / "network"), "--data", str(folder / "pw3d_test.npz")]
    body = ["--body", str(folder / "smpl")]
    assert run(app, [*line, *body, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["pictures_counted"] == ROWS
    assert facts["errors"][0]["pa_mpjpe_mm"] > 0
    assert facts["true_gender"] == "stated"
    assert run(app, [*line, *body, "--per-joint"]) == 0
    said = capsys.readouterr().out
    for part in (
        "protocol pw3d", "5 of 5 pictures counted", "3DPW; truth: the data's parameters on the stated gender's body",
        "14 joints by Human3.6M's regressor, root: pelvis", "Boxes: bbox_xywh of the file, taken as enlarged already",
        "SMPL_NEUTRAL.npz", "affine, 224 x 224", "Nothing was claimed", "right_ankle",
    ):  # fmt: skip
        assert part in said
    assert run(app, line) == 2
    assert "error: --body: the protocol pw3d is defined on SMPL's body" in capsys.readouterr().err
    usual = tmp_path / "data" / "body_models"  # as toolboxes have it: the regressor above the bodies
    (usual / "smpl").mkdir(parents=True)
    for file in (folder / "smpl").iterdir():
        (usual / ("smpl" if file.suffix == ".npz" else ".") / file.name).symlink_to(file)
    monkeypatch.setenv("POSEWORKS_DATA", str(tmp_path / "data"))
    assert run(app, [*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["errors"] == facts["errors"]
