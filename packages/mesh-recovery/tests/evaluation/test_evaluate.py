"""Errors by the published protocols: against sums by hand, on data in the published layouts and a body of formulas."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from poseworks.core.body_models import SMPL, load_body
from poseworks.core.cli import run
from poseworks.core.errors import ConfigError, DataError
from poseworks.mesh_recovery import (
    HMR,
    Discriminator,
    DiscriminatorConfig,
    GraphCMR,
    GraphCMRConfig,
    ResNetConfig,
    body_mesh,
    save,
)
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
GENDER = ("m", "f", "f", "m", "m")
Make = Callable[..., HMR]
LEFT_FIRST_14 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)  # as published
OF_24 = (*range(13), 18)


@pytest.fixture(scope="module")
def bodies(folder: Path) -> Mapping[str, SMPL]:
    return {word[0]: load_body(folder / "smpl", gender=word) for word in ("neutral", "male", "female")}


def posed(folder: Path, body: SMPL, rows: Any = slice(None)) -> Any:
    """The people of the data sets, as a body has them."""
    with np.load(folder / "3dpw_spin.npz") as stored:
        pose, betas = stored["pose"][rows].reshape(-1, 24, 3), stored["shape"][rows]
    return body(torch.as_tensor(betas, dtype=torch.float32), torch.as_tensor(pose, dtype=torch.float32))


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


def the_network(network: HMR | GraphCMR, folder: Path, rows: int = ROWS) -> Any:
    """What a network says of the pictures, cropped by hand."""
    from poseworks.core.video import read_picture
    from poseworks.mesh_recovery import crop_box

    data = read_evaluation_data(folder / "pw3d_test.npz")
    exact = network.preparation.model_copy(update={"enlarge": 1.0})
    crops = [crop_box(read_picture(folder / data.pictures[row]), (5, 5, 50, 50), exact)[0] for row in range(rows)]
    with torch.no_grad():
        return network(torch.stack(crops))


def test_3dpw_takes_the_gender_of_the_truth_and_the_neutral_prediction(
    hmr: Make, folder: Path, bodies: Mapping[str, SMPL], leg_regressor: np.ndarray
) -> None:
    network = hmr()
    answer = the_network(network, folder)
    found = bodies["n"](answer.betas, answer.rotations).vertices.detach().numpy()
    true = np.stack([posed(folder, bodies[word], [row]).vertices[0].numpy() for row, word in enumerate(GENDER)])
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


def test_the_truth_itself_has_no_error(hmr: Make, folder: Path, bodies: Mapping[str, SMPL]) -> None:
    data = read_evaluation_data(folder / "pw3d_test.npz")
    rows = iter(range(ROWS))

    def truth(images: Tensor) -> dict[str, Any]:
        whole = [posed(folder, bodies[GENDER[row]], [row]) for _, row in zip(images, rows, strict=False)]
        return {"parameters": (torch.cat([x.vertices for x in whole]), torch.cat([x.joints for x in whole]))}

    (errors,) = evaluate(hmr(), data, PROTOCOLS["pw3d"], body=folder / "smpl", batch=1, predict=truth).errors
    assert [errors.mpjpe_mm, errors.pve_mm, errors.accel_mm] == [0, 0, 0]
    assert errors.pa_mpjpe_mm == pytest.approx(0, abs=1e-3)
    assert errors.pck_150mm == 1
    assert errors.auc == pytest.approx(30 / 31)  # below 0 lies nothing


@pytest.mark.parametrize(("file", "convention"), [("h36m_valid.npz", "h36m"), ("mpi_inf_3dhp_valid.npz", "smpl_24")])
def test_labels_are_taken_where_they_stand(
    hmr: Make, folder: Path, bodies: Mapping[str, SMPL], leg_regressor: np.ndarray, file: str, convention: str
) -> None:
    network = hmr()
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


def test_the_toolboxs_protocol_of_mi_is_about_the_hips(hmr: Make, folder: Path, bodies: Mapping[str, SMPL]) -> None:
    network = hmr()
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


def test_rendered_pictures_are_measured_on_the_free_body(hmr: Make, folder: Path) -> None:
    data = read_evaluation_data(folder / "rendered.npz")
    protocol = choose_protocol(data)
    assert protocol.name == "rendered"
    with pytest.raises(ConfigError, match="protocol rendered: defined on the free body, the network was trained on"):
        evaluate(hmr(), data, protocol)
    network = hmr(body="free")
    body = load_body("free")
    with np.load(folder / "3dpw_spin.npz") as stored:
        pose, betas = stored["pose"][0].reshape(24, 3), stored["shape"][0]
    constant = constant_predictor(body, torch.as_tensor(pose), torch.as_tensor(betas))
    (errors,) = evaluate(network, data, protocol, predict=constant).errors
    assert errors.accel_mm is None  # its pictures are no sequence
    regressor = body.regressors["h36m17"]
    places = [regressor.joint_names.index(name) for name in protocol.joints]
    joints = (regressor(posed(folder, body).vertices) - regressor(posed(folder, body).vertices)[:, :1]).numpy()[
        :, places
    ]
    expected = by_hand(np.repeat(joints[:1], ROWS, axis=0), joints)
    assert (errors.mpjpe_mm, errors.pa_mpjpe_mm) == pytest.approx(expected, rel=1e-4)


def test_networks_on_the_mesh_are_measured_by_each_of_their_answers(folder: Path) -> None:
    torch.manual_seed(0)
    backbone = ResNetConfig(width=4, blocks=(1, 1, 1, 1))
    network = GraphCMR(
        GraphCMRConfig(backbone=backbone, channels=64, layers=0, hidden=8, body="free"), body_mesh(None, "free")
    ).eval()
    with torch.no_grad():
        answer = the_network(network, folder)
    body = load_body("free")
    own, true = body(answer.betas, answer.rotations).vertices, posed(folder, body).vertices
    regressor = body.regressors["h36m17"]
    places = [regressor.joint_names.index(name) for name in PROTOCOLS["rendered"].joints]
    joints = [(regressor(each) - regressor(each)[:, :1]).numpy()[:, places] for each in (answer.vertices, own, true)]
    errors = evaluate(network, read_evaluation_data(folder / "rendered.npz"), PROTOCOLS["rendered"]).errors
    assert [each.output for each in errors] == ["vertices", "parameters"]
    for each, found in zip(errors, joints, strict=False):
        assert (each.mpjpe_mm, each.pa_mpjpe_mm) == pytest.approx(by_hand(found, joints[2]), rel=1e-3)
    assert [each.pve_mm is None for each in errors] == [True, False]


def test_smpls_protocols_refuse_the_free_body(hmr: Make, folder: Path) -> None:
    data = read_evaluation_data(folder / "pw3d_test.npz")
    with pytest.raises(ConfigError, match="protocol pw3d: defined on SMPL's body, got the free body"):
        evaluate(hmr(), data, PROTOCOLS["pw3d"], body="free")
    with pytest.raises(ConfigError, match="the network was trained on the free body: their numbers do not compare"):
        evaluate(hmr(body="free"), data, PROTOCOLS["pw3d"], body=folder / "smpl")
    with pytest.raises(ConfigError, match="--body: the protocol pw3d is defined on SMPL's body: give the folder"):
        evaluate(hmr(), data, PROTOCOLS["pw3d"])
    with pytest.raises(ConfigError, match=r"the parameters in .*rendered.npz are of the free body.*by --protocol rend"):
        choose_protocol(read_evaluation_data(folder / "rendered.npz"), "pw3d")
    with pytest.raises(ConfigError, match=r"is of the free body\. Leave --body out"):
        evaluate(
            hmr(body="free"),
            read_evaluation_data(folder / "rendered.npz"),
            PROTOCOLS["rendered"],
            body=folder / "smpl",
        )


def test_vertices_alone_are_measured_about_the_pelvis(hmr: Make, folder: Path, bodies: Mapping[str, SMPL]) -> None:
    """What a network on the mesh gives stands anywhere."""
    data = read_evaluation_data(folder / "pw3d_test.npz")
    vertices = posed(folder, bodies["n"]).vertices + 5.0

    def predict(images: Tensor) -> dict[str, Any]:
        return {"vertices": (vertices, None)}

    (errors,) = evaluate(
        hmr(), data, PROTOCOLS["pw3d"], body=folder / "smpl", true_gender="neutral", predict=predict
    ).errors
    assert errors.mpjpe_mm == pytest.approx(0, abs=5e-3)
    assert errors.pve_root_mm == pytest.approx(0, abs=5e-3)
    assert errors.pve_mm is None
    with pytest.raises(ConfigError, match=r"the network gives vertices alone\. Measure it by --protocol mi"):
        evaluate(
            hmr(),
            read_evaluation_data(folder / "mpi_inf_3dhp_test.npz"),
            PROTOCOLS["mi-toolbox"],
            body=folder / "smpl",
            predict=predict,
        )


def test_answers_that_are_no_numbers_are_told(hmr: Make, folder: Path, bodies: Mapping[str, SMPL]) -> None:
    network = hmr()
    torch.nn.init.constant_(network.regressor.betas.bias, float("nan"))
    data = read_evaluation_data(folder / "pw3d_test.npz")
    with pytest.raises(DataError, match="row 0 and after: the network's parameters are NaN or infinite"):
        evaluate(network, data, PROTOCOLS["pw3d"], body=folder / "smpl")
    assert set(predictor(hmr(), bodies["n"])(torch.zeros(1, 3, 64, 64))) == {"parameters"}
    with pytest.raises(ConfigError, match="the network is an adversary"):
        evaluate(Discriminator(DiscriminatorConfig()), data, PROTOCOLS["pw3d"])
    with pytest.raises(ConfigError, match="batch: expected 1 or more, got 0"):
        evaluate(hmr(), data, PROTOCOLS["pw3d"], batch=0)


def test_sequences_end_where_numbers_jump() -> None:
    names = ("a/x_01.jpg", "a/x_02.jpg", "b/x_03.jpg", "b/x_05.jpg", "b/x_06.jpg", "b/x.jpg", "b\\x_07.jpg")
    assert [part.tolist() for part in sequences(names)] == [[0, 1], [2], [3, 4], [5], [6]]


def test_the_command(
    hmr: Make, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSEWORKS_DATA", raising=False)
    save(hmr(), tmp_path / "network")
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
