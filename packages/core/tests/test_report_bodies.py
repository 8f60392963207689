"""Bodies in the report page: what a browser needs to move them is embedded, on a mesh that anyone may pass on."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from poseworks.core.body_models import load_body
from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.report import Report, ReportBody, embed, write_report
from poseworks.core.report.embed_bodies import rest_shapes
from poseworks.core.testing_bodies import random_motion


class Page:
    """Facts and arrays of a written page."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        self.facts: dict[str, Any] = json.loads(self._element("data"))

    def _element(self, key: str) -> str:
        found = re.search(rf'<script type="[a-z/]+" id="{key}">(.*?)</script>', self.text)
        assert found is not None
        return found[1]

    def array(self, key: str, dtype: str) -> NDArray[Any]:
        return np.frombuffer(base64.b64decode(self._element(key)), dtype=dtype)

    def numbers(self, facts: dict[str, Any], shape: tuple[int, ...]) -> NDArray[np.floating]:
        if facts["type"] == "float32":
            return self.array(facts["key"], "<f4").reshape(shape)
        numbers = self.array(facts["key"], "<i2").reshape(shape)
        return np.where(numbers == embed.MISSING, np.nan, numbers * np.array(facts["step"]) + np.array(facts["offset"]))


def written(tmp_path: Path, *bodies: ReportBody) -> Page:
    write_report(tmp_path / "page.html", Report("Bodies", (), bodies=bodies))
    return Page(tmp_path / "page.html")


def test_poses_shapes_and_gaps_can_be_read_back(tmp_path: Path) -> None:
    motion = random_motion(5, people=2, gaps=True)
    page = written(tmp_path, ReportBody("Fitted", motion, "green"))
    (facts,) = page.facts["bodies"]
    assert (facts["label"], facts["colour"], facts["frame"], facts["people"]) == ("Fitted", "green", "world", [2, 9])
    np.testing.assert_array_equal(page.numbers(facts["pose"], (2, 5, 24, 3)), motion.pose)
    np.testing.assert_array_equal(page.numbers(facts["transl"], (2, 5, 3)), motion.transl)
    body = load_body("free")
    betas = torch.from_numpy(motion.betas)
    vertices, joints = body.rest_vertices(betas)[:, :1723], body.rest_joints(betas)
    np.testing.assert_allclose(page.numbers(facts["rest"], (2, 1723, 3)), vertices, atol=2e-5)
    np.testing.assert_allclose(page.numbers(facts["restJoints"], (2, 24, 3)), joints, atol=1e-6)


def test_skin_and_triangles_are_those_of_the_middle_level_once(tmp_path: Path) -> None:
    body = load_body("free")
    page = written(tmp_path, ReportBody("a", random_motion(2)), ReportBody("b", random_motion(3)))
    mesh = page.facts["mesh"]
    assert len(page.facts["bodies"]) == 2
    assert page.text.count('id="mesh-faces"') == 1
    np.testing.assert_array_equal(page.array(mesh["faces"], "<u2").reshape(-1, 3), body.lower_faces[0])
    np.testing.assert_array_equal(page.array(mesh["coarse"], "<u2").reshape(-1, 3), body.lower_faces[1])
    weights = np.zeros((mesh["vertices"], 24))
    joints = page.array(mesh["skinJoints"], "u1").reshape(-1, 4)
    shares = page.array(mesh["skinWeights"], "<u2").reshape(-1, 4) / 65535
    np.add.at(weights, (np.arange(len(joints))[:, None], joints), shares)
    np.testing.assert_allclose(weights, body.surface.weights[: mesh["vertices"]], atol=1e-5)
    assert tuple(mesh["parents"]) == body.parents


def test_a_licensed_shape_is_never_in_a_page(tmp_path: Path) -> None:
    motion = random_motion(3).replace(body="smpl", betas=np.full((1, 16), 3.0))
    page = written(tmp_path, ReportBody("SMPL", motion))
    (facts,) = page.facts["bodies"]
    assert facts["skeleton"] == "smpl body, shown on the free body's mean shape"
    free = load_body("free")
    np.testing.assert_allclose(page.numbers(facts["rest"], (1, 1723, 3))[0], free.v_template[:1723], atol=2e-5)
    np.testing.assert_array_equal(page.numbers(facts["pose"], (1, 3, 24, 3)), motion.pose)


def test_a_motion_with_few_betas_has_its_shape() -> None:
    full = random_motion(2)
    few = full.replace(betas=full.betas[:, :3])
    padded = full.replace(betas=np.pad(few.betas, ((0, 0), (0, 7))))
    for one, other in zip(rest_shapes(few), rest_shapes(padded), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_camera_and_times_are_embedded(tmp_path: Path) -> None:
    times = np.array([0, 0.1, 0.15])
    motion = random_motion(3, frame="camera").replace(focal=900.0, image_size=(640, 480), times=times)
    page = written(tmp_path, ReportBody("Seen", motion))
    (facts,) = page.facts["bodies"]
    assert (facts["focal"], facts["imageSize"], facts["unit"]) == (900, [640, 480], "m")
    np.testing.assert_array_equal(page.array(facts["times"], "<f8"), times)


def test_long_motion_is_rounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "MAX_EXACT_BYTES", 1000)
    motion = random_motion(40, gaps=True)
    page = written(tmp_path, ReportBody("Long", motion))
    (facts,) = page.facts["bodies"]
    assert facts["pose"]["type"] == facts["transl"]["type"] == "int16"
    np.testing.assert_allclose(page.numbers(facts["pose"], (1, 40, 24, 3)), motion.pose, atol=2e-4)


def test_the_history_of_a_body_is_told(tmp_path: Path) -> None:
    entry = {"verb": "fit", "package": "poseworks-mesh-recovery", "settings": {"sigma": "</script><b>"}}
    page = written(tmp_path, ReportBody("Fitted", random_motion(2).replace(history=(entry,))))
    assert "<strong>fit poseworks-mesh-recovery</strong>" in page.text
    assert "&lt;/script&gt;&lt;b&gt;" in page.text


def test_nobody_there_makes_a_page(tmp_path: Path) -> None:
    empty = np.zeros((0, 4, 3), np.float32)
    motion = BodyMotion(
        global_orient=empty,
        body_pose=np.zeros((0, 4, 23, 3), np.float32),
        betas=np.zeros((0, 10), np.float32),
        transl=empty,
        fps=30,
        body="free",
    )
    assert written(tmp_path, ReportBody("Nobody", motion)).facts["bodies"][0]["shape"] == [0, 4, 24, 3]


def test_a_page_with_bodies_does_not_import_torch(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from poseworks.core.report import Report, ReportBody, write_report\n"
        "from poseworks.core.body_models.motion import BodyMotion\n"
        "still = BodyMotion(global_orient=np.zeros((1, 2, 3)), body_pose=np.zeros((1, 2, 23, 3)),\n"
        "    betas=np.zeros((1, 10)), transl=np.zeros((1, 2, 3)), fps=30, body='free')\n"
        "write_report(sys.argv[1], Report('T', (), bodies=(ReportBody('a', still),)))\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "page.html")], check=False)
    assert done.returncode == 0
    assert (tmp_path / "page.html").is_file()
