"""The preview sheet of a data set, as SVG: of each class a recording as the network would see it. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from poseworks.core import svg
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.geometry import Sample
from poseworks.skeleton_action.layouts import JointLayout, Stream
from poseworks.skeleton_action.preparation import Preparation
from poseworks.skeleton_action.volumes import draw_views, sample_to_test

_PANEL = 96.0  # side of a picture, in user units
_GAP = 8.0
_LEFT = 210.0  # of the words
_TOP = 76.0
_MOMENTS = 6  # of a clip that are drawn as skeletons
_LONGEST = 34  # letters of a name
_STREAMS: tuple[Stream, ...] = ("joint", "limb")


def preview_sheet(
    examples: Mapping[str, Annotation], counts: Mapping[str, Mapping[str, int]], layout: JointLayout, title: str
) -> str:
    """The text of an SVG file: skeletons of a clip, and its heatmaps, the largest value over all frames and channels.

    Args:
        examples: a recording of each class, by the class's name.
        counts: recordings of each class in each split, shown beside the name.
        layout: the annotations' joints, and limbs between them.
        title: of the sheet.

    Raises:
        DataError, SkeletonError: nothing can be drawn of an annotation.
    """
    columns = _MOMENTS + len(_STREAMS)
    width = _LEFT + columns * (_PANEL + _GAP) + 14
    parts = [
        svg.text(_LEFT, _TOP - 26, "a clip of 48 frames in the 64 x 64 pixels that the network sees", size=11),
        *(
            svg.text(_column(number) + _PANEL / 2, _TOP - 8, words, size=10, anchor="middle")
            for number, words in enumerate((*_moments(48), *(f"{stream} heatmaps" for stream in _STREAMS)))
        ),
    ]
    for number, (name, annotation) in enumerate(examples.items()):
        y = _TOP + number * (_PANEL + _GAP)
        shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        people = "1 person" if annotation.num_people == 1 else f"{annotation.num_people} people"
        numbers = ", ".join(f"{split} {count}" for split, count in counts[name].items())
        parts += [
            svg.text(14, y + 18, shown, size=11, weight="bold"),
            svg.text(14, y + 36, numbers, size=10),
            svg.text(14, y + 52, annotation.identifier[-_LONGEST:], size=9, fill="#666"),
            svg.text(14, y + 68, f"{people}, {annotation.num_frames} frames", size=9, fill="#666"),
            *_row(annotation, layout, y),
        ]
    return svg.page(width, _TOP + len(examples) * (_PANEL + _GAP) + 14, title, parts)


def _column(number: int) -> float:
    return _LEFT + number * (_PANEL + _GAP)


def _moments(frames: int) -> list[str]:
    return [f"frame {place}" for place in _places(frames)]


def _places(frames: int) -> Sequence[int]:
    """Frames of a clip, evenly spaced."""
    return [int(place) for place in np.linspace(0, frames - 1, _MOMENTS).round()]


def _row(annotation: Annotation, layout: JointLayout, y: float) -> list[str]:
    preparation = Preparation(layout=layout)
    sample = sample_to_test(annotation, preparation)
    parts = []
    for column, frame in enumerate(_places(sample.keypoints.shape[1])):
        parts.append(svg.box(_column(column), y, _PANEL, _PANEL))
        parts += _skeletons(sample, layout, frame, _column(column), y)
    for column, stream in enumerate(_STREAMS, start=_MOMENTS):
        volume = draw_views(sample, preparation.model_copy(update={"stream": stream}))[0]
        parts.append(svg.matrix(np.clip(volume.max(axis=(0, 1)), 0, 1), _column(column), y, _PANEL, _PANEL))
    return parts


def _skeletons(sample: Sample, layout: JointLayout, frame: int, x: float, y: float) -> list[str]:
    """Everybody in a frame; joints without a score, and what lies outside of the picture, are left out."""
    height, width = sample.size
    parts = []
    for person, (points, scores) in enumerate(zip(sample.keypoints[:, frame], sample.scores[:, frame], strict=True)):
        inside = (scores > 0) & (points >= 0).all(axis=-1) & (points < (width, height)).all(axis=-1)
        places = [(x + px / width * _PANEL, y + py / height * _PANEL) for px, py in points]
        colour = svg.colour_of(person)
        parts += [
            svg.polyline([places[a], places[b]], stroke=colour) for a, b in layout.limbs if inside[a] and inside[b]
        ]
        parts += [svg.circle(*place, 1.4, fill=colour) for place, seen in zip(places, inside, strict=True) if seen]
    return parts
