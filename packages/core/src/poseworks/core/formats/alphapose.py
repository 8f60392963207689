"""AlphaPose JSON (its default layout): a list of detections.

Each entry is one person in one image:
    image_id      file name with a number at its end ("12.jpg"), or an int: the frame
    keypoints     [x, y, c] * J in pixels; c is the confidence
    score         float, of the person
    box           [x, y, width, height], not read
    idx           the person's number over time where AlphaPose tracked: an int, a float, or one in nested lists
    category_id   1, not read

17 joints are coco17, 26 are halpe26; 136 (Halpe with face and hands) and other numbers are refused. Of two detections
of one person in a frame the one with the higher score counts (tracks.py, also for how people and frames are found).
Images without a person are not in the file: the hint `first_frame` says where the video begins. Written: as COCO
results (coco.py), with idx, and box around the observed joints.
"""

from __future__ import annotations

from pathlib import Path

from poseworks.core.formats.coco import read_entries, write_entries
from poseworks.core.formats.hints import Hints
from poseworks.core.poses import PoseSequence


def read(path: Path, hints: Hints) -> PoseSequence:
    """The tracks in an AlphaPose file, in pixels.

    Raises:
        FormatError: the file is not of this layout.
        ConfigError: a hint is missing or contradicts the file.
        DataError: the people or frames cannot be told apart; the file cannot be read.
    """
    return read_entries(path, hints, "alphapose", ("idx", "track_id"))


def write(poses: PoseSequence, path: Path) -> None:
    """Writes an AlphaPose file.

    Raises:
        DataError: not 2D pixels, uneven times, or other joints than coco17 or halpe26.
    """
    write_entries(poses, path, "AlphaPose", "idx", alphapose=True)
