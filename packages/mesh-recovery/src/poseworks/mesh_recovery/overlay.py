"""Bodies drawn over the recording that they were found in: as a video, a folder of pictures, or one picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import tee
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from poseworks.core.body_models import SMPL, BodyMotion
from poseworks.core.body_models.rigs import expect_same_body
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import atomic_folder, refuse_existing
from poseworks.core.rendering import SKIN, Mesh, render
from poseworks.core.video import ahead, open_video, write_picture, write_video

Picture = NDArray[np.uint8]
Vertices = NDArray[np.float32]

COLORS = (SKIN, (0.96, 0.72, 0.44), (0.62, 0.82, 0.56), (0.87, 0.60, 0.72), (0.90, 0.86, 0.48), (0.60, 0.58, 0.86))
"""Of people, in the order of their rows; then from the start again."""

OPACITY = 0.85
PICTURES = (".png", ".jpg")
_AT_A_TIME = 16  # frames whose bodies are posed at once


def check_overlay(path: Path, overwrite: bool) -> None:
    """Nothing, if an overlay can be written there; said before any work.

    Raises:
        ConfigError: it exists, its name is of another kind of file, or its folder is not there.
    """
    refuse_existing(path, overwrite)
    if path.suffix.lower() not in ("", ".mp4", *PICTURES):
        raise ConfigError(
            f"{path}: overlays are written as .mp4, as {' or '.join(PICTURES)} of a single picture, or into a folder, "
            "which has no suffix."
        )
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist. Create it first.")


def write_overlay(
    video: str | os.PathLike[str],
    motion: BodyMotion,
    body: SMPL,
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    overwrite: bool = False,
    advance: Callable[[], None] | None = None,
) -> None:
    """The recording with the bodies of a motion over it.

    Args:
        video: the recording that the motion was found in: whatever `open_video` reads.
        motion: in the axes of its camera, of known focal length.
        body: that the numbers of the motion are about.
        path: .mp4; .png or .jpg for a single picture; without a suffix a folder of pictures.
        fps: frames per second of pictures, as for `open_video`.
        overwrite: replace what is there.
        advance: called after each frame.

    Raises:
        ConfigError: the motion is of another body, in another frame or of an unknown focal length, or the output
            exists or cannot be one.
        DataError: the recording has another size or number of frames, cannot be read, or nothing can be written.
    """
    check_overlay(Path(path), overwrite)
    expect_same_body(motion, body)
    if motion.frame != "camera" or motion.focal is None:
        raise ConfigError(
            f"motion: expected places before a camera of known focal length, got the frame {motion.frame}, focal "
            f"{motion.focal}. Only motion that was found in a recording (fit, recover) can be drawn over it."
        )
    with open_video(video, fps=fps) as recording:
        camera = _camera(motion, recording.info.size, str(video))
        faces = body.faces.cpu().numpy()

        def drawn() -> Iterator[tuple[Picture, float]]:
            posed = posed_bodies(motion, body)
            for frame in ahead(recording.frames()):
                bodies = next(posed, None)
                if bodies is None:
                    raise DataError(
                        f"{video}: has more frames than the motion, {motion.num_frames}. Give the recording that it "
                        "was found in."
                    )
                yield draw_bodies(frame.rgb, bodies, faces, camera), frame.time
                if advance is not None:
                    advance()
            if next(posed, None) is not None:
                raise DataError(
                    f"{video}: has {len(recording.times)} frames, the motion {motion.num_frames}. Give the recording "
                    "that it was found in."
                )

        write_frames(path, drawn(), overwrite=overwrite)


def posed_bodies(motion: BodyMotion, body: SMPL) -> Iterator[list[tuple[int, Vertices]]]:
    """Of each frame the people who are there: row and vertices (V, 3) in metres, in the frame of the motion."""
    device = body.v_template.device
    pose, transl, betas = (torch.from_numpy(array).to(device) for array in (motion.pose, motion.transl, motion.betas))
    for start in range(0, motion.num_frames, _AT_A_TIME):
        frames = slice(start, start + _AT_A_TIME)
        there = motion.present[:, frames]
        people: list[list[tuple[int, Vertices]]] = [[] for _ in range(there.shape[1])]
        for row in np.flatnonzero(there.any(axis=1)).tolist():
            kept = torch.from_numpy(np.flatnonzero(there[row])) + start
            with torch.no_grad():
                vertices = body(betas[row], pose[row, kept], transl[row, kept]).vertices.cpu().numpy()
            for frame, mesh in zip(kept.tolist(), vertices, strict=True):
                people[frame - start].append((row, mesh))
        yield from people


def draw_bodies(
    picture: Picture, bodies: Sequence[tuple[int, Vertices]], faces: NDArray[np.int64], camera: Pinhole
) -> Picture:
    """(H, W, 3): the picture with bodies over it, each (row, vertices (V, 3) in camera axes) in the row's colour."""
    meshes = [Mesh(vertices, faces, COLORS[row % len(COLORS)]) for row, vertices in bodies]
    height, width = picture.shape[:2]
    return render(meshes, camera, (width, height)).over(picture, OPACITY)


def write_frames(
    path: str | os.PathLike[str], frames: Iterable[tuple[Picture, float]], *, overwrite: bool = False
) -> None:
    """Frames and their seconds as a video, a picture or a folder of pictures, by the name of `path`.

    Raises:
        ConfigError: the output exists or cannot be one, or a single picture is to hold several frames.
        DataError: there are no frames, or nothing can be written.
    """
    target = Path(path)
    check_overlay(target, overwrite)
    if target.suffix.lower() == ".mp4":
        pictures, times = tee(frames)
        write_video(target, (rgb for rgb, _ in pictures), times=(time for _, time in times))
    elif target.suffix:
        every = iter(frames)
        first = next(every, None)
        if first is None:
            raise DataError("frames: expected at least one, got none.")
        if next(every, None) is not None:
            raise ConfigError(f"{target}: holds one picture, and there are several. Name a folder, or an .mp4 file.")
        write_picture(target, first[0])
    else:
        with atomic_folder(target, overwrite) as folder:
            for number, (rgb, _) in enumerate(frames):
                write_picture(folder / f"{number:06d}.jpg", rgb)


def _camera(motion: BodyMotion, size: tuple[int, int], video: str) -> Pinhole:
    """Of pictures of this size, (width, height), which may be the motion's at another scale."""
    assert motion.focal is not None
    stated = motion.image_size or size
    scale = size[0] / stated[0]
    if abs(size[1] - scale * stated[1]) > max(1.0, scale):
        raise DataError(
            f"{video}: is of {size[0]} x {size[1]} pixels, the motion was found in {stated[0]} x {stated[1]}. Give the "
            "recording that it was found in."
        )
    return Pinhole.from_focal(scale * motion.focal, size)
