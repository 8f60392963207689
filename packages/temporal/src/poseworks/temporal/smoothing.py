"""Poses in, smoothed poses out: units, root, gaps, people and the guard around any network or filter.

Left and right that the detector exchanged are put back first, if asked. Then each person alone, in this order: joints
below the asked confidence are taken as missing; positions are brought to the scale that the weights expect and, where
they expect it, made relative to the root, whose own track joins the others; short gaps are bridged and long ones cut
the tracks into pieces; the smoother sees each piece as (frames, joints x axes); all of it is undone; the guard draws
back what the input's noise does not explain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from poseworks.core import PoseSequence, history_entry
from poseworks.core.body_size import person_size
from poseworks.core.errors import ConfigError, DataError, SkeletonError
from poseworks.core.gaps import Bridged, Piece, bridge_confidence, bridge_gaps, runs
from poseworks.core.swaps import repair_swaps
from poseworks.temporal.filters import Filter, OneEuro
from poseworks.temporal.guard import guard
from poseworks.temporal.harm import HarmReport, harm_report
from poseworks.temporal.notes import SmoothingNotes
from poseworks.temporal.preparation import (
    Preparation,
    default_preparation,
    root_rows,
    scaling,
)

if TYPE_CHECKING:
    from torch import Tensor

    from poseworks.core.windows import WindowNetwork

Array = NDArray[np.float64]


class SmoothSettings(BaseModel, frozen=True, extra="forbid"):
    """How poses are smoothed, whatever the smoother.

    Attributes:
        max_gap_s: longest gap, in seconds, that is interpolated; DeciWatch's own interval always is.
        min_confidence: joints below it count as missing.
        unswap: first exchange left and right back where the detector exchanged them (`poseworks.core.swaps`).
        guard: limit each correction to what the input's own noise explains.
        latency_frames: None, or how many frames of the future a frame may know, as in a stream.
        stride: frames between windows; None: as published (1, or DeciWatch's interval).
        short: what happens to pieces shorter than a window (`apply_windows`).
        root: names of the root joints; empty: those of the weights, else of the skeleton.
    """

    max_gap_s: NonNegativeFloat = 0.5
    min_confidence: float = Field(0.0, ge=0, le=1)
    unswap: bool = False
    guard: bool = False
    latency_frames: NonNegativeInt | None = None
    stride: PositiveInt | None = None
    short: Literal["pad", "zero", "identity"] = "pad"
    root: tuple[str, ...] = ()


@dataclass(frozen=True)
class Smoothed:
    """What came out: the poses, sentences that a reader has to know, and what it did to the (unswapped) motion."""

    poses: PoseSequence
    notes: tuple[str, ...]
    harm: HarmReport


def smooth(
    poses: PoseSequence,
    smoother: WindowNetwork | Filter,
    settings: SmoothSettings | None = None,
    *,
    model: str | None = None,
    model_sha256: str | None = None,
    advance: Callable[[float], None] | None = None,
) -> Smoothed:
    """The same people, frames and joints, smoothed; filled frames take the lower confidence of their neighbours.

    Args:
        poses: any skeleton, 2D or 3D.
        smoother: a network from `load`, or a filter.
        settings: None: the defaults.
        model, model_sha256: name and hash of the weights, for the history.
        advance: called with the share of the work (their sum is 1) that has just been done.

    Raises:
        DataError: the poses do not tell what the weights have to know (unit, image size, root), or there is nobody.
        SkeletonError: the root joints are not there.
        ConfigError: settings that exclude each other or the smoother.
    """
    settings = settings or SmoothSettings()
    _check(poses, smoother, settings)
    notes = SmoothingNotes(poses)
    if settings.unswap:
        # What follows sees the repaired poses alone, the harm report too: against the exchanged frames, whose jumps
        # look like motion, it would call the repair itself over-smoothed.
        repaired = repair_swaps(poses)
        poses = repaired.poses
        notes.exchanged(repaired.changed)
    preparation = _preparation(smoother, poses)
    notes.rate(preparation)
    work = _Work(poses, smoother, settings, preparation, notes, advance or _ignore)
    positions = np.full(poses.positions.shape, np.nan)
    confidence = poses.confidence.copy()
    for person in range(poses.num_people):
        positions[person], filled = work.smooth_person(person)
        confidence[person] = bridge_confidence(confidence[person], filled)
    entry = history_entry(
        "smooth",
        "poseworks-temporal",
        {"smoother": _describe(smoother), **settings.model_dump(mode="json")},
        model,
        model_sha256,
    )
    result = poses.replace(positions=positions, confidence=confidence).with_step(entry)
    return Smoothed(result, notes.sentences(), harm_report(poses, result))


@dataclass(frozen=True)
class _Work:
    """One call of `smooth`: what stays the same from person to person."""

    poses: PoseSequence
    smoother: WindowNetwork | Filter
    settings: SmoothSettings
    preparation: Preparation
    notes: SmoothingNotes
    advance: Callable[[float], None]

    def smooth_person(self, person: int) -> tuple[Array, NDArray[np.bool_]]:
        """Smoothed positions (T, J, D) of a row, and where a gap was filled (T, J)."""
        original = self._observed(person)
        bridged = bridge_gaps(original, self._longest_gap())
        if not any(bridged.pieces):
            self.notes.empty(person)
            return original, bridged.filled
        scale = scaling(self.poses, person, self.preparation)
        self.notes.assume(person, scale.note)
        prepared = scale.apply(original)
        smoothed = scale.undo(self._smooth_tracks(prepared, person))
        pieces = tuple(_seen(smoothed[:, j]) for j in range(smoothed.shape[1]))
        self.notes.gaps(person, bridged.filled, pieces, original)
        if self.settings.guard:
            height = person_size(original, self.poses.joint_names)
            smoothed, noise = guard(bridged.values, smoothed, pieces, self.poses.fps, height)
            self.notes.guarded(person, noise, self.poses)
        return smoothed, bridged.filled & np.isfinite(smoothed).all(axis=-1)

    def _observed(self, person: int) -> Array:
        """Positions (T, J, D) with NaN for what was not observed well enough."""
        positions = self.poses.positions[person].astype(np.float64)
        unsure = self.poses.confidence[person] < self.settings.min_confidence
        self.notes.unsure(person, int((unsure & np.isfinite(positions).all(axis=-1)).sum()))
        positions[unsure] = np.nan
        return np.asarray(positions)

    def _longest_gap(self) -> int:
        """Frames of the longest gap that is bridged."""
        longest = int(self.settings.max_gap_s * self.poses.fps + 1e-6)
        return longest if isinstance(self.smoother, Filter) else max(longest, self.smoother.stride - 1)

    def _smooth_tracks(self, x: Array, person: int) -> Array:
        """Prepared positions (T, J, D), smoothed, in the same scale; NaN where there is no piece."""
        longest = self._longest_gap()
        tracks = bridge_gaps(x, longest)
        if self.preparation.centring == "none" or self.poses.frame == "root":
            return self._run(tracks, self._fixed_rows())
        rows, root = self._root(x, tracks, person)
        if root is None:
            return self._run(tracks, ())
        relative = bridge_gaps(x - root.values, longest)
        if self.preparation.centring == "root_removed":
            smoothed = self._run(relative, rows) + root.values
        else:
            # The network was not made for a constant zero, which is all that a single root is to itself.
            smoothed = self._run(relative, rows if len(rows) == 1 else ()) + self._smooth_root(root)
        lost = np.isnan(smoothed) & np.isfinite(tracks.values)
        self.notes.rootless(person, int(lost.any(axis=-1).sum()))
        return np.where(lost, tracks.values, smoothed)

    def _root(self, x: Array, tracks: Bridged, person: int) -> tuple[tuple[int, ...], Bridged | None]:
        """Rows of the root and its track (T, 1, D); no track where weights of any scale do as well without.

        Those do not mind the origin: the joints are then smoothed where they are, rather than not at all.

        Raises:
            SkeletonError, DataError: the root is not there, and the weights need it.
        """
        optional = self.preparation.scale == "any" and self.preparation.centring == "root"
        try:
            rows = root_rows(self.poses, self.settings.root or self.preparation.root)
        except SkeletonError:
            if not optional or self.settings.root:
                raise
            self.notes.add("no joint is the root: positions were smoothed as they are, not relative to it")
            return (), None
        root = bridge_gaps(x[:, rows].mean(axis=1, keepdims=True), self._longest_gap())
        missing = np.isnan(root.values).any(axis=(1, 2)) & np.isfinite(tracks.values).any(axis=(1, 2))
        if optional and missing.any():
            self.notes.without_root(person, int(missing.sum()))
            return rows, None
        if not root.pieces[0]:
            names = ", ".join(self.poses.joint_names[row] for row in rows)
            raise DataError(
                f"poses: the root ({names}) is never observed, and these weights expect positions relative to it. "
                "Name another root (--root), or use weights that need none, such as smoothnet-general-w32."
            )
        return rows, root

    def _smooth_root(self, root: Bridged) -> Array:
        """The root's own track (T, 1, D), smoothed in windows that are each centred on their mean."""
        if isinstance(self.smoother, Filter):
            return self._run(root, ())
        if _channels(self.smoother) not in (None, root.values.shape[-1]):
            self.notes.add("the root's own track is not smoothed: these weights take all joints together")
            return root.values
        return self._run(root, (), _Centred(self.smoother))

    def _fixed_rows(self) -> tuple[int, ...]:
        """Joints that are the origin themselves, and so stay as they are."""
        if self.poses.frame != "root":
            return ()
        rows = root_rows(self.poses, self.settings.root or self.preparation.root)
        return rows if len(rows) == 1 else ()

    def _run(self, tracks: Bridged, fixed: tuple[int, ...], smoother: WindowNetwork | Filter | None = None) -> Array:
        """The smoother on every piece of every track but the `fixed` ones; tracks with the same pieces go together."""
        smoother = smoother or self.smoother
        result = tracks.values.copy()
        together = _channels(smoother)
        groups = _groups(tracks, fixed, together is not None)
        if together is not None:
            result[...] = np.nan
            self._check_channels(together, tracks, groups)
        for (start, stop), columns in groups:
            piece = tracks.values[start:stop, columns]
            window = 0 if isinstance(smoother, Filter) else smoother.window
            self.notes.short(stop - start, window, self.settings.short)
            channels = piece.reshape(stop - start, -1)
            share = piece.size / self.poses.positions.size
            result[start:stop, columns] = self._apply(smoother, channels, share).reshape(piece.shape)
        return result

    def _apply(self, smoother: WindowNetwork | Filter, channels: Array, share: float) -> Array:
        """One piece (n, C) through the smoother; it is a `share` of all the work."""
        latency = self.settings.latency_frames
        if isinstance(smoother, Filter):
            filtered = np.asarray(smoother.offline(channels, look_ahead=latency))
            self.advance(share)
            return filtered
        from poseworks.core.windows import apply_windows

        stride = self.settings.stride or smoother.stride
        windows = max(1, (len(channels) - smoother.window) // stride + 1)
        counted = _Counted(smoother, lambda done: self.advance(share * done / windows))
        smoothed = apply_windows(counted, channels, stride=stride, short=self.settings.short, look_ahead=latency)
        return smoothed.astype(np.float64)

    def _check_channels(self, channels: int, tracks: Bridged, groups: list[tuple[Piece, list[int]]]) -> None:
        """DataError unless weights that take all joints together find as many as they were made for."""
        found = tracks.values.shape[1] * tracks.values.shape[2]
        if found != channels:
            raise DataError(
                f"poses: these weights take {channels} channels together, and {tracks.values.shape[1]} joints x "
                f"{tracks.values.shape[2]} axes are {found}. Convert the skeleton, or use weights that take each "
                "channel alone, such as deciwatch-general-i10."
            )
        if not groups:
            absent = [self.poses.joint_names[k] for k, pieces in enumerate(tracks.pieces) if not pieces]
            raise DataError(
                "poses: these weights need all joints in the same frames; "
                f"never observed: {', '.join(absent) or 'all of them together'}. Use weights that take each channel "
                "alone, such as deciwatch-general-i10."
            )


@dataclass(frozen=True)
class _Wrapped:
    """A network with something done around its windows."""

    network: WindowNetwork

    @property
    def window(self) -> int:
        return self.network.window

    @property
    def stride(self) -> int:
        return self.network.stride

    @property
    def reads(self) -> Tensor:
        return self.network.reads

    def run_windows(self, x: Tensor) -> Tensor:
        return self.network.run_windows(x)

    def parameters(self) -> Iterator[Tensor]:
        """Tells `apply_windows` on which device to compute."""
        return iter(getattr(self.network, "parameters", lambda: ())())


class _Centred(_Wrapped):
    """Its windows are moved so that their mean is 0, and back: for tracks that leave the origin."""

    def run_windows(self, x: Tensor) -> Tensor:
        mean = x[:, self.network.reads.to(x.device)].mean(dim=1, keepdim=True)
        return self.network.run_windows(x - mean) + mean


@dataclass(frozen=True)
class _Counted(_Wrapped):
    """It tells how many windows it has done."""

    done: Callable[[int], None]

    def run_windows(self, x: Tensor) -> Tensor:
        smoothed = self.network.run_windows(x)
        self.done(len(x))
        return smoothed


def _groups(tracks: Bridged, fixed: tuple[int, ...], together: bool) -> list[tuple[Piece, list[int]]]:
    """Pieces, each with the tracks that have it; with `together`, the stretches that all tracks have."""
    if together:
        common = np.isfinite(tracks.values).all(axis=(1, 2))
        return [(piece, list(range(tracks.values.shape[1]))) for piece in runs(np.asarray(common))]
    groups: dict[Piece, list[int]] = {}
    for k, pieces in enumerate(tracks.pieces):
        for piece in () if k in fixed else pieces:
            groups.setdefault(piece, []).append(k)
    return list(groups.items())


def _seen(track: Array) -> tuple[Piece, ...]:
    """Stretches of a track (T, D) without NaN."""
    return runs(np.asarray(np.isfinite(track).all(axis=-1)))


def _channels(smoother: object) -> int | None:
    """Channels that a network mixes, and so takes together; None where each channel is smoothed alone."""
    if isinstance(smoother, _Centred):
        smoother = smoother.network
    channels = getattr(getattr(smoother, "config", None), "channels", 1)
    return None if channels == 1 else int(channels)


def _preparation(smoother: WindowNetwork | Filter, poses: PoseSequence) -> Preparation:
    """What the smoother expects: filters take any unit, but One-Euro wants metres where they are known."""
    if isinstance(smoother, Filter):
        metric = isinstance(smoother, OneEuro) and (poses.num_dims == 2 or poses.unit in ("m", "mm"))
        return Preparation(scale="metres" if metric else "any", centring="none")
    found = getattr(smoother, "preparation", None)
    return found if isinstance(found, Preparation) else default_preparation(poses.num_dims)


def _check(poses: PoseSequence, smoother: WindowNetwork | Filter, settings: SmoothSettings) -> None:
    """ConfigError and DataError for what cannot be smoothed, before any work."""
    if poses.num_people == 0 or poses.num_frames == 0 or poses.num_joints == 0:
        raise DataError(
            f"poses: expected people, frames and joints, got {poses.num_people} people, {poses.num_frames} frames and "
            f"{poses.num_joints} joints. There is nothing to smooth."
        )
    if settings.guard and settings.latency_frames is not None:
        raise ConfigError(
            "guard: it reads the noise from the whole clip, which a latency forbids. Drop one of the two."
        )
    if settings.unswap and settings.latency_frames is not None:
        raise ConfigError(
            "unswap: it compares the frames of the whole clip, which a latency forbids. Drop one of the two."
        )
    if settings.latency_frames is not None and settings.short != "pad":
        raise ConfigError(f"short: a latency starts with padding (pad), not {settings.short}. Drop one of the two.")
    if isinstance(smoother, Filter):
        if settings.stride is not None:
            raise ConfigError("stride: filters have no windows. Drop it, or name a network.")
        return
    preparation = _preparation(smoother, poses)
    if preparation.representation != "positions":
        raise ConfigError(
            f"model: these weights expect rotations ({preparation.representation}), not positions. Use "
            "poseworks.temporal.smooth_rotations on rotation matrices."
        )


def _describe(smoother: object) -> Any:
    """Settings of a filter, or config of a network, as JSON knows it."""
    config = smoother if isinstance(smoother, BaseModel) else getattr(smoother, "config", None)
    return config.model_dump(mode="json") if isinstance(config, BaseModel) else type(smoother).__name__


def _ignore(share: float) -> None:
    """Nobody watches."""
