"""Body motion of the people in a recording, frame by frame, from pictures alone.

A box is cropped as the weights were trained; what the network says of the crop is moved to a camera of the whole
picture (`full_image_translation`). Each frame stands alone: nothing is smoothed.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.body_models import SMPL, BodyMotion
from poseworks.core.cameras import Pinhole, full_image_translation
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.poses import PoseSequence, history_entry
from poseworks.core.rotations import matrix_to_axis_angle
from poseworks.core.video import Frame, Video, ahead, even_rate, open_video
from poseworks.mesh_recovery.crops import Preparation, crop_box
from poseworks.mesh_recovery.overlay import Picture, Vertices, check_overlay, draw_bodies, write_frames
from poseworks.mesh_recovery.recovery.boxes import Boxes, boxes_of_poses, whole_picture
from poseworks.mesh_recovery.recovery.networks import (
    Found,
    RecoveryNetwork,
    expect_body,
    find,
    solves,
    trained_body,
)


@dataclass(frozen=True, eq=False)
class Recovered:
    """What was found.

    Attributes:
        motion: in the axes of the camera; NaN where a person was not looked at or not found.
        notes: sentences that a reader has to know.
        solved_mm: (P,) mean distance of the body's vertices from those that the network gave, where rotations were
            solved for; None where the network gives them itself.
    """

    motion: BodyMotion
    notes: tuple[str, ...]
    solved_mm: NDArray[np.float64] | None


def recover(
    source: str | os.PathLike[str],
    network: RecoveryNetwork,
    body: SMPL,
    people: Boxes | PoseSequence | None = None,
    *,
    focal: float | None = None,
    enlarge: float | None = None,
    fps: float | None = None,
    batch: int = 16,
    overlay: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    model: str | None = None,
    advance: Callable[[], None] | None = None,
) -> Recovered:
    """The people in a recording as motion of `body`.

    Args:
        source: of the recording: whatever `open_video` reads.
        network: in eval mode, on any device; `network.preparation` says how pictures are cropped.
        body: that the motion is of. Another one than the weights were made for takes their rotations and cameras, with
            betas of 0.
        people: boxes of the people, or their keypoints, of the same frames. None: the whole picture is of one.
        focal: of the recording's camera, in pixels; None: the diagonal of the picture.
        enlarge: times a box, what is cropped; None: as the weights were trained, of a whole picture 1.
        fps: frames per second of pictures, as for `open_video`.
        batch: persons that the network sees at once.
        overlay: where the recording with the bodies of each frame over it is written, as `write_overlay` does it.
        overwrite: replace the overlay that is there.
        model: its name, for the history.
        advance: called after each frame.

    Raises:
        ConfigError: a number is out of range, the body does not fit the network, or the overlay cannot be written.
        DataError: the recording cannot be read, the people are not of its frames, or nobody is in any of them.
        CheckpointError: the weights give numbers that are not finite.
    """
    if focal is not None and not (math.isfinite(focal) and focal > 0):
        raise ConfigError(f"focal: expected pixels above 0, got {focal}. Leave it out if it is unknown.")
    if enlarge is not None and not (math.isfinite(enlarge) and enlarge > 0):
        raise ConfigError(f"enlarge: expected a number above 0, got {enlarge}.")
    if batch < 1:
        raise ConfigError(f"batch: expected 1 or more, got {batch}.")
    expect_body(network, body)
    if overlay is not None:
        check_overlay(Path(overlay), overwrite)
    given = boxes_of_poses(people) if isinstance(people, PoseSequence) else people
    if enlarge is None and given is None:
        enlarge = 1.0
    preparation = (
        network.preparation if enlarge is None else network.preparation.model_copy(update={"enlarge": enlarge})
    )
    with open_video(source, fps=fps) as video:
        width, height = video.info.size
        boxes = given or whole_picture((width, height))
        _expect_size(boxes, video, source)
        camera = Pinhole.from_focal(focal or math.hypot(width, height), (width, height))
        run = _Run(network, body, boxes, preparation, camera, batch, draws=overlay is not None, advance=advance)
        frames = run.frames(video)
        if overlay is None:
            deque(frames, maxlen=0)
        else:
            write_frames(overlay, frames, overwrite=overwrite)
        _expect_frames(boxes, video, source)
        rate, times = even_rate(video.times, video.info.fps)
        motion = run.motion(len(video.times), fps=rate, times=times, image_size=(width, height), focal=camera.fx)
        notes = (*run.notes(focal), *video.notes)
    settings = {
        "method": network.config.kind,
        "body": body.info.name,
        "body_of_weights": trained_body(network),
        "betas": "median over the frames" if run.same_body else "0",
        "rotations": "solved from vertices" if solves(network) else "the network's",
        "focal": camera.fx,
        "focal_from": "the diagonal of the picture" if focal is None else "stated",
        "preparation": preparation.model_dump(),
    }
    entry = history_entry(
        "recover", "poseworks-mesh-recovery", settings, model or network.source or None, network.sha256 or None
    )
    return Recovered(motion.with_step(entry), notes, run.solved_mm())


@dataclass
class _Person:
    """What was found of one person, frame by frame."""

    frames: list[int] = field(default_factory=list)
    pose: list[NDArray[np.float32]] = field(default_factory=list)  # (24, 3)
    betas: list[NDArray[np.float32]] = field(default_factory=list)
    transl: list[NDArray[np.float32]] = field(default_factory=list)
    distance: list[float] = field(default_factory=list)


@dataclass
class _Waiting:
    """A frame whose people are still to be found: row of each and its place in the batch."""

    frame: Frame | None
    index: int
    people: list[tuple[int, int]] = field(default_factory=list)


class _Run:
    """One pass over a recording."""

    def __init__(
        self,
        network: RecoveryNetwork,
        body: SMPL,
        boxes: Boxes,
        preparation: Preparation,
        camera: Pinhole,
        batch: int,
        *,
        draws: bool,
        advance: Callable[[], None] | None,
    ) -> None:
        self.network, self.boxes, self.preparation, self.camera = network, boxes, preparation, camera
        self.batch, self.draws, self.advance = batch, draws, advance
        self.device = next(network.parameters()).device
        self.body = body.to(self.device)
        self.same_body = body.info.name == trained_body(network)
        self.faces = body.faces.cpu().numpy()
        self.people = [_Person() for _ in boxes.person_ids]
        self.outside = self.behind = 0

    def frames(self, video: Video) -> Iterator[tuple[Picture, float]]:
        """Looks at all frames; yields picture and seconds of each where they are drawn."""
        waiting: list[_Waiting] = []
        crops: list[Tensor] = []
        squares: list[NDArray[np.float64]] = []

        def found() -> Iterator[tuple[Picture, float]]:
            yield from self._found(waiting, crops, squares, video.info.size)
            for held in (waiting, crops, squares):
                held.clear()

        for frame in ahead(video.frames()):
            entry = _Waiting(frame if self.draws else None, frame.index)
            for row, box in self.boxes.at(frame.index):
                try:
                    crop, square = crop_box(frame.rgb, box, self.preparation)
                except (DataError, ConfigError):  # outside of the picture, or of no size that can be cropped
                    self.outside += 1
                    continue
                entry.people.append((row, len(crops)))
                crops.append(crop)
                squares.append(square)
            waiting.append(entry)
            if max(len(crops), len(waiting)) >= self.batch:
                yield from found()
        yield from found()

    def _found(
        self, waiting: list[_Waiting], crops: list[Tensor], squares: list[NDArray[np.float64]], size: tuple[int, int]
    ) -> Iterator[tuple[Picture, float]]:
        """Finds the people in some frames, keeps them, and draws them."""
        meshes: Mapping[int, Vertices] = {}
        if crops:
            found = find(self.network, torch.stack(crops).to(self.device), self.body)
            meshes = self._keep(found, torch.from_numpy(np.stack(squares)).to(self.device), waiting, size)
        for entry in waiting:
            if entry.frame is not None:
                bodies = [(row, meshes[place]) for row, place in entry.people if place in meshes]
                yield draw_bodies(entry.frame.rgb, bodies, self.faces, self.camera), entry.frame.time
            if self.advance is not None:
                self.advance()

    def _keep(
        self, found: Found, squares: Tensor, waiting: list[_Waiting], size: tuple[int, int]
    ) -> Mapping[int, Vertices]:
        """Keeps what was found of each person; vertices in the camera's axes by their place in the batch, if drawn."""
        square = squares.to(found.camera)
        place = full_image_translation(found.camera, square[:, :2], square[:, 2], size, self.camera.fx)
        usable = (found.camera[:, 0] > 0) & torch.isfinite(place).all(dim=1)
        transl = place + found.offset
        betas = found.betas if self.same_body else torch.zeros_like(found.betas)
        pose = matrix_to_axis_angle(found.rotations)
        for entry in waiting:
            for row, number in entry.people:
                if not usable[number]:
                    self.behind += 1
                    continue
                person = self.people[row]
                person.frames.append(entry.index)
                for kept, values in ((person.pose, pose), (person.betas, betas), (person.transl, transl)):
                    kept.append(values[number].cpu().numpy())
                if found.distance is not None:
                    person.distance.append(float(found.distance[number]))
        if not self.draws:
            return {}
        if found.vertices is not None and self.same_body:
            vertices = found.vertices + place[:, None]
        else:
            with torch.no_grad():
                vertices = self.body(betas[:, : self.body.num_betas], found.rotations, transl).vertices
        return {number: vertices[number].cpu().numpy() for number in torch.nonzero(usable)[:, 0].tolist()}

    def motion(self, num_frames: int, **fields: Any) -> BodyMotion:
        """What was kept, over all frames.

        Raises:
            DataError: nobody was found in any.
        """
        rows = [row for row, person in enumerate(self.people) if person.frames]
        if not rows:
            raise DataError(
                f"nobody was found in any frame: {self.outside} boxes cannot be cropped from the picture, and "
                f"{self.behind} persons were placed behind the camera by the network. Check that the boxes are of this "
                "recording, and that the weights are trained."
            )
        pose = np.full((len(rows), num_frames, 24, 3), np.nan, dtype=np.float32)
        transl = np.full((len(rows), num_frames, 3), np.nan, dtype=np.float32)
        betas = []
        for place, row in enumerate(rows):
            person = self.people[row]
            pose[place, person.frames] = person.pose
            transl[place, person.frames] = person.transl
            betas.append(np.median(np.stack(person.betas), axis=0)[: self.body.num_betas])
        return BodyMotion(
            global_orient=pose[:, :, 0],
            body_pose=pose[:, :, 1:],
            betas=np.stack(betas),
            transl=transl,
            body="free" if self.body.info.name == "free" else "smpl",
            gender=self.body.info.gender,
            frame="camera",
            person_ids=self.boxes.person_ids[rows],
            **fields,
        )

    def notes(self, focal: float | None) -> Iterator[str]:
        """What a reader has to know."""
        trained = trained_body(self.network)
        if self.same_body:
            yield f"body: {self.body.info.name}, which the weights were made for"
        else:
            yield f"{self.body.info.carries_over}; the weights were made for the {trained} body: betas are 0"
        if focal is None:
            yield (
                f"the focal length is not known: {self.camera.fx:.0f} px, the diagonal of the picture, was taken; "
                "distances grow with it"
            )
        if self.boxes.throughout:
            yield (
                "no boxes: the whole picture is taken as one person; `poseworks-keypoints detect` finds people, and "
                "--keypoints takes its file"
            )
        if solves(self.network):
            yield "the network gives vertices alone: rotations and betas were solved for, from them"
        if self.outside:
            yield f"{self.outside} boxes lie outside of the picture, or are too small or too large: left out"
        if self.behind:
            yield f"{self.behind} persons were placed behind the camera by the network: left out"
        lost = [
            str(number) for number, person in zip(self.boxes.person_ids, self.people, strict=True) if not person.frames
        ]
        if lost:
            yield f"not found in any frame, and left out: person {', '.join(lost)}"

    def solved_mm(self) -> NDArray[np.float64] | None:
        """As `Recovered.solved_mm`."""
        if not solves(self.network):
            return None
        return np.array([1000 * np.mean(person.distance) for person in self.people if person.frames])


def _expect_size(boxes: Boxes, video: Video, source: str | os.PathLike[str]) -> None:
    """DataError if the boxes were found in pictures of another size."""
    if boxes.image_size is not None and boxes.image_size != video.info.size:
        raise DataError(
            f"{os.fspath(source)}: is of {_times(video.info.size)} pixels, the keypoints are of "
            f"{_times(boxes.image_size)}. Give the keypoints of this recording."
        )


def _expect_frames(boxes: Boxes, video: Video, source: str | os.PathLike[str]) -> None:
    """DataError if the boxes are of another number of frames."""
    frames = len(video.times)
    if frames < boxes.num_frames or (boxes.whole and frames > boxes.num_frames):
        raise DataError(
            f"{os.fspath(source)}: has {frames} frames, the boxes or keypoints {boxes.num_frames}. Give those of this "
            "recording."
        )


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
