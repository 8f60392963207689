"""The published protocol of LCN on Human3.6M: every frame of S9 and S11, in the camera's frame, without alignment.

1. Input: pixels by `h36m.normalize`, true or detected; confidence as third feature. Label: joints in image space,
   normalised likewise, not relative to the root in x, y.
2. Test-time flip: the mean of the answer and of the mirrored answer to the mirrored input.
3. Back to pixels, then to mm in the axes of the camera with the true box, camera and root depth (`image_space`).
4. Distance of each joint to the truth: an error of the root's x, y counts. Protocol 2: after a similarity that may
   also mirror, where that fits better.
5. Mean over the frames and joints of each action 2 to 16, then over the 15 actions; or per joint over all frames,
   then over the joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseworks.core.errors import DataError, ShapeError
from poseworks.core.progress import Advance
from poseworks.core.skeletons import H36M_17
from poseworks.lifting.flipping import flip_average
from poseworks.lifting.h36m import denormalize, normalize
from poseworks.lifting.image_space import image_to_camera
from poseworks.lifting.learning.h36m_files.frames import LCNFrames

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

ACTIONS = tuple(range(2, 17))
_ROWS = 1 << 14  # frames that are computed in float64 at a time


def lcn_inputs(frames: LCNFrames, features: int, rows: slice | NDArray[np.int64] = slice(None)) -> Floats:
    """(N, 17, features) normalised x, y, and confidence as the third of 3 features, of all frames or of some."""
    width, height = frames.image_size[rows].T
    scaled = normalize(frames.keypoints[rows], width, height)
    return scaled if features == 2 else np.concatenate([scaled, frames.confidence[rows][..., None]], axis=-1)


def lcn_labels(frames: LCNFrames, rows: slice | NDArray[np.int64] = slice(None)) -> Floats:
    """(N, 17, 3) normalised joints in image space, of all frames or of some."""
    width, height = frames.image_size[rows].T
    return normalize(frames.joints_image[rows], width, height)


@dataclass(frozen=True)
class ErrorRow:
    """Error in mm of an action or a joint: protocol 1, and 2 where it was asked for; NaN without frames."""

    name: str
    p1: float
    p2: float | None
    frames: int


@dataclass(frozen=True)
class LCNResult:
    """The published tables.

    Attributes:
        actions: a row for each of the actions 2 to 16.
        joints: a row for each joint, over all frames.
        p1, p2: mean over the actions; NaN if one of them has no frame. p2 is None where it was not asked for.
        p1_evaluated, p2_evaluated: mean over the actions that have frames.
        frames: all that were evaluated.
    """

    actions: tuple[ErrorRow, ...]
    joints: tuple[ErrorRow, ...]
    p1: float
    p2: float | None
    p1_evaluated: float
    p2_evaluated: float | None
    frames: int

    @property
    def empty_actions(self) -> tuple[str, ...]:
        """Actions without a frame."""
        return tuple(row.name for row in self.actions if not row.frames)


def evaluate_lcn(
    network: nn.Module,
    frames: LCNFrames,
    *,
    flip: bool = False,
    procrustes: bool = False,
    features: int | None = None,
    batch: int = 256,
    advance: Advance | None = None,
) -> LCNResult:
    """A network by the published protocol.

    Args:
        network: an LCN, or anything that takes (N, 17, 2 or 3) and gives (N, 17, 3).
        frames: the test split.
        flip: average with the mirrored answer.
        procrustes: protocol 2 as well.
        features: of the input; None: those of the network's config.
        advance: is called with the number of frames of each batch.
    """
    in_features = int(network.config.in_features) if features is None else features  # type: ignore[union-attr, arg-type]
    answers = np.empty((len(frames), 17, 3), np.float32)
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        for start in range(0, len(frames), batch):
            rows = slice(start, start + batch)
            x = torch.from_numpy(np.ascontiguousarray(lcn_inputs(frames, in_features, rows))).to(device)
            y: Tensor = flip_average(network, x) if flip else network(x)
            answers[rows] = y.cpu().numpy()
            if advance is not None:
                advance(len(x))
    return score_frames(answers, frames, procrustes=procrustes)


def score_frames(answers: NDArray[np.floating], frames: LCNFrames, *, procrustes: bool = False) -> LCNResult:
    """The tables for predictions.

    Args:
        answers: (N, 17, 3) normalised joints.
        frames: the test split.
        procrustes: protocol 2 as well.

    Raises:
        ShapeError: not one answer a frame. DataError: there are no frames.
    """
    if answers.shape != (len(frames), 17, 3):
        raise ShapeError(f"answers: expected ({len(frames)}, 17, 3), got {answers.shape}.")
    if not len(frames):
        raise DataError("frames: there are none.")
    kinds = 2 if procrustes else 1
    by_action = {action: np.zeros(kinds) for action in ACTIONS}
    by_joint, counts = np.zeros((kinds, 17)), dict.fromkeys(ACTIONS, 0)
    for start in range(0, len(frames), _ROWS):
        rows = slice(start, start + _ROWS)
        errors = _errors(to_camera(answers[rows], frames, rows), frames.joints_camera_mm[rows], procrustes)
        by_joint += errors.sum(axis=1)
        for action in ACTIONS:
            chosen = frames.action[rows] == action
            by_action[action] += errors[:, chosen].sum(axis=(1, 2))
            counts[action] += int(chosen.sum())
    means = {
        action: sums / (17 * counts[action]) if counts[action] else sums + np.nan for action, sums in by_action.items()
    }
    joint_means = by_joint.T / len(frames)
    full = np.mean(list(means.values()), axis=0)
    some = [mean for action, mean in means.items() if counts[action]]
    evaluated = np.mean(some, axis=0) if some else full
    return LCNResult(
        actions=tuple(_row(str(action), mean, counts[action]) for action, mean in means.items()),
        joints=tuple(
            _row(name, mean, len(frames)) for name, mean in zip(H36M_17.joint_names, joint_means, strict=True)
        ),
        p1=float(full[0]),
        p2=float(full[1]) if procrustes else None,
        p1_evaluated=float(evaluated[0]),
        p2_evaluated=float(evaluated[1]) if procrustes else None,
        frames=len(frames),
    )


def to_camera(answers: NDArray[np.floating], frames: LCNFrames, rows: slice = slice(None)) -> Doubles:
    """Normalised joints (N, 17, 3) of some frames -> mm in camera axes, with the true box, camera and root depth."""
    width, height = frames.image_size[rows].T
    pixels = denormalize(answers.astype(np.float64), width, height)
    return image_to_camera(pixels, frames.box[rows], frames.root_depth[rows], frames.focal[rows], frames.centre[rows])


def _row(name: str, mean: Doubles, frames: int) -> ErrorRow:
    return ErrorRow(name, float(mean[0]), float(mean[1]) if len(mean) > 1 else None, frames)


def _errors(predicted: Doubles, truth: NDArray[np.floating], procrustes: bool) -> Doubles:
    """(1 or 2, N, 17) mm."""
    target = truth.astype(np.float64)
    plain: Doubles = np.linalg.norm(predicted - target, axis=-1)
    if not procrustes:
        return plain[None]
    return np.stack([plain, np.linalg.norm(_fitted(predicted, target) - target, axis=-1)])


def _fitted(predicted: Doubles, target: Doubles) -> Doubles:
    """`predicted` (N, J, 3) under the similarity, mirrored or not, that brings each frame nearest to `target`.

    Not `poseworks.core.metrics.similarity_align`: that one, as the name says, leaves left and right where they are.
    """
    p_mean, q_mean = predicted.mean(axis=1, keepdims=True), target.mean(axis=1, keepdims=True)
    p, q = predicted - p_mean, target - q_mean
    u, singular, vh = np.linalg.svd(p.transpose(0, 2, 1) @ q)
    squared = (p * p).sum(axis=(1, 2))
    scale = np.where(squared > 0, singular.sum(axis=1) / np.where(squared > 0, squared, 1), 0)
    fitted: Doubles = scale[:, None, None] * (p @ (u @ vh)) + q_mean
    return fitted
