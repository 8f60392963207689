"""Left and right put back where a detector exchanged them: a person's labels, frame by frame. NumPy only.

Each frame is in one of two states s: as given (0), or with every left and right joint exchanged (1). A body moves
steadily while an exchange makes all limbs jump at once, so the states are those that let the limbs move least:

    minimise over s   sum_t  step(t-1, t) + step(t-2, t) + bend(t-2, t-1, t) / 2  +  penalty |s_t - s_(t-1)|

`step` is how far the joints go between two frames, `bend` how far the middle frame lies from the line between its
neighbours, both with the labels that the states give. The step over two frames makes a single scrambled frame
harmless, which is what stands at most changes; the bend tells limbs that cross from limbs that are exchanged. A
distance d, once what all limbs go together is taken off, counts as d / (d + c), less than 1 however long it is, so
that one joint thrown far off does not decide; c is 5 % of the person's size and half a size for each second between
the frames. To a step comes 0.3 of how much the left side's lead in confidence changes: the far side of somebody who
walks past is the less visible one, and stays so. A change of state costs 0.15, and 1 more for each second between
the frames: seen a few times a second, limbs that cross look exchanged. Both ends of a piece count as unexchanged. The
exact minimum is found by the Viterbi algorithm over the pairs (s_(t-1), s_t), in time that grows with T.

Only changes can be seen, not which labels are right: within a piece those win that more frames have, each counted by
its confidence. A detector that is wrong most of the time is therefore not put right. Nor are single limbs exchanged.

Measured (`nox -s benchmark -- keypoints`): the 32 exchanged frames of four recorded views, and no other, at 60, 30 and
12 frames per second; on projected motion capture with a detector's noise all of them and no other at 30, most at 10,
and little gain at 6. Where nothing is exchanged nothing is changed at any rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.poses import PoseSequence, history_entry
from poseworks.core.skeletons import Skeleton, skeleton_from_names

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

LONGEST_GAP_S = 0.5
"""After a longer gap nothing ties the labels to those before it."""
PENALTY = 0.15
PENALTY_PER_S = 1.0
STEP_OF_SIZE = 0.05
SPEED_OF_SIZE = 0.5
BEND_SHARE = 0.5
LEAD_SHARE = 0.3
_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_SIZE_S = 1.0


@dataclass(frozen=True)
class Repaired:
    """What came out: the poses, and for each person the frames in which left and right were exchanged."""

    poses: PoseSequence
    changed: tuple[NDArray[np.intp], ...]


def repair_swaps(poses: PoseSequence) -> Repaired:
    """The same poses with left and right exchanged back, positions and confidence, where the motion shows a swap.

    Frames in which nothing is exchanged keep every bit; a second call changes nothing more. A joint that is NaN or has
    confidence 0 counts as not observed. `history` gets an entry also where nothing was changed. Frames more than half
    a second apart are not compared.

    Args:
        poses: any skeleton, 2D or 3D, any unit. One without left and right joints comes back as it is.
    """
    skeleton = poses.known_skeleton() or skeleton_from_names(poses.joint_names)
    changed = tuple(np.flatnonzero(_exchanged(poses, person, skeleton)) for person in range(poses.num_people))
    return Repaired(exchange_sides(poses, changed), changed)


def exchange_sides(poses: PoseSequence, frames: Sequence[NDArray[np.intp]]) -> PoseSequence:
    """The same poses with left and right exchanged in the given frames of each person, and a `history` that says so.

    For what belongs to repaired poses and shares their labels, such as a detector's 3D beside its 2D.
    """
    skeleton = poses.known_skeleton() or skeleton_from_names(poses.joint_names)
    positions, confidence = poses.positions.copy(), poses.confidence.copy()
    mirrored = list(skeleton.mirrored)
    for person, rows in enumerate(frames):
        positions[person, rows] = poses.positions[person, rows][:, mirrored]
        confidence[person, rows] = poses.confidence[person, rows][:, mirrored]
    ids = range(poses.num_people) if poses.person_ids is None else poses.person_ids.tolist()
    people: list[dict[str, Any]] = [
        {"person": int(number), "exchanged": len(rows), "frames": _ranges(rows)}
        for number, rows in zip(ids, frames, strict=True)
    ]
    entry = history_entry("repair_swaps", "poseworks-core", {"people": people})
    return poses.replace(positions=positions, confidence=confidence).with_step(entry)


@dataclass(frozen=True)
class _Limbs:
    """The N frames of one person that can be compared, in order.

    Attributes:
        left, right: (D, K, N) in sizes of the person; NaN where one of a pair was not observed.
        seconds: (N,) when.
        usual: how many pairs a frame has in the middle.
        weight: (N,) confidence of each frame.
        lead: (K, N) how much surer the left one of a pair is than the right one.
    """

    left: Array
    right: Array
    seconds: Array
    usual: float
    weight: Array
    lead: Array


def _exchanged(poses: PoseSequence, person: int, skeleton: Skeleton) -> Flags:
    """(T,) frames whose labels have to be exchanged."""
    result = np.zeros(poses.num_frames, dtype=bool)
    pairs = _limb_pairs(skeleton)
    observed = np.isfinite(poses.positions[person]).all(axis=-1) & (poses.confidence[person] > 0)
    both = observed[:, pairs[:, 0]] & observed[:, pairs[:, 1]]
    count = both.sum(axis=1)
    if not count.any():
        return result
    # A frame with few joints would cut the comparison of the full ones beside it: it follows them instead.
    usual = float(np.median(count[count > 0]))
    frames = np.flatnonzero(count >= max(usual / 2, 1))
    limbs = _limbs(poses, person, pairs, frames, both[frames], usual)
    step, triple = _step_costs(limbs, 1), _triple_costs(limbs)
    gaps = np.diff(limbs.seconds)
    penalty = PENALTY + PENALTY_PER_S * gaps
    starts = np.flatnonzero(gaps > LONGEST_GAP_S) + 1
    for start, stop in pairwise((0, *starts.tolist(), len(frames))):
        links, triples = slice(start, stop - 1), slice(start, max(stop - 2, start))
        states = _viterbi(step[:, links], triple[..., triples], penalty[links])
        weight = limbs.weight[start:stop]
        if weight[states].sum() > weight[~states].sum():
            states = ~states
        piece = frames[start:stop]
        between = np.arange(piece[0], piece[-1] + 1)
        # A frame that was not compared is exchanged where both neighbours are.
        result[between] = (np.interp(between, piece, states) == 1) & observed[between].any(axis=1)
    return result


def _limb_pairs(skeleton: Skeleton) -> NDArray[np.intp]:
    """(K, 2) left and right joints that tell: arms and legs where there are any, so that all skeletons decide alike."""
    pairs = skeleton.pairs
    limbs = [pair for pair in pairs if skeleton.joint_names[pair[0]].removeprefix("left_") in _LIMBS]
    return np.array(limbs if len(limbs) > 1 else pairs, dtype=np.intp).reshape(-1, 2)


def _limbs(
    poses: PoseSequence, person: int, pairs: NDArray[np.intp], frames: NDArray[np.intp], both: Flags, usual: float
) -> _Limbs:
    """The limbs in `frames`, divided by the person's size there."""
    joints = poses.positions[person][frames][:, pairs].astype(np.float64)  # (N, K, 2, D)
    joints[~both] = np.nan
    left, right = np.ascontiguousarray(joints.transpose(2, 3, 1, 0))
    seconds = poses.seconds[frames]
    sizes = _sizes(left, right, seconds)
    confidence = poses.confidence[person][frames][:, pairs].astype(np.float64)
    weight = (confidence.mean(axis=2) * both).sum(axis=1) / both.sum(axis=1)
    lead = np.where(both, confidence[..., 0] - confidence[..., 1], np.nan).T
    return _Limbs(left / sizes, right / sizes, seconds, usual, weight, lead)


def _sizes(left: Array, right: Array, seconds: Array) -> Array:
    """(N,) diagonal of the box around the limbs, median of each second: a person may come nearer to the camera."""
    top = np.fmax(np.fmax.reduce(left, axis=1), np.fmax.reduce(right, axis=1))
    bottom = np.fmin(np.fmin.reduce(left, axis=1), np.fmin.reduce(right, axis=1))
    box = np.linalg.norm(top - bottom, axis=0)
    block = ((seconds - seconds[0]) / _SIZE_S).astype(np.intp)
    edges = np.flatnonzero(np.diff(block)) + 1
    sizes = np.concatenate([np.full(len(part), np.median(part)) for part in np.split(box, edges)])
    return np.where(sizes > 0, sizes, 1.0)


def _step_costs(limbs: _Limbs, lag: int) -> Array:
    """(2, N - lag) mean cost from a frame to the one `lag` later, in the same state and in the other one."""
    left, right = limbs.left, limbs.right
    scale = STEP_OF_SIZE + SPEED_OF_SIZE * (limbs.seconds[lag:] - limbs.seconds[:-lag])
    ways = ((left, right), (right, left))
    steps = [
        _cost(a[..., lag:] - left[..., :-lag], b[..., lag:] - right[..., :-lag], scale, limbs.usual) for a, b in ways
    ]
    return np.asarray(np.stack(steps) + LEAD_SHARE * _lead_costs(limbs, lag))


def _lead_costs(limbs: _Limbs, lag: int) -> Array:
    """(2, N - lag) mean change of which side is surer, from a frame to the one `lag` later, kept and exchanged."""
    before, after = limbs.lead[:, :-lag], limbs.lead[:, lag:]
    count = np.maximum((~np.isnan(before + after)).sum(axis=0), max(limbs.usual, 1.0))
    changes = np.nansum(np.abs(after - before), axis=0), np.nansum(np.abs(after + before), axis=0)
    return np.asarray(np.stack(changes) / count)


def _triple_costs(limbs: _Limbs) -> Array:
    """(2, 2, N - 2) cost of three frames; axes: whether the first two differ in state, whether the last two do."""
    if len(limbs.seconds) < 3:
        return np.zeros((2, 2, 0))
    gaps = np.diff(limbs.seconds)
    before, after = gaps[:-1], gaps[1:]
    share = after / (before + after)  # of the first frame, on the line between the outer two at the middle's time
    scale = STEP_OF_SIZE + SPEED_OF_SIZE * np.maximum(before, after)
    sides = ((limbs.left, limbs.right), (limbs.right, limbs.left))
    steady, changed = _step_costs(limbs, 2)
    costs = np.empty((2, 2, len(share)))
    for i, first in enumerate(sides):
        for j, last in enumerate(sides):
            bends = [
                2 * (middle[..., 1:-1] - share * a[..., :-2] - (1 - share) * b[..., 2:])
                for middle, a, b in zip(sides[0], first, last, strict=True)
            ]
            costs[i, j] = BEND_SHARE * _cost(bends[0], bends[1], scale, limbs.usual)
            costs[i, j] += steady if i == j else changed  # two changes cancel out
    return costs


def _cost(left: Array, right: Array, scale: Array, usual: float) -> Array:
    """(N,) mean over the pairs of what differences (D, K, N) of both sides cost; few pairs say accordingly less.

    What all limbs have in common is taken off first: it is the same in all states, and a person who is carried along,
    or a camera that turns, says nothing about labels.
    """
    observed = ~np.isnan(left[0])
    count = observed.sum(axis=0)
    common = np.where(observed, left + right, 0.0).sum(axis=1) / (2 * np.maximum(count, 1))
    total = np.zeros(len(scale))
    for side in (left, right):
        length = np.sqrt(((side - common[:, None]) ** 2).sum(axis=0))
        total += np.where(observed, length / (length + scale), 0.0).sum(axis=0)
    return np.asarray(0.5 * total / np.maximum(count, max(usual, 1.0)))


def _viterbi(step: Array, triple: Array, penalty: Array) -> Flags:
    """(N,) states of least cost from (2, N - 1) and (2, 2, N - 2) costs; unexchanged where two are alike.

    The four sums are those of the best states up to a frame that end in 00, 01, 10 and 11.
    """
    if len(penalty) == 0:
        return np.zeros(1, dtype=bool)
    stay, change = float(step[0, 0]), float(step[1, 0] + penalty[0])
    c00, c01, c10, c11 = stay, change, change + PENALTY, stay + PENALTY
    choices: list[tuple[bool, bool, bool, bool]] = []
    rows = np.column_stack([step[0, 1:], step[1, 1:] + penalty[1:], *triple.reshape(4, -1)])
    for stay, change, t00, t01, t10, t11 in rows.tolist():
        a00, b00 = c00 + t00, c10 + t10
        a01, b01 = c00 + t01, c10 + t11
        a10, b10 = c01 + t11, c11 + t01
        a11, b11 = c01 + t10, c11 + t00
        choice = (b00 < a00, b01 < a01, b10 < a10, b11 < a11)
        choices.append(choice)
        c00 = (b00 if choice[0] else a00) + stay
        c01 = (b01 if choice[1] else a01) + change
        c10 = (b10 if choice[2] else a10) + change
        c11 = (b11 if choice[3] else a11) + stay
    ending = int(np.argmin([c00, c01 + PENALTY, c10, c11 + PENALTY]))
    states = [ending & 1, ending >> 1]
    for choice in reversed(choices):
        ending = 2 * choice[ending] + (ending >> 1)
        states.append(ending >> 1)
    return np.array(states[::-1], dtype=bool)


def _ranges(frames: NDArray[np.intp]) -> list[list[int]]:
    """Frame numbers as [first, last] of each run."""
    if len(frames) == 0:
        return []
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    return [[int(run[0]), int(run[-1])] for run in runs]
