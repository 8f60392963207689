"""OBJ: read back by a reader of its own; the people of one frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from poseworks.core.body_models import SMPL, load_body
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.formats.obj import write_obj
from poseworks.core.testing_bodies import random_motion, synthetic_body


@pytest.fixture(scope="module")
def free() -> SMPL:
    return load_body("free")


def read(path: Path) -> tuple[list[str], NDArray[Any], NDArray[Any]]:
    """Names of the objects, vertices, triangles."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return (
        [line[1] for line in lines if line[0] == "o"],
        np.array([line[1:] for line in lines if line[0] == "v"], dtype=float),
        np.array([line[1:] for line in lines if line[0] == "f"], dtype=int),
    )


def test_read_back_it_is_the_surface_of_everyone(tmp_path: Path, free: SMPL) -> None:
    motion = random_motion(6, people=2, frame="camera", gaps=True)
    assert write_obj(motion, free, tmp_path / "body.obj", frame=1, up="z", unit="cm") == 1
    names, vertices, faces = read(tmp_path / "body.obj")
    posed = free(*(torch.from_numpy(x[:, 1] if x.ndim > 2 else x) for x in (motion.betas, motion.pose, motion.transl)))
    x, y, z = np.moveaxis(posed.vertices.numpy().reshape(-1, 3) * (100, -100, -100), -1, 0)
    np.testing.assert_allclose(vertices, np.stack((x, -z, y), 1), atol=1e-4)
    assert names == ["person_2", "person_9"]
    np.testing.assert_array_equal(faces, np.concatenate((free.faces + 1, free.faces + 1 + free.num_vertices)))


def test_without_a_frame_it_is_the_first_with_somebody(tmp_path: Path) -> None:
    body = SMPL(synthetic_body())  # with pose-dependent shape
    motion = random_motion(6, people=2, gaps=True).person(1).replace(body="smpl", person_ids=None)
    assert write_obj(motion, body, tmp_path / "body.obj") == 1
    names, vertices, _ = read(tmp_path / "body.obj")
    posed = body(*(torch.from_numpy(x) for x in (motion.betas[0], motion.pose[0, 1], motion.transl[0, 1])))
    np.testing.assert_allclose(vertices, posed.vertices.numpy(), atol=1e-5)
    assert names == ["person_0"]


def test_what_cannot_be_written_is_said(tmp_path: Path, free: SMPL) -> None:
    motion = random_motion(6, people=2, gaps=True).person(1)
    path = tmp_path / "body.obj"
    with pytest.raises(DataError, match=r"frame 0: nobody is there\. The first frame with somebody is 1"):
        write_obj(motion, free, path, frame=0)
    with pytest.raises(ConfigError, match="frame: expected 0 to 5, got 6"):
        write_obj(motion, free, path, frame=6)
    with pytest.raises(ConfigError, match="of the smpl body, got free"):
        write_obj(motion.replace(body="smpl"), free, path)
    path.write_text("old")
    with pytest.raises(ConfigError, match="exists"):
        write_obj(motion, free, path)
    write_obj(motion, free, path, overwrite=True)
    assert path.read_text().startswith("# free body, neutral, frame 1, m, y up\n")
