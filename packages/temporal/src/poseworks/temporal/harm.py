"""What smoothing did to a motion: before and after, person by person, with a verdict by a stated rule.

No ground truth is needed. NaN is left out: a figure compares the frames that both versions have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from poseworks.core import PoseSequence, skeleton_from_names
from poseworks.core.body_size import person_size
from poseworks.core.errors import DataError, SkeletonError
from poseworks.core.gaps import Piece, bridge_gaps, runs
from poseworks.core.running import running_median
from poseworks.temporal.preparation import root_rows
from poseworks.temporal.spectrum import noise_level, noise_share, spectra

Array = NDArray[np.float64]
Verdict = Literal[
    "harm", "over-smoothed", "no visible effect", "smoother, motion kept", "changed", "nothing to compare"
]

RULE = (
    "Verdict, the first that holds. harm: acceleration rose by over 10 %, or bone lengths (3D) spread over 25 % and 5 "
    "points wider. over-smoothed: less than 80 % is left of the 1-6 Hz power that the input's own noise and jumps do "
    "not explain. no visible effect: joints moved under 0.1 % of the person's height and acceleration fell by under "
    "10 %. smoother, motion kept: acceleration fell by 10 % or more. changed: none of these."
)

_BAND = (1.0, 6.0)
_STANDING_HEIGHTS_PER_S = 0.15
_JUMP_SIGMAS = 5.0
_JUMP_OF_HEIGHT = 0.02
_FEET = ("left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot", "right_foot", "left_foot_index",
         "right_foot_index", "left_big_toe", "right_big_toe")  # fmt: skip


class BeforeAfter(BaseModel, frozen=True, extra="forbid"):
    """One measure of both versions; None where it cannot be taken."""

    before: float | None
    after: float | None

    @property
    def ratio(self) -> float | None:
        """After / before."""
        return self.after / self.before if self.before and self.after is not None else None


class PersonHarm(BaseModel, frozen=True, extra="forbid"):
    """The measures of one person. Lengths are in the report's unit.

    Attributes:
        person: track number, or the row where the poses have none.
        frames: frames with at least one joint in both versions.
        height: the person's, as the limbs tell it (`person_size`).
        displacement_mean, displacement_p95, displacement_max: distance between both versions of a joint.
        displacement_of_height: the mean, as a share of `height`.
        acceleration, jerk: mean length of second and third differences, per frame squared and cubed.
        bone_length_spread: standard deviation / mean of a bone's length over time, mean of the bones; 3D only.
        foot_slide: mean speed of the feet, per second, in frames where they stand: there a foot moves slower than
            0.15 heights per second in the running median of 5 frames of the input. Not for root-relative poses.
        power_kept: 1-6 Hz power (root-relative; up to 0.8 of half the frame rate) after / before, once single frames
            that jump (by over 5 times the noise and 2 % of the height from the median of 7 frames) are bridged.
        noise: standard deviation an axis of the noise that the input shows itself, mean of the joints.
        noise_share: share of the input's 1-6 Hz power that this noise explains.
        verdict: by `RULE`.
    """

    person: int
    frames: int
    height: float | None
    displacement_mean: float | None
    displacement_p95: float | None
    displacement_max: float | None
    displacement_of_height: float | None
    acceleration: BeforeAfter
    jerk: BeforeAfter
    bone_length_spread: BeforeAfter
    foot_slide: BeforeAfter
    power_kept: float | None
    noise: float | None
    noise_share: float | None
    verdict: Verdict


class HarmReport(BaseModel, frozen=True, extra="forbid"):
    """What changed between two versions of the same poses."""

    unit: str
    fps: float
    rule: str = RULE
    people: tuple[PersonHarm, ...]

    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `rows`."""
        u = self.unit
        return (
            "person", "frames", f"moved, mean ({u})", "p95", "max", "% of height", f"acceleration ({u}/frame²)",
            f"jerk ({u}/frame³)", "bone spread (%)", f"foot slide ({u}/s)", "1-6 Hz power kept",
            f"noise ({u})", "verdict",
        )  # fmt: skip

    def rows(self) -> list[tuple[str | float | int | None, ...]]:
        """One row a person, before → after in one cell."""
        return [
            (
                p.person, p.frames, p.displacement_mean, p.displacement_p95, p.displacement_max,
                None if p.displacement_of_height is None else 100 * p.displacement_of_height,
                _arrow(p.acceleration), _arrow(p.jerk), _arrow(p.bone_length_spread, 100), _arrow(p.foot_slide),
                p.power_kept, p.noise, p.verdict,
            )
            for p in self.people
        ]  # fmt: skip


def harm_report(before: PoseSequence, after: PoseSequence) -> HarmReport:
    """Every measure of `PersonHarm` for each person.

    Raises:
        DataError: the two do not hold the same people, frames, joints and unit.
    """
    if before.positions.shape != after.positions.shape or before.unit != after.unit:
        raise DataError(
            f"harm report: expected two versions of the same poses, got {before.positions.shape} in {before.unit} and "
            f"{after.positions.shape} in {after.unit}."
        )
    ids = before.person_ids if before.person_ids is not None else np.arange(before.num_people)
    people = tuple(_person(before, after, row, int(number)) for row, number in enumerate(ids))
    return HarmReport(unit=before.unit, fps=before.fps, people=people)


def _person(before: PoseSequence, after: PoseSequence, row: int, number: int) -> PersonHarm:
    """The measures of one person."""
    x, y = before.positions[row].astype(np.float64), after.positions[row].astype(np.float64)
    both = np.isfinite(x).all(axis=-1) & np.isfinite(y).all(axis=-1)
    x, y = np.where(both[..., None], x, np.nan), np.where(both[..., None], y, np.nan)
    height = person_size(x, before.joint_names)
    moved = np.linalg.norm(y - x, axis=-1)[both]
    kept, noise, share = _power(before, x, y, height)
    acceleration = BeforeAfter(before=_differences(x, 2), after=_differences(y, 2))
    bones = _both(x, y, lambda z: _bone_spread(z, before)) if before.num_dims == 3 else _NEITHER
    mean = _finite(moved.mean()) if moved.size else None
    of_height = mean / height if mean is not None and height > 0 else None
    return PersonHarm(
        person=number,
        frames=int(both.any(axis=1).sum()),
        height=_finite(height),
        displacement_mean=mean,
        displacement_p95=_finite(np.quantile(moved, 0.95)) if moved.size else None,
        displacement_max=_finite(moved.max()) if moved.size else None,
        displacement_of_height=of_height,
        acceleration=acceleration,
        jerk=_both(x, y, lambda z: _differences(z, 3)),
        bone_length_spread=bones,
        foot_slide=_foot_slide(before, x, y, height),
        power_kept=kept,
        noise=noise,
        noise_share=share,
        verdict=_verdict(of_height, acceleration, bones, kept, share),
    )


def _verdict(
    moved: float | None, acceleration: BeforeAfter, bones: BeforeAfter, kept: float | None, noise_share: float | None
) -> Verdict:
    """`RULE`, in its order."""
    if moved is None:
        return "nothing to compare"
    if acceleration.before is not None and acceleration.after is not None:
        fell = acceleration.after <= 0.9 * acceleration.before and acceleration.before > 0
        rose = acceleration.after > 1.1 * acceleration.before
    else:
        fell = rose = False
    if bones.before is not None and bones.after is not None:
        rose |= bones.after > 1.25 * bones.before and bones.after > bones.before + 0.05
    if rose and moved > 1e-5:
        return "harm"
    if kept is not None and kept < 0.8 * (1 - (noise_share or 0.0)):
        return "over-smoothed"
    if moved < 0.001 and not fell:
        return "no visible effect"
    return "smoother, motion kept" if fell else "changed"


def _differences(x: Array, order: int) -> float | None:
    """Mean length of the differences of an order (T, J, D), where all frames they need are there."""
    if len(x) <= order:
        return None
    return _mean(np.linalg.norm(np.diff(x, order, axis=0), axis=-1))


def _bone_spread(x: Array, poses: PoseSequence) -> float | None:
    """Mean over bones of standard deviation / mean of the length."""
    skeleton = poses.known_skeleton() or skeleton_from_names(poses.joint_names)
    index = {name: row for row, name in enumerate(poses.joint_names)}
    spreads = []
    for parent, child in skeleton.bones:
        length = np.linalg.norm(x[:, index[parent]] - x[:, index[child]], axis=-1)
        length = length[np.isfinite(length)]
        if length.size > 1 and length.mean() > 0:
            spreads.append(float(length.std() / length.mean()))
    return float(np.mean(spreads)) if spreads else None


def _foot_slide(poses: PoseSequence, x: Array, y: Array, height: float) -> BeforeAfter:
    """Mean speed of standing feet; the frames are chosen on the input, the same for both versions."""
    feet = [row for row, name in enumerate(poses.joint_names) if name in _FEET]
    if poses.frame == "root" or not feet or len(x) < 6 or not height > 0:
        return _NEITHER
    windows = np.lib.stride_tricks.sliding_window_view(x[:, feet], 5, axis=0)
    median = np.full_like(x[:, feet], np.nan)
    median[2:-2] = np.median(windows, axis=-1)
    speed = np.linalg.norm(np.diff(median, axis=0), axis=-1) * poses.fps
    standing = speed < _STANDING_HEIGHTS_PER_S * height

    def slide(z: Array) -> float | None:
        return _mean((np.linalg.norm(np.diff(z[:, feet], axis=0), axis=-1) * poses.fps)[standing])

    return _both(x, y, slide)


def _power(poses: PoseSequence, x: Array, y: Array, height: float) -> tuple[float | None, float | None, float | None]:
    """Share of the 1-6 Hz power kept, the input's noise, and the share of its power that the noise explains."""
    low, high = _BAND[0], min(_BAND[1], 0.4 * poses.fps)
    if high < 2 * low:
        return None, None, None
    if poses.frame != "root":
        try:
            rows = list(root_rows(poses))
        except SkeletonError:
            rows = []
        if rows and np.isfinite(x[:, rows]).any():
            x, y = x - x[:, rows].mean(axis=1, keepdims=True), y - y[:, rows].mean(axis=1, keepdims=True)
    pieces = [runs(np.asarray(np.isfinite(x[:, j]).all(axis=-1))) for j in range(x.shape[1])]
    noise = noise_level(x, pieces, poses.fps)
    x = _without_jumps(x, pieces, noise, height)

    def power(z: Array) -> list[Array]:
        return [spectra((z[a:b, j] for a, b in p), poses.fps).band(low, high) for j, p in enumerate(pieces)]

    before, after = power(x), power(y)
    total = float(sum(each.sum() for each in before))
    if not total > 0:
        return None, None, None
    windows = np.array([len(each) for each in before])
    explained = float(np.nansum(windows * noise**2)) * noise_share(poses.fps, low, high) / total
    return float(sum(each.sum() for each in after)) / total, _finite(float(np.nanmean(noise))), min(explained, 1.0)


def _without_jumps(x: Array, pieces: Sequence[Sequence[Piece]], noise: Array, height: float) -> Array:
    """(T, J, D) with outliers bridged: a detector's jump of a frame or two is no motion that could be kept."""
    if not height > 0:
        return x
    jumps = np.zeros(x.shape[:2], dtype=bool)
    for j, stretches in enumerate(pieces):
        for a, b in stretches:
            distance = np.linalg.norm(x[a:b, j] - running_median(x[a:b, j]), axis=-1)
            jumps[a:b, j] = distance > _JUMP_SIGMAS * np.nan_to_num(noise[j]) + _JUMP_OF_HEIGHT * height
    bridged = bridge_gaps(np.where(jumps[..., None], np.nan, x), longest=len(x)).values
    return np.where(jumps[..., None] & np.isfinite(bridged), bridged, x)


_NEITHER = BeforeAfter(before=None, after=None)


def _both(x: Array, y: Array, measure: Callable[[Array], float | None]) -> BeforeAfter:
    return BeforeAfter(before=measure(x), after=measure(y))


def _mean(values: Array) -> float | None:
    """Mean of what is finite, None where nothing is."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _arrow(pair: BeforeAfter, factor: float = 1.0) -> str | None:
    if pair.before is None or pair.after is None:
        return None
    return f"{factor * pair.before:.3g} → {factor * pair.after:.3g}"


def worst(reports: Sequence[PersonHarm]) -> Verdict:
    """The gravest verdict of several people, in the order of `RULE`."""
    order: tuple[Verdict, ...] = ("harm", "over-smoothed", "no visible effect", "changed", "smoother, motion kept")
    return min((p.verdict for p in reports if p.verdict in order), key=order.index, default="nothing to compare")
