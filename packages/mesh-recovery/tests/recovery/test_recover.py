"""Recovery with networks that know the answer: what comes out must be where the people are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from poseworks.core.body_models import SMPL, load_body
from poseworks.core.body_models.data import BodyInfo
from poseworks.core.errors import CheckpointError, ConfigError, DataError
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.core.testing_bodies import random_motion
from poseworks.core.video import read_picture, write_picture
from poseworks.mesh_recovery import (
    HMR,
    BodyMesh,
    GraphCMR,
    GraphCMRConfig,
    Graphormer,
    GraphormerConfig,
    HMRConfig,
    HRNetConfig,
    ResNetConfig,
    body_mesh,
)
from poseworks.mesh_recovery.crops import MEAN, STD
from poseworks.mesh_recovery.graphcmr import MeshAndBody
from poseworks.mesh_recovery.graphormer import Mesh
from poseworks.mesh_recovery.hmr import BodyParameters
from poseworks.mesh_recovery.recovery import Boxes, recover

SIZE = (64, 48)
FRAMES = 5
TINY = ResNetConfig(width=2, blocks=(1, 1, 1, 1))
PLACES = np.array([[[-0.9 + 0.1 * f, 0.1, 3.5] for f in range(FRAMES)], [[0.8, 0.1 * f, 4.0] for f in range(FRAMES)]])
TRUE = random_motion(frames=FRAMES, people=2, frame="camera", seed=1).replace(transl=PLACES)
Sight = Callable[[int, int], tuple[Tensor, Tensor, Tensor]]  # person, frame -> rotations, betas, camera


@pytest.fixture(scope="module")
def body() -> SMPL:
    return load_body("free")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames whose red tells their number, and whose green is 50 in the left half and 200 in the right."""
    folder = tmp_path_factory.mktemp("pictures")
    for frame in range(FRAMES):
        picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        picture[..., 0] = 20 + 40 * frame
        picture[:, :32, 1], picture[:, 32:, 1] = 50, 200
        write_picture(folder / f"{frame}.png", picture)
    return folder


def boxes() -> Boxes:
    """One person in the left half, one in the right, each gone from a frame; of different sizes."""
    grid = np.array(
        [[[4.0 + f, 10, 8 + f, 12] for f in range(FRAMES)], [[44.0 - f, 14, 11, 9 + f] for f in range(FRAMES)]]
    )
    grid[0, 1] = grid[1, 4] = np.nan
    return Boxes(grid, np.array([3, 8]))


def camera(person: int, frame: int, focal: float, enlarge: float = 1.2) -> Tensor:
    """What a perfect network says of the crop: there the body has its size and place of the whole picture."""
    x, y, width, height = boxes().boxes[person, frame]
    side = enlarge * max(width, height)
    tx, ty, tz = TRUE.transl[person, frame].astype(float)
    scale = 2 * focal / (side * tz)
    # Pixels from the middle of the picture to that of the box are scale side / 2 metres' worth.
    shift = 2 * (np.array([x + width / 2, y + height / 2]) - np.array(SIZE) / 2) / (side * scale)
    return torch.tensor([scale, tx - shift[0], ty - shift[1]], dtype=torch.float32)


def seen_in(images: Tensor) -> list[tuple[int, int]]:
    """Person and frame of each crop, told by its middle."""
    color = images[:, :2, 112, 112] * torch.tensor(STD[:2]) + torch.tensor(MEAN[:2])
    red, green = (255 * color).T
    return [(int(g > 125), round((float(r) - 20) / 40)) for r, g in zip(red, green, strict=True)]


class Oracle(HMR):
    """Says what is true of the person and frame that the crop shows."""

    def __init__(self, name: str = "free", enlarge: float = 1.2, focal: float = 80.0) -> None:
        super().__init__(HMRConfig(backbone=TINY, feature_size=64, hidden=8, body=name))
        self.enlarge, self.focal = enlarge, focal
        self.batches: list[int] = []

    def forward(self, images: Tensor) -> BodyParameters:
        seen = seen_in(images)
        self.batches.append(len(seen))
        pose = torch.stack([torch.from_numpy(TRUE.pose[p, f]) for p, f in seen])
        betas = torch.stack([torch.from_numpy(TRUE.betas[p]) for p, _ in seen])
        return BodyParameters(
            axis_angle_to_matrix(pose), betas, torch.stack([camera(p, f, self.focal, self.enlarge) for p, f in seen])
        )


def rotations(pose: np.ndarray) -> Tensor:
    return axis_angle_to_matrix(torch.from_numpy(pose).double())


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_people_are_where_they_are_seen(pictures: Path, body: SMPL, batch: int) -> None:
    network, seen = Oracle().eval(), []
    found = recover(pictures, network, body, boxes(), focal=80.0, fps=10, batch=batch, advance=lambda: seen.append(1))
    motion = found.motion
    assert (motion.body, motion.frame, motion.focal, motion.image_size, motion.fps) == ("free", "camera", 80, SIZE, 10)
    there = np.ones((2, FRAMES), bool)
    there[0, 1] = there[1, 4] = False
    np.testing.assert_array_equal(motion.present, there)
    np.testing.assert_array_equal(motion.person_ids, [3, 8])
    np.testing.assert_allclose(motion.transl[there], TRUE.transl[there], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(motion.betas, TRUE.betas, rtol=1e-5)
    torch.testing.assert_close(rotations(motion.pose[there]), rotations(TRUE.pose[there]), rtol=0, atol=1e-5)
    assert sum(network.batches) == there.sum()
    assert len(seen) == FRAMES
    assert found.solved_mm is None
    entry = motion.history[-1]
    assert entry["settings"]["focal_from"] == "stated"
    assert entry["settings"]["betas"] == "median over the frames"


def test_the_focal_length_is_the_diagonal_and_the_crop_as_asked(pictures: Path, body: SMPL) -> None:
    network = Oracle(enlarge=0.9, focal=80.0).eval()  # 80 is the diagonal of 64 x 48
    found = recover(pictures, network, body, boxes(), enlarge=0.9)
    there = found.motion.present
    np.testing.assert_allclose(found.motion.transl[there], TRUE.transl[there], rtol=1e-4, atol=1e-4)
    assert found.motion.focal == 80
    assert any("80 px, the diagonal of the picture, was taken" in note for note in found.notes)
    assert "body: free, which the weights were made for" in found.notes


def test_betas_of_another_body_are_left_out(pictures: Path, body: SMPL) -> None:
    found = recover(pictures, Oracle("smpl").eval(), body, boxes(), focal=80.0)
    there = found.motion.present
    np.testing.assert_allclose(found.motion.transl[there], TRUE.transl[there], rtol=1e-4, atol=1e-4)
    assert not found.motion.betas.any()
    (note,) = [note for note in found.notes if note.startswith("free body, not SMPL: rotations and camera carry over")]
    assert note.endswith("the weights were made for the smpl body: betas are 0")
    assert found.motion.history[-1]["settings"]["body_of_weights"] == "smpl"


def test_bodies_are_drawn_where_they_are(pictures: Path, body: SMPL, tmp_path: Path) -> None:
    recover(pictures, Oracle().eval(), body, boxes(), focal=80.0, overlay=tmp_path / "drawn", batch=4)
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert len(drawn) == FRAMES
    for frame, path in enumerate(drawn):
        changed = read_picture(path)[..., 2] > 30  # of the blue, which no picture has
        expected = np.zeros_like(changed)
        for person in np.flatnonzero(np.isfinite(boxes().boxes[:, frame]).all(axis=-1)):
            truth = (TRUE.betas[person], TRUE.pose[person, frame], TRUE.transl[person, frame])
            vertices = body(*map(torch.from_numpy, truth)).vertices
            x, y = (80 * vertices[:, :2] / vertices[:, 2:] + torch.tensor(SIZE) / 2).floor().int().T
            inside = (x >= 0) & (x < SIZE[0]) & (y >= 0) & (y < SIZE[1])
            expected[y[inside], x[inside]] = True
        assert expected.sum() > 50
        # Vertices touch more pixels than those whose middle lies within the body.
        assert (changed & expected).sum() > max(0.95 * changed.sum(), 0.6 * expected.sum())


def test_boxes_outside_are_left_out_and_said(pictures: Path, body: SMPL) -> None:
    grid = boxes().boxes.copy()
    grid[0, 3] = [70, 10, 5, 5]
    grid[0, 0] = [5, 10, 1e-3, 1e-3]
    found = recover(pictures, Pixels().eval(), body, Boxes(grid, np.array([3, 8])), focal=80.0)
    assert not found.motion.present[0, [0, 1, 3]].any()
    assert "2 boxes lie outside of the picture, or are too small or too large: left out" in found.notes


class Pixels(Oracle):
    """With the crop of whole pixels, which a box of less than one does not have."""

    preparation = Oracle.preparation.model_copy(update={"crop": "pixels"})


class Looking(Oracle):
    """Keeps the crops, and sees somebody in the middle of each."""

    def forward(self, images: Tensor) -> BodyParameters:
        self.crops = images
        camera = torch.tensor([0.5, 0.1, -0.2]).expand(len(images), 3)
        return BodyParameters(torch.eye(3).expand(len(images), 24, 3, 3), torch.zeros(len(images), 10), camera)


def test_without_boxes_the_picture_is_the_box(pictures: Path, body: SMPL) -> None:
    network = Looking().eval()
    found = recover(pictures, network, body, focal=80.0)
    assert found.motion.present.shape == (1, FRAMES)
    assert found.motion.present.all()
    # A square of 64 pixels about the middle, not enlarged: tz = 2 f / (64 s); above and below the picture it is black.
    np.testing.assert_allclose(found.motion.transl[0], [[0.1, -0.2, 5.0]] * FRAMES, rtol=1e-5)
    red = network.crops[:, 0, :, 100] * STD[0] + MEAN[0]
    covered = (red > 0.05).float().mean(dim=1)
    np.testing.assert_allclose(covered, 48 / 64, atol=0.02)  # it fades out over a pixel of its own
    assert any(note.startswith("no boxes: the whole picture is taken as one person") for note in found.notes)


class Behind(Oracle):
    """Places the second person behind the camera."""

    def forward(self, images: Tensor) -> BodyParameters:
        found = super().forward(images)
        sign = torch.tensor([[-1.0 if person else 1.0] for person, _ in seen_in(images)])
        return found._replace(camera=found.camera * sign)


class Broken(Oracle):
    """Gives no numbers."""

    def forward(self, images: Tensor) -> BodyParameters:
        found = super().forward(images)
        return found._replace(betas=torch.full_like(found.betas, torch.nan))


def test_a_person_behind_the_camera_is_nobody(pictures: Path, body: SMPL) -> None:
    found = recover(pictures, Behind().eval(), body, boxes(), focal=80.0)
    np.testing.assert_array_equal(found.motion.person_ids, [3])
    assert "4 persons were placed behind the camera by the network: left out" in found.notes
    assert "not found in any frame, and left out: person 8" in found.notes


def test_what_cannot_work_is_refused(pictures: Path, body: SMPL, tmp_path: Path) -> None:
    network = Oracle().eval()
    for wrong, said in (
        ({"focal": 0.0}, "focal: expected pixels above 0, got 0.0"),
        ({"focal": float("nan")}, "focal: expected pixels above 0"),
        ({"enlarge": 0.0}, "enlarge: expected a number above 0"),
        ({"batch": 0}, "batch: expected 1 or more"),
        ({"overlay": tmp_path / "a.gif"}, r"a\.gif: overlays are written as \.mp4"),
        ({"overlay": tmp_path}, "already exists"),
        ({"overlay": tmp_path / "no" / "a.mp4"}, "does not exist. Create it first"),
    ):
        with pytest.raises(ConfigError, match=said):
            recover(pictures, network, body, boxes(), **wrong)
    assert network.batches == []
    whole = Boxes(boxes().boxes[:, :4], np.array([3, 8]), image_size=SIZE, whole=True)
    with pytest.raises(DataError, match="has 5 frames, the boxes or keypoints 4"):
        recover(pictures, network, body, whole, overlay=tmp_path / "o")
    long = Boxes(np.concatenate([boxes().boxes] * 2, axis=1), np.array([3, 8]))
    with pytest.raises(DataError, match="has 5 frames, the boxes or keypoints 10"):
        recover(pictures, network, body, long)
    with pytest.raises(DataError, match="is of 64 x 48 pixels, the keypoints are of 640 x 480"):
        recover(pictures, network, body, Boxes(boxes().boxes, np.array([3, 8]), image_size=(640, 480)))
    outside = Boxes(boxes().boxes + np.array([500, 0, 0, 0]), np.array([3, 8]))
    with pytest.raises(DataError, match="nobody was found in any frame: 8 boxes cannot be cropped"):
        recover(pictures, network, body, outside)
    with pytest.raises(CheckpointError, match="Broken: its weights give numbers that are not finite"):
        recover(pictures, Broken().eval(), body, boxes())


@pytest.fixture(scope="module")
def free_mesh() -> BodyMesh:
    return body_mesh(None, "free")


def meshes(images: Tensor, body: SMPL) -> tuple[Tensor, Tensor]:
    """Vertices as a network with a mesh gives them, upright but not at the origin, and cameras."""
    seen = seen_in(images)
    vertices, cameras = [], []
    for person, frame in seen:
        pose, betas = torch.from_numpy(TRUE.pose[person, frame]), torch.from_numpy(TRUE.betas[person])
        vertices.append(body(betas, pose, torch.tensor([0.1, -0.2, 0.0])).vertices)
        cameras.append(camera(person, frame, 80.0))
    return torch.stack(vertices), torch.stack(cameras)


class MeshOracle(Graphormer):
    """Says the true vertices, and nothing else."""

    def __init__(self, mesh: BodyMesh) -> None:
        backbone = HRNetConfig(features="classified", width=4, stem=8, modules=(1, 1, 1), blocks=1, head_width=2)
        config = GraphormerConfig(
            backbone=backbone, hidden=(16, 16, 8), outputs=(12, 8, 3), layers=1, camera_hidden=8, body="free"
        )
        super().__init__(config, mesh)
        self.preparation = HMR.preparation

    def forward(self, images: Tensor, *_: Any) -> Mesh:
        vertices, cameras = meshes(images, self._mesh.body)
        return Mesh(cameras, vertices[:, :14], vertices[:, :431], vertices[:, :1723], vertices)


class GraphOracle(GraphCMR):
    """Says the true vertices, and the true parameters if it has a second network."""

    def __init__(self, mesh: BodyMesh, parameters: bool) -> None:
        config = GraphCMRConfig(backbone=TINY, channels=64, layers=0, hidden=8, parameters=parameters, body="free")
        super().__init__(config, mesh)
        self.preparation = HMR.preparation
        self.truth, self.true_body = Oracle(), mesh.body

    def forward(self, images: Tensor) -> MeshAndBody:
        vertices, cameras = meshes(images, self.true_body)
        said = self.truth(images) if self.regressor is not None else None
        more = (None, None) if said is None else (said.rotations, said.betas)
        return MeshAndBody(vertices[:, :1723], vertices, cameras, *more)


@pytest.mark.parametrize("make", [MeshOracle, partial(GraphOracle, parameters=False)], ids=["graphormer", "graphcmr"])
def test_of_vertices_alone_rotations_are_solved(
    make: Callable[[BodyMesh], Any], free_mesh: BodyMesh, pictures: Path
) -> None:
    network = make(free_mesh).eval()
    found = recover(pictures, network, free_mesh.body, boxes(), focal=80.0)
    there = found.motion.present
    offset = np.array([0.1, -0.2, 0.0])
    np.testing.assert_allclose(found.motion.transl[there], TRUE.transl[there] + offset, atol=0.02)
    assert found.solved_mm is not None
    assert found.solved_mm.max() < 12  # poses of 0.6 rad in every joint
    assert "the network gives vertices alone: rotations and betas were solved for, from them" in found.notes
    assert found.motion.history[-1]["settings"]["rotations"] == "solved from vertices"
    smpl = load_body("free")
    smpl.info = BodyInfo("smpl")
    with pytest.raises(ConfigError, match="gives vertices of the body 'free' and no rotations"):
        recover(pictures, network, smpl, boxes())


def test_graphcmr_with_its_second_network_is_taken_by_its_word(pictures: Path, free_mesh: BodyMesh) -> None:
    found = recover(pictures, GraphOracle(free_mesh, parameters=True).eval(), free_mesh.body, boxes(), focal=80.0)
    there = found.motion.present
    np.testing.assert_allclose(found.motion.transl[there], TRUE.transl[there], rtol=1e-4, atol=1e-4)
    assert found.solved_mm is None
