"""The published protocol of EHGFormer on Human3.6M: clips of every second frame, and errors relative to the root.

    1. Every second frame of the whole split (step 2), cut into clips by `h36m.split_clips`: tails are dropped, a
       recording shorter than a clip is stretched at random.
    2. The network's answer, averaged with its mirrored answer. Static networks: root set to 0. With true keypoints
       asked for: x, y of the input take the place of the answer's.
    3. Back to pixels (image size of the clip's first frame), times the frame's 2.5D factor: millimetres.
    4. Minus joint 0; distance to the truth, likewise minus joint 0: P1. After a similarity without reflection: P2.
    5. Clips of three recordings of S9 are left out. A frame in several clips counts with its mean error; a frame that a
       stretched clip repeats counts as it was last seen there; a frame whose error is 0 does not count.
    6. Mean of each action's frames, then of the actions, by name. An action without frames has no mean, and then the
       published mean over the actions is NaN as well.

So every second frame is evaluated, and not the tails: strictly, not the protocol of papers that evaluate every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.metrics import mpjpe, pa_mpjpe
from poseworks.core.progress import Advance
from poseworks.lifting.flipping import flip_average
from poseworks.lifting.h36m import denormalize, normalize, split_clips
from poseworks.lifting.learning.h36m_files.frames import EHGFormerFrames

Floats = NDArray[np.float32]

STEP = 2  # every second frame
TRAIN_STRIDE = 81
FRAMES = 243
BLOCKED = ("s_09_act_05_subact_02", "s_09_act_10_subact_02", "s_09_act_13_subact_01")
_CAMERA_SUFFIX = len("_ca_01")
_ROWS = 1 << 15  # frames that are normalised at a time


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips over frames that are normalised once, however many clips share them.

    Attributes:
        inputs: (M, 17, 3) float32 normalised x, y and confidence of every `step`-th frame.
        labels: (M, 17, 3) float32 normalised joints.
        indices: (C, n) into the M frames; times `step`: into the file's.
        step: frames of the file from one to the next.
    """

    inputs: Floats
    labels: Floats
    indices: NDArray[np.int64]
    step: int

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, clips: NDArray[np.int64] | slice) -> tuple[Floats, Floats]:
        """Inputs and labels of some clips, both (len(clips), n, 17, 3), copies of their own."""
        rows = self.indices[clips]
        return self.inputs[rows], self.labels[rows]


def clip_set(
    frames: EHGFormerFrames, n: int, stride: int, *, step: int = STEP, random: np.random.RandomState | None = None
) -> Clips:
    """The clips of a split, which share the memory of frames that lie in several of them.

    Args:
        frames: of `read_ehgformer`.
        n: frames of a clip, 243 as published.
        stride: frames between the starts of clips: 81 for training, n for evaluation.
        step: take every so-manieth frame of the file, before it is cut.
        random: see `split_clips`; None: a RandomState of seed 0, as for the training split.

    Raises:
        DataError: no recording has n frames, and none but the last is there to be stretched.
        ConfigError: n, stride or step is below 1.
    """
    if step < 1:
        raise ConfigError(f"step: expected at least 1, got {step}.")
    indices = split_clips(frames.recording[::step], n, stride, np.random.RandomState(0) if random is None else random)
    if not len(indices):
        raise DataError(f"{len(frames)} frames give no clip of {n} with every {step}. frame. Choose shorter clips.")
    sizes = frames.image_size[::step]
    inputs = np.empty((len(sizes), 17, 3), np.float32)
    labels = np.empty_like(inputs)
    for start in range(0, len(sizes), _ROWS):
        part, source = slice(start, start + _ROWS), slice(start * step, (start + _ROWS) * step, step)
        width, height = sizes[part].T
        inputs[part, :, :2] = normalize(frames.keypoints[source], width, height)
        inputs[part, :, 2] = frames.confidence[source]
        labels[part] = normalize(frames.joints_image[source], width, height)
    return Clips(inputs, labels, indices, step)


def clips(
    frames: EHGFormerFrames, n: int, stride: int, step: int = STEP, random: np.random.RandomState | None = None
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Inputs and labels (C, n, 17, 3) float32, and indices (C, n) into every `step`-th frame, as in `clip_set`.

    Copies each frame as often as clips hold it; `clip_set` does not.
    """
    found = clip_set(frames, n, stride, step=step, random=random)
    return *found.take(slice(None)), found.indices


def published_random(train_recordings: NDArray[np.int32], n: int = FRAMES, step: int = STEP) -> np.random.RandomState:
    """The generator as it is when the published code cuts the test split: seed 0, and the training split is cut.

    Args:
        train_recordings: (N,) which recording each training frame is of (`read_recordings`).
    """
    random = np.random.RandomState(0)
    split_clips(train_recordings[::step], n, TRAIN_STRIDE, random)
    return random


# --- evaluation -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ActionRow:
    """Errors of an action's frames in mm; NaN where there are none."""

    action: str
    p1: float
    p2: float
    frames: int


@dataclass(frozen=True)
class EHGFormerResult:
    """The published table.

    Attributes:
        rows: one an action, sorted by name.
        p1, p2: mean over the actions in mm; NaN if one of them has no frame.
        p1_evaluated, p2_evaluated: mean over the actions that have frames.
        frames: that counted.
        frames_in_file: all of the split, of which every second one is taken.
        clips, clips_blocked: evaluated, and left out.
    """

    rows: tuple[ActionRow, ...]
    p1: float
    p2: float
    p1_evaluated: float
    p2_evaluated: float
    frames: int
    frames_in_file: int
    clips: int
    clips_blocked: int

    @property
    def empty_actions(self) -> tuple[str, ...]:
        """Actions without a frame."""
        return tuple(row.action for row in self.rows if not row.frames)


def evaluate_ehgformer(
    network: nn.Module,
    frames: EHGFormerFrames,
    *,
    static: bool,
    flip: bool = True,
    gt_2d: bool = False,
    n: int | None = None,
    step: int = STEP,
    batch: int = 4,
    random: np.random.RandomState | None = None,
    advance: Advance | None = None,
) -> EHGFormerResult:
    """A network by the published protocol.

    Args:
        network: an EHGFormer, or anything that takes and gives (N, n, 17, 3).
        frames: the test split.
        static: the network was trained with root-relative labels, which its file does not tell.
        flip: average with the mirrored answer, as published.
        gt_2d: x, y of the input take the place of the answer's.
        n: frames of a clip; None: those of the network's config.
        random: for recordings shorter than a clip: `published_random`; None: seed 0.
        advance: is called with the number of clips of each batch.

    Raises:
        DataError: the frames are of no test split, or too few for a clip.
    """
    answers, indices = ask_clips(
        network, frames, flip=flip, gt_2d=gt_2d, n=n, step=step, batch=batch, random=random, advance=advance
    )
    return score_clips(answers, indices, frames, static=static, step=step)


def ask_clips(
    network: nn.Module,
    frames: EHGFormerFrames,
    *,
    flip: bool = True,
    gt_2d: bool = False,
    n: int | None = None,
    step: int = STEP,
    batch: int = 4,
    random: np.random.RandomState | None = None,
    advance: Advance | None = None,
) -> tuple[Floats, NDArray[np.int64]]:
    """The network's answers (C, n, 17, 3), normalised, and the clips' frames (C, n); arguments of `evaluate_ehgformer`.

    Raises:
        DataError: the frames are of no test split, or too few for a clip.
    """
    _truth(frames)
    length = int(network.config.frames) if n is None else n  # type: ignore[union-attr, arg-type]
    found = clip_set(frames, length, length, step=step, random=random)
    answers = np.empty((len(found), length, 17, 3), np.float32)
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        for start in range(0, len(found), batch):
            rows = np.arange(start, min(start + batch, len(found)))
            x = torch.from_numpy(found.take(rows)[0]).to(device)
            y: Tensor = flip_average(network, x) if flip else network(x)
            answers[rows] = y.cpu().numpy()
            if gt_2d:
                answers[rows, ..., :2] = x[..., :2].cpu().numpy()
            if advance is not None:
                advance(len(rows))
    return answers, found.indices


def score_clips(
    answers: Floats, indices: NDArray[np.int64], frames: EHGFormerFrames, *, static: bool, step: int = STEP
) -> EHGFormerResult:
    """The table for predictions of clips.

    Args:
        answers: (C, n, 17, 3) normalised joints.
        indices: (C, n) frames of the clips, as `clips` gives them.
        frames: the test split.
        static: set the root to 0 first.

    Raises:
        DataError: the frames are of no test split.
    """
    truth, factor, action = (part[::step] for part in _truth(frames))
    sizes, recording = frames.image_size[::step], frames.recording[::step]
    blocked = np.array([name[:-_CAMERA_SUFFIX] in BLOCKED for name in frames.recordings])
    sums = np.zeros((2, len(action)))
    counts = np.zeros(len(action), dtype=np.int64)
    left_out = 0
    for answer, rows in zip(answers, indices, strict=True):
        if blocked[recording[rows[0]]]:
            left_out += 1
            continue
        errors = _errors(_millimetres(answer, sizes[rows[0]], factor[rows], static), truth[rows])
        # Assigned, not added at: of a frame that a stretched clip repeats, numpy keeps the last, as published.
        sums[:, rows] += errors
        counts[rows] += 1
    counted = sums[0] > 0
    means = np.full_like(sums, np.nan)
    means[:, counted] = sums[:, counted] / counts[counted]
    table = []
    for place, name in sorted(enumerate(frames.actions), key=lambda entry: entry[1]):
        chosen = means[:, counted & (action == place)]
        table.append(ActionRow(name, _mean(chosen[0]), _mean(chosen[1]), chosen.shape[1]))
    with_frames = [row for row in table if row.frames]
    return EHGFormerResult(
        rows=tuple(table),
        p1=_mean([row.p1 for row in table]),
        p2=_mean([row.p2 for row in table]),
        p1_evaluated=_mean([row.p1 for row in with_frames]),
        p2_evaluated=_mean([row.p2 for row in with_frames]),
        frames=int(counted.sum()),
        frames_in_file=len(frames),
        clips=len(answers) - left_out,
        clips_blocked=left_out,
    )


def _truth(frames: EHGFormerFrames) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]:
    if frames.joints_25d is None or frames.factor is None or frames.action is None:
        raise DataError("frames: have no joints_2.5d_image, 2.5d_factor and action. Read the test split.")
    return frames.joints_25d, frames.factor, frames.action


def _millimetres(answer: Floats, size: NDArray[np.int32], factor: NDArray[np.float64], static: bool) -> Floats:
    """(n, 17, 3) normalised -> mm."""
    joints = answer.astype(np.float32)  # a copy
    if static:
        joints[:, 0] = 0
    pixels = denormalize(joints, int(size[0]), int(size[1]))
    return (pixels * factor[:, None, None]).astype(np.float32)


def _errors(predicted: Floats, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """P1 and P2, (2, n) mm."""
    p, q = predicted - predicted[:, :1], truth - truth[:, :1]
    return np.stack([mpjpe(p, q).double().numpy(), pa_mpjpe(p, q).double().numpy()])


def _mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
