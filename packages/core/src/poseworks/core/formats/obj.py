"""OBJ: the surfaces of all people in one frame, as text. Written alone.

    # body, frame
    o person_N     one for each person who is there
    v x y z        its vertices
    f a b c        its triangles, seen from outside counter-clockwise; vertex numbers from 1, through the whole file

The vertices are those of the body's forward pass, pose-dependent shape included. A camera counts as level.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.body_models.rigs import Axes, LengthUnit, UpAxis, expect_same_body, people_there, person_name
from poseworks.core.body_models.smpl import SMPL
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import atomic_path, refuse_existing


def write_obj(
    motion: BodyMotion,
    body: SMPL,
    path: str | os.PathLike[str],
    *,
    frame: int | None = None,
    up: UpAxis = "y",
    unit: LengthUnit = "m",
    overwrite: bool = False,
) -> int:
    """Writes the people of one frame; the file appears whole or not at all.

    Args:
        motion: whose numbers are about `body`.
        body: whose surface it is.
        path: of the file.
        frame: number of the frame, from 0; None: the first one in which somebody is there.
        up: axis that points up.
        unit: of lengths.
        overwrite: replace what is there.

    Returns:
        the number of the frame.

    Raises:
        ConfigError: the file exists, `body` is another one, there is no such frame, or an option is unknown.
        DataError: nobody is there, or it cannot be written.
    """
    refuse_existing(path, overwrite)
    axes = Axes(up, unit)
    expect_same_body(motion, body)
    people_there(motion)
    taken = motion.present.any(axis=0)
    if frame is None:
        frame = int(np.argmax(taken))
    if not 0 <= frame < motion.num_frames:
        raise ConfigError(f"frame: expected 0 to {motion.num_frames - 1}, got {frame}.")
    rows = np.flatnonzero(motion.present[:, frame])
    if not len(rows):
        raise DataError(f"frame {frame}: nobody is there. The first frame with somebody is {int(np.argmax(taken))}.")
    inputs = (motion.betas[rows], motion.pose[rows, frame], motion.transl[rows, frame])
    with torch.no_grad():
        vertices = body(*(torch.from_numpy(x).to(body.v_template) for x in inputs)).vertices.double().cpu().numpy()
    vertices = axes.per_metre * vertices @ axes.from_frame(motion.frame).T
    faces = body.faces.cpu().numpy() + 1
    with atomic_path(Path(path)) as temporary, temporary.open("w", encoding="ascii", newline="\n") as stream:
        stream.write(f"# {motion.body} body, {motion.gender}, frame {frame}, {axes.unit}, {axes.up} up\n")
        for place, row in enumerate(rows.tolist()):
            stream.write(f"o {person_name(motion, row)}\n")
            np.savetxt(stream, vertices[place], fmt="v %.6f %.6f %.6f")
            np.savetxt(stream, faces + place * vertices.shape[1], fmt="f %d %d %d")
    return frame
