"""A data set of rendered pictures of the free body: to train without licensed data, and to test a training with.

Each picture has one person in a pose of the given motion (or of the free pose prior), of any shape and in any clothes,
seen by a camera from anywhere around. What is drawn for picture n follows from (seed, n). The data set is HumanData,
as published ones are: the same reader reads it. Its pose and betas are the free body's, which `meta` says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import atomic_folder
from poseworks.core.formats.human_data import NUM_JOINTS, HumanData, write_human_data
from poseworks.core.training.random import derived_seed
from poseworks.core.video import read_picture, write_picture
from poseworks.mesh_recovery.learning.people import People, Person, RenderSettings, take_picture
from poseworks.mesh_recovery.learning.scenery import any_background, part_of

Array = NDArray[np.float64]

FILE = "rendered.npz"
PICTURES = "pictures"
_A_FOLDER = 1000  # pictures
_STREAM = 31


def write_rendered(
    folder: str | os.PathLike[str],
    count: int,
    poses: Array | None = None,
    *,
    settings: RenderSettings = RenderSettings(),  # noqa: B008 (frozen)
    seed: int = 0,
    backgrounds: Sequence[Path] = (),
    workers: int = 0,
    overwrite: bool = False,
    advance: Callable[[], object] | None = None,
) -> HumanData:
    """Writes a data set: ``rendered.npz``, and the pictures in folders below ``pictures``.

    Args:
        folder: to write; it appears when all is done.
        count: of pictures.
        poses: (N, 24, 3) axis-angles in a world with y up (see `world_poses`); None: those of the free pose prior.
        settings: what is drawn.
        seed: picture n follows from this and n.
        backgrounds: photos, of which parts are shown behind people; without any, backgrounds are made up.
        workers: processes that draw; 0: none beside this one. The data set is the same.
        overwrite: replace the folder if it is there.
        advance: called after each picture.

    Raises:
        ConfigError: the folder exists, or a count below 1.
        DataError: poses are not finite, a photo cannot be read, or the folder cannot be written.
    """
    if count < 1:
        raise ConfigError(f"count: expected 1 or more pictures, got {count}.")
    with atomic_folder(folder, overwrite) as target:
        for number in range(0, count, _A_FOLDER):
            (target / _picture_path(number)).parent.mkdir(parents=True, exist_ok=True)
        pictures = _Pictures(People(poses, settings), target, tuple(backgrounds), seed, count)
        people: list[Person] = []
        for person in DataLoader(pictures, batch_size=None, shuffle=False, num_workers=workers, collate_fn=_as_it_is):
            if isinstance(person, Exception):
                raise person
            people.append(person)
            if advance is not None:
                advance()
        data = _human_data(people, settings, seed)
        write_human_data(data, target / FILE, plain=True)
    return data


def _as_it_is(read: Any) -> Any:
    return read


def _picture_path(number: int) -> str:
    return f"{PICTURES}/{number // _A_FOLDER:04d}/{number:07d}.jpg"


class _Pictures(Dataset[Person | Exception]):
    """Draws and writes picture n; gives the person without the vertices, or the error."""

    def __init__(self, people: People, folder: Path, backgrounds: tuple[Path, ...], seed: int, count: int) -> None:
        self.people, self.folder, self.backgrounds, self.seed, self.count = people, folder, backgrounds, seed, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Person | Exception:
        rng = np.random.default_rng(derived_seed(self.seed, number, _STREAM))
        size = self.people.settings.size
        try:
            person = self.people.draw(rng)
            if self.backgrounds:
                photo = read_picture(self.backgrounds[int(rng.integers(len(self.backgrounds)))])
                background = part_of(photo, size, rng)
            else:
                background = any_background(size, rng)
            picture = take_picture(self.people, person, background, rng)
            write_picture(self.folder / _picture_path(number), picture)
        except (DataError, OSError) as error:
            return error
        return Person(**{**vars(person), "vertices": np.zeros((0, 3))})


def _human_data(people: Sequence[Person], settings: RenderSettings, seed: int) -> HumanData:
    def stacked(name: str) -> NDArray[np.float32]:
        return np.stack([getattr(person, name) for person in people]).astype(np.float32)

    poses, joints = stacked("pose"), stacked("joints")
    mask = joints[0, :, 3].astype(np.uint8)
    boxes = stacked("box")
    assert len(mask) == NUM_JOINTS
    return HumanData(
        image_path=tuple(_picture_path(number) for number in range(len(people))),
        bbox_xywh=np.concatenate([boxes, np.ones_like(boxes[:, :1])], axis=1),
        keypoints2d=stacked("keypoints"),
        keypoints2d_mask=mask,
        keypoints3d=joints,
        keypoints3d_mask=mask,
        smpl={
            "global_orient": poses[:, 0], "body_pose": poses[:, 1:], "betas": stacked("betas"),
            "transl": stacked("transl"),
        },
        other={
            "meta": {"body": "free", "gender": ["n"] * len(people)},
            "cam_param": {"focal_px": np.array([person.focal_px for person in people]), "size": settings.size},
            "config": f"rendered pictures of the free body, seed {seed}, {settings.model_dump_json()}",
        },
    )  # fmt: skip
