"""Clips and sliding windows of one recording through a network: what they share is drawn and computed once.

The clips of a window are made of its frames, ten clips of 60 frames of no more than 60; neighbouring windows share most
of theirs. So each frame is drawn once, and goes once through the part of the network that sees frames by themselves
(`frame_part`), as long as the box that is drawn stays the same; the rest (`clip_part`) sees the frames of a clip
together. The answers are those of a network that is given each clip by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.answers import Answer, read_answer
from poseworks.skeleton_action.drawing import draw_volumes
from poseworks.skeleton_action.geometry import Box, Sample, compact_box, flip, take_frames
from poseworks.skeleton_action.head import HeatmapNetwork
from poseworks.skeleton_action.preparation import Preparation
from poseworks.skeleton_action.sampling import sample_frames
from poseworks.skeleton_action.settings import RecognizeSettings
from poseworks.skeleton_action.views import Views
from poseworks.skeleton_action.volumes import EPSILON, checked_annotation, draw_views, framed

Frames: TypeAlias = NDArray[np.intp]

_FRAMES_AT_ONCE = 64  # through the first part of the network
_CLIPS_AT_ONCE = 10  # through the second, on an accelerator; a CPU is fastest with one


class NotScored(DataError):
    """Nothing that could be scored was drawn; the message says why."""


@dataclass(frozen=True, eq=False)
class WindowAnswer:
    """What was recognised in the frames from `begin` to before `end`.

    Attributes:
        answer: None where nothing was scored.
        fault: why not.
    """

    begin: int
    end: int
    answer: Answer | None
    fault: str = ""


@dataclass(frozen=True, eq=False)
class _Computed:
    """What was computed of frames: (1, hidden, n, H', W') for the n frames in any order, in this box of the image."""

    frames: Frames
    box: Box | None
    hidden: Tensor


class WindowReader:
    """Answers for the windows of one recording, one after the other.

    Args:
        network: in eval mode, from `load`.
        views: how often each window is looked at.
        hold_box: see `RecognizeSettings`; 1: each window has its own box.
        min_seen: see `RecognizeSettings`; people smaller than 10 pixels are not scored either. None: whatever can be
            drawn is scored, as published.
        preparation: None: that of the network.

    Raises:
        ConfigError: it is no network on heatmap volumes, or not in eval mode.
        ShapeError: it reads another number of channels than the preparation has.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        views: Views,
        *,
        hold_box: float = 1.0,
        min_seen: float | None = None,
        preparation: Preparation | None = None,
    ) -> None:
        self._network = checked_network(network)
        self._views, self._hold_box, self._min_seen = views, hold_box, min_seen
        self._preparation = preparation or self._network.preparation
        channels = self._preparation.layout.channels(self._preparation.stream)
        if channels != self._network.config.in_channels:
            raise ShapeError(
                f"network: reads {self._network.config.in_channels} channels, and the {self._preparation.stream}s of "
                f"{self._preparation.layout.skeleton} are {channels}. Name the stream and joints it was trained with."
            )
        self._device = next(self._network.parameters()).device
        self._held: Box | None = None
        self._computed: dict[bool, _Computed] = {}  # plain and mirrored

    def read(self, window: Annotation, begin: int = 0) -> WindowAnswer:
        """The answer to a window of the recording, whose frame `begin` is the window's first."""
        end = begin + window.num_frames
        try:
            return WindowAnswer(begin, end, read_answer(self.logits(window, begin), self._preparation))
        except NotScored as error:
            return WindowAnswer(begin, end, None, str(error))

    @torch.inference_mode()
    def logits(self, window: Annotation, begin: int = 0) -> NDArray[np.float32]:
        """(views, classes), the plain clips before the mirrored ones.

        Raises:
            NotScored: nothing was drawn, or too little of anybody is seen.
            SkeletonError: the window has other joints than the network reads.
            DataError: nobody is in it, or its image shape is (width, height).
        """
        p = self._preparation
        window = checked_annotation(window, p.layout)
        clips = sample_frames(window.num_frames, p.clip_len, self._views.clips, p.flavour).reshape(-1, p.clip_len)
        frames = np.unique(clips)
        sample = take_frames(window, frames)
        box = self._box(sample)
        placed = framed(sample, box, p.flavour, p.size)
        self._refuse_unseen(sample, placed, box)
        logits = []
        for mirrored in (False, True)[: 1 + self._views.mirror]:
            computed = self._compute(placed, begin, begin + frames, box, mirrored)
            logits += [self._network.cls_head(self._network.clip_part(x)) for x in self._clips(computed, begin + clips)]
        answer: NDArray[np.float32] = torch.cat(logits).float().cpu().numpy()
        return answer

    def _box(self, sample: Sample) -> Box | None:
        """What part of the image is drawn: that of the window before if it will do, else the sample's own."""
        own = compact_box(sample)
        if own is None or self._held is None or self._hold_box <= 1 or not self._still_fits(sample, own, self._held):
            self._held = own
        return self._held

    def _still_fits(self, sample: Sample, own: Box, held: Box) -> bool:
        """Whether everybody is inside, and not too small."""
        tight = compact_box(sample, padding=0.0, ratio=None)
        assert tight is not None  # as `own` is there
        inside = tight.left >= held.left and tight.top >= held.top
        inside &= tight.right < held.right and tight.bottom < held.bottom
        return inside and held.bottom - held.top <= self._hold_box * (own.bottom - own.top)

    def _refuse_unseen(self, sample: Sample, placed: Sample, box: Box | None) -> None:
        """NotScored if nobody is seen or drawn, or (with `min_seen`) not often enough, or too small to tell."""
        seen = (sample.scores >= EPSILON[self._preparation.flavour]) & (np.nan_to_num(sample.keypoints) != 0).all(
            axis=-1
        )
        if not seen.any():
            raise NotScored("nobody is seen, so that the volume is empty")
        height, width = placed.size
        x, y = placed.keypoints[..., 0], placed.keypoints[..., 1]
        if not (seen & (x >= 0) & (x < width) & (y >= 0) & (y < height)).any():
            raise NotScored(
                "everybody was cut away, so that the volume is empty: people smaller than 10 pixels are not enlarged, "
                "and only a square in the middle of the image is drawn"
            )
        if self._min_seen is None:
            return
        in_frames = seen.any(axis=(0, 2))
        if in_frames.mean() < self._min_seen:
            raise NotScored(f"somebody is seen in {in_frames.sum()} of {len(in_frames)} frames only")
        if box is None:
            raise NotScored("people smaller than 10 pixels, too small to tell what they do")

    def _compute(self, placed: Sample, begin: int, frames: Frames, box: Box | None, mirrored: bool) -> _Computed:
        """These frames of the recording, and those from `begin` on that windows before had; only new ones are run."""
        before = self._computed.get(mirrored)
        new = np.ones(len(frames), dtype=bool)
        parts, numbers = [], []
        if before is not None and before.box == box:
            new = ~np.isin(frames, before.frames)
            kept = np.flatnonzero(before.frames >= begin)
            parts, numbers = [_taken(before.hidden, kept)], [before.frames[kept]]
        rows = np.flatnonzero(new)
        for at_once in np.split(rows, range(_FRAMES_AT_ONCE, len(rows), _FRAMES_AT_ONCE)):
            if len(at_once):
                parts.append(self._network.frame_part(self._drawn(placed, at_once, mirrored)))
                numbers.append(frames[at_once])
        hidden = torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]
        self._computed[mirrored] = _Computed(np.concatenate(numbers), box, hidden)
        return self._computed[mirrored]

    def _drawn(self, placed: Sample, rows: Frames, mirrored: bool) -> Tensor:
        """Heatmaps (1, C, n, H, W) of n frames."""
        p = self._preparation
        sample = replace(placed, keypoints=placed.keypoints[:, rows], scores=placed.scores[:, rows])
        if mirrored and p.flavour == "mmaction":
            sample = flip(sample, p.layout)
        if self._device.type == "cpu":
            volume = torch.from_numpy(draw_views(sample, p))
        else:
            points, scores = (torch.from_numpy(a)[None].to(self._device) for a in (sample.keypoints, sample.scores))
            volume = draw_volumes(points, scores, sample.size, p.layout, p.stream, p.sigma, EPSILON[p.flavour])
        if mirrored and p.flavour == "pyskl":
            volume = volume[:, p.layout.flip(p.stream)].flip(-1)
        return volume

    def _clips(self, computed: _Computed, clips: Frames) -> Iterator[Tensor]:
        """(n, hidden, clip_len, H', W') of the frames (clips, clip_len), a few clips at a time."""
        order = np.argsort(computed.frames)
        places = order[np.searchsorted(computed.frames, clips, sorter=order)]
        at_once = 1 if self._device.type == "cpu" else _CLIPS_AT_ONCE
        for first in range(0, len(places), at_once):
            yield torch.cat([_taken(computed.hidden, clip) for clip in places[first : first + at_once]])


def _taken(hidden: Tensor, places: Frames) -> Tensor:
    """Some frames of (1, hidden, n, H', W'); frames are taken whole where the memory's order has them whole."""
    return hidden.movedim(1, -1)[:, torch.from_numpy(places).to(hidden.device)].movedim(-1, 1)


def checked_network(network: torch.nn.Module) -> HeatmapNetwork:
    """The network.

    Raises:
        ConfigError: it is no network on heatmap volumes, or not in eval mode.
    """
    if not isinstance(network, HeatmapNetwork):
        raise ConfigError(f"network: a {type(network).__name__} does not recognise actions. Load a SlowOnly or X3D.")
    if network.training:
        raise ConfigError("network: is in training mode, in which its answers are random. Call network.eval().")
    return network


def reader_of(network: torch.nn.Module, settings: RecognizeSettings) -> WindowReader:
    """A reader of one recording, as the settings ask for it.

    Raises:
        ConfigError, ShapeError: as `WindowReader`.
    """
    hold_box = 1.0 if settings.window_s is None else settings.hold_box
    return WindowReader(network, settings.views, hold_box=hold_box, min_seen=settings.min_seen)


def window_begins(frames: int, window: int, stride: int) -> list[int]:
    """First frames of windows: every `stride`, and one more that ends with the recording; [0] if it is shorter."""
    if frames <= window:
        return [0]
    begins = list(range(0, frames - window + 1, stride))
    return begins if begins[-1] == frames - window else [*begins, frames - window]


def read_windows(
    reader: WindowReader,
    recording: Annotation,
    size: tuple[int, int] | None = None,
    advance: Callable[[float], None] = lambda share: None,
) -> list[WindowAnswer]:
    """The answers to all windows of a recording.

    Args:
        reader: a new one.
        recording: one person, or several that share volumes.
        size: frames of a window, and from one to the next; None: the whole recording is one.
        advance: called with the share of the work (their sum is 1) that has just been done.
    """
    window, stride = size or (recording.num_frames, 1)
    begins = window_begins(recording.num_frames, window, stride)
    answers = []
    for begin in begins:
        answers.append(reader.read(part_of(recording, begin, begin + window), begin))
        advance(1 / len(begins))
    return answers


def part_of(recording: Annotation, begin: int, end: int) -> Annotation:
    """The frames from `begin` to before `end`, or to the last."""
    scores = None if recording.scores is None else recording.scores[:, begin:end]
    return replace(recording, keypoints=recording.keypoints[:, begin:end], scores=scores)
