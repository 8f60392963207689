"""From poses to actions: one answer for a recording, or a timeline of windows; per person, or for all together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from poseworks.core.notes import Notes, some
from poseworks.core.poses import PoseSequence, history_entry
from poseworks.skeleton_action.annotation import AnyAnnotation, as_annotation
from poseworks.skeleton_action.answers import read_answer
from poseworks.skeleton_action.keypoints import annotation_of, layout_keypoints
from poseworks.skeleton_action.layouts import Stream
from poseworks.skeleton_action.preparation import Flavour, Preparation
from poseworks.skeleton_action.settings import RecognizeSettings
from poseworks.skeleton_action.timeline import Timeline
from poseworks.skeleton_action.views import Views
from poseworks.skeleton_action.windows import WindowAnswer, WindowReader, checked_network, read_windows, reader_of

_LONG_S = 15.0
"""A recording that is longer than this will hold more than one action."""


def predict(
    network: torch.nn.Module,
    annotation: AnyAnnotation,
    stream: Stream | None = None,
    num_clips: int = 10,
    mirror: bool = True,
    flavour: Flavour | None = None,
) -> NDArray[np.float64]:
    """Probabilities (classes,) of one recording, the mean over its clips; by default the published test.

    They are calibrated where the network's preparation says how (`temperature`).

    Args:
        network: in eval mode, from `load`.
        annotation: the published dict or its typed form; all its people share a volume.
        stream: None: what the network was trained on.
        num_clips: repeats with other frames of the recording.
        mirror: each clip once more in a mirror.
        flavour: None: the network's.

    Raises:
        ConfigError: it is no network on heatmap volumes, or not in eval mode.
        ShapeError: the network reads another number of channels than the stream has.
        SkeletonError: the annotation has other joints than the network reads.
        DataError: the annotation is faulty, or nobody is seen in it.
    """
    preparation = preparation_for(network, stream, flavour)
    reader = WindowReader(network, Views(num_clips, mirror), preparation=preparation)
    return read_answer(reader.logits(as_annotation(annotation)), preparation).probabilities


def preparation_for(
    network: torch.nn.Module, stream: Stream | None = None, flavour: Flavour | None = None
) -> Preparation:
    """The network's preparation, with another stream or flavour where one is stated.

    Raises:
        ConfigError: it is no network on heatmap volumes, or not in eval mode.
    """
    stated = {name: value for name, value in (("stream", stream), ("flavour", flavour)) if value is not None}
    return checked_network(network).preparation.model_copy(update=stated)


@dataclass(frozen=True, eq=False)
class Recognized:
    """What was recognised in poses.

    Attributes:
        poses: as given, with one more step in their history.
        timelines: one a person in their order, or one for all together.
        notes: sentences that a reader has to know.
        keypoints: what was drawn: in pixels, on the joints that the network reads.
    """

    poses: PoseSequence
    timelines: tuple[Timeline, ...]
    notes: tuple[str, ...]
    keypoints: PoseSequence


def recognize(
    poses: PoseSequence,
    network: torch.nn.Module,
    settings: RecognizeSettings | None = None,
    *,
    model: str = "",
    advance: Callable[[float], None] = lambda share: None,
) -> Recognized:
    """The actions in poses. Where nobody is seen, or nobody is drawn, it says so and scores nothing.

    Args:
        poses: 2D, in pixels or shares of an image, on any skeleton with the network's joints or most of them.
        network: in eval mode, from `load`.
        settings: None: the defaults.
        model: name of the weights, for the history.
        advance: called with the share of the work (their sum is 1) that has just been done.

    Raises:
        DataError: no keypoints of an image, in another unit than stated, or of nobody.
        SkeletonError: fewer than half of the network's joints can be made.
        ConfigError: it is no network on heatmap volumes, or windows are shorter than a frame.
    """
    settings = settings or RecognizeSettings()
    known = checked_network(network)
    notes = Notes(poses)
    notes.assumed()
    keypoints = layout_keypoints(poses, known.preparation.layout)
    size = settings.frames(poses.fps)
    _note_input(notes, keypoints, settings, size, known.preparation.clip_len)
    together = settings.people == "together"
    groups = [list(range(poses.num_people))] if together else [[person] for person in range(poses.num_people)]
    timelines = []
    for group in groups:
        reader = reader_of(known, settings)
        recording = annotation_of(keypoints, group, "poses", min_confidence=settings.min_confidence)
        answers = read_windows(reader, recording, size, lambda share: advance(share / len(groups)))
        person = None if together else _number(poses, group[0])
        timelines.append(_timeline(answers, class_names(known.preparation, known.config.classes), poses, person))
        _note_unscored(notes, timelines[-1])
    entry = history_entry(
        "recognize",
        "poseworks-skeleton-action",
        {
            **settings.model_dump(mode="json"),
            "clips": settings.views.clips,
            "mirror": settings.views.mirror,
            "network": known.config.model_dump(mode="json"),
        },
        model or known.source or type(known).__name__,
        known.sha256 or None,
    )
    return Recognized(poses.with_step(entry), tuple(timelines), notes.sentences(), keypoints)


def class_names(preparation: Preparation, classes: int) -> tuple[str, ...]:
    """Names of the classes; their numbers where the weights do not say."""
    return preparation.labels or tuple(f"class {number}" for number in range(classes))


def _number(poses: PoseSequence, person: int) -> int:
    return person if poses.person_ids is None else int(poses.person_ids[person])


def _timeline(
    answers: list[WindowAnswer], labels: tuple[str, ...], poses: PoseSequence, person: int | None
) -> Timeline:
    """The answers with their times; a frame lasts until the next one."""
    seconds = np.append(poses.seconds, poses.seconds[-1] + 1 / poses.fps)
    nothing = np.full(len(labels), np.nan)
    return Timeline(
        labels=labels,
        begins_s=seconds[[answer.begin for answer in answers]],
        ends_s=seconds[[answer.end for answer in answers]],
        probabilities=np.array(
            [nothing if answer.answer is None else answer.answer.probabilities for answer in answers], dtype=np.float32
        ),
        unknown=np.array([answer.answer is not None and answer.answer.unknown for answer in answers]),
        faults=tuple(answer.fault for answer in answers),
        person=person,
    )


def _note_input(
    notes: Notes, keypoints: PoseSequence, settings: RecognizeSettings, size: tuple[int, int] | None, clip_len: int
) -> None:
    """What is taken for granted about the poses, and what the network will not see."""
    notes.uneven("read")
    unseen = np.flatnonzero(~keypoints.observed.any(axis=(0, 1)))
    if len(unseen):
        names = some([keypoints.joint_names[joint] for joint in unseen])
        notes.add(f"never observed: {names}; their channels stay empty")
    if keypoints.image_size is None:
        notes.add("the size of the image is not stated; it counts only for people smaller than 10 pixels")
    if (keypoints.confidence[keypoints.observed] == 1).all():
        notes.add("no confidence is stated: all keypoints were drawn at full strength")
    frames = keypoints.num_frames
    if size is None and frames / keypoints.fps > _LONG_S:
        notes.add(
            f"one answer for {frames / keypoints.fps:.0f} seconds, from {clip_len} frames spread over them; "
            "for a timeline state a window: --window 2s"
        )
    if size is not None and frames < size[0]:
        notes.add(f"the recording is shorter than the window of {settings.window_s:g} s, and was taken whole")
    if min(frames, frames if size is None else size[0]) < clip_len:
        shorter = "the recording has" if size is None or frames < size[0] else "a window has"
        notes.add(f"{shorter} fewer than the {clip_len} frames of a clip: frames were repeated from its start")


def _note_unscored(notes: Notes, timeline: Timeline) -> None:
    """Windows in which nothing could be scored, by what kept them from it."""
    faults = [fault for fault in timeline.faults if fault]
    if not faults:
        return
    kinds = some(tuple(dict.fromkeys(faults)))
    whole = timeline.num_windows == 1
    count = "" if whole else f"{len(faults)} of {timeline.num_windows} windows "
    notes.add(f"{timeline.who}: {count}not scored: {kinds}")
