"""How well a smoother does on open data: recorded motion with fitted noise, and real pairs of sensor and truth.

Protocol on clips: joints relative to the pelvis, 30 fps, all frames of all clips and draws pooled. `harm` is the MPJPE
that a smoother makes of the same clips without noise; `kept` the share of their power at 1-6 Hz that is left then. The
draw of the noise moves the figures by more than most methods do (its level is drawn a clip), so compare only within one
table, with the same draws, and look at the ratio to the best Gaussian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_size import person_size
from poseworks.core.errors import ConfigError, DataError
from poseworks.temporal.filters import Chain, Gaussian, Median, OneEuro, SavitzkyGolay
from poseworks.temporal.learning.noise import FIT_2D, FIT_3D, detector_noise

if TYPE_CHECKING:
    from poseworks.core.motion_data import Clip, Pair
    from poseworks.core.windows import WindowNetwork

Array = NDArray[np.float32]
Smoother = Callable[[Array], Array]
"""(T, C) -> (T, C)."""

_BAND_HZ = (1.0, 6.0)
DRAWS = (8, 9, 10, 11)
"""Draws of the noise that are reported. Chosen by the raw error on `cmu17` test alone, about 45 mm."""


@dataclass(frozen=True)
class Noisy:
    """One clip as an estimator would give it, and the truth: (T, J, D), relative to the pelvis, in `unit`."""

    clean: Array
    noisy: Array
    fps: float


@dataclass(frozen=True)
class Figures:
    """What a smoother came to, means over all frames; lengths in mm, or in thousandths of the person's height.

    Attributes:
        mpjpe, acceleration: errors of the smoothed noisy clips; acceleration is per frame squared, unpadded.
        harm: MPJPE of the smoothed clean clips.
        kept: power at 1-6 Hz of the smoothed clean clips, as a share.
        frames: number of noisy frames.
    """

    mpjpe: float
    acceleration: float
    harm: float
    kept: float
    frames: int


def noisy_clips(
    clips: Sequence[Clip], kind: Literal["fit3d", "fit2d"] = "fit3d", draws: Sequence[int] = DRAWS
) -> list[Noisy]:
    """Each clip with the fitted noise, once a draw: "fit3d" in mm, "fit2d" in thousandths of the height.

    The generator of clip i and draw d is seeded with (d, i). For "fit2d" a clip is seen orthographically from a
    direction drawn about the vertical, 0 to 15 degrees from above; the pelvis is the middle of the hips in both.
    """
    out = []
    for draw in draws:
        for number, clip in enumerate(clips):
            rng = np.random.default_rng([draw, number])
            pelvis, left, right = (clip.skeleton.index(name) for name in ("pelvis", "left_hip", "right_hip"))
            names = clip.skeleton.joint_names
            if kind == "fit3d":
                clean, model, unit = clip.positions, FIT_3D, 1e-3
            else:
                height = person_size(clip.positions.astype(np.float64), names)
                clean, model, unit = _view(clip.positions, rng), FIT_2D.scaled(height), 1e-3 * height
            noise = detector_noise((1, *clean.shape), model, rng, middles=((pelvis, left, right),))[0]
            relative = [
                ((x - x[:, pelvis, None]) / np.float32(unit)).astype(np.float32) for x in (clean, clean + noise)
            ]
            out.append(Noisy(relative[0], relative[1], clip.fps))
    return out


def _view(positions: Array, rng: np.random.Generator) -> Array:
    """(T, J, 3) world, z up -> (T, J, 2) image plane."""
    turn, tilt = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(0, 15))
    right = np.array([np.cos(turn), np.sin(turn), 0.0])
    ahead = np.array([-np.sin(turn), np.cos(turn), 0.0])
    down = -np.array([0.0, 0.0, np.cos(tilt)]) - np.sin(tilt) * ahead
    return np.asarray(positions @ np.stack([right, down], axis=1), dtype=np.float32)


def measure(smoother: Smoother, clips: Iterable[Noisy]) -> Figures:
    """What `smoother`, called with (T, J D) of each clip, comes to.

    Raises:
        DataError: there is no clip of at least 3 frames.
    """
    position, acceleration, harm = [], [], []
    power = np.zeros(2)
    known: dict[bytes, tuple[Array, NDArray[np.float64]]] = {}
    for clip in clips:
        if len(clip.clean) < 3:
            continue
        smoothed = _apply(smoother, clip.noisy)
        position.append(_distance(smoothed - clip.clean))
        acceleration.append(_distance(np.diff(smoothed - clip.clean, n=2, axis=0)))
        key = clip.clean.tobytes()
        if key not in known:  # the same clip with another draw of noise
            left = _apply(smoother, clip.clean)
            known[key] = _distance(left - clip.clean), np.array([_power(left, clip.fps), _power(clip.clean, clip.fps)])
        harm.append(known[key][0])
        power += known[key][1]
    if not position:
        raise DataError("no clip to measure on. Clips need at least 3 frames.")
    means = [float(np.concatenate(parts).mean()) for parts in (position, acceleration, harm)]
    return Figures(means[0], means[1], means[2], float(power[0] / power[1]), sum(map(len, position)))


def _apply(smoother: Smoother, clip: Array) -> Array:
    return np.asarray(smoother(clip.reshape(len(clip), -1)), dtype=np.float32).reshape(clip.shape)


def _distance(difference: Array) -> Array:
    """(T, J, D) -> (T,)."""
    return np.asarray(np.linalg.norm(difference, axis=-1).mean(axis=1))


def _power(clip: Array, fps: float) -> float:
    """Power of (T, J, D) in the band, after a Hann taper over the whole clip."""
    hertz = np.fft.rfftfreq(len(clip), 1 / fps)
    inside = (hertz >= _BAND_HZ[0]) & (hertz <= _BAND_HZ[1])
    tapered = (clip - clip.mean(axis=0)) * np.hanning(len(clip))[:, None, None]
    return float((np.abs(np.fft.rfft(tapered, axis=0)[inside]) ** 2).sum())


# --- smoothers -------------------------------------------------------------------------------------------------------


def network_smoother(
    network: WindowNetwork, stride: int | None = None, look_ahead: int | None = None, unit_m: float = 1.0
) -> Smoother:
    """The network as a smoother of clips whose unit is `unit_m` metres (1e-3: millimetres)."""
    from poseworks.core.windows import apply_windows

    step = network.stride if stride is None else stride

    def smooth(x: Array) -> Array:
        return apply_windows(network, x * np.float32(unit_m), stride=step, look_ahead=look_ahead) / np.float32(unit_m)

    return smooth


def sparse(smoother: Smoother, interval: int) -> Smoother:
    """`smoother` on clips of which only `sampled_frames` are known, and the others interpolated."""
    from poseworks.core.windows import sampled_frames

    def smooth(x: Array) -> Array:
        known = sampled_frames(len(x), interval)
        times = np.arange(len(x))
        filled = np.stack([np.interp(times, known, channel[known]) for channel in x.T], axis=1)
        return smoother(filled.astype(np.float32))

    return smooth


def classic_smoothers(fps: float = 30.0) -> dict[str, Smoother]:
    """The filters that every network is printed beside, by name; lengths in millimetres."""
    gaussians = {f"Gaussian {s:g}": Gaussian(sigma_frames=s) for s in (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)}
    return {
        "as it is": lambda x: x,
        **gaussians,
        "median 7 + Gaussian 2": Chain(filters=(Median(window=7), Gaussian(sigma_frames=2.0))),
        "Savitzky-Golay 21, 2": SavitzkyGolay(window=21, order=2),
        # the published code counts in frames and metres: cutoff .05 a frame, beta 3 a metre a frame
        "One-Euro .05, 3": OneEuro(min_cutoff_hz=0.05 * fps, beta=3e-3, fps=fps, derivative_cutoff_hz=fps),
    }


def best_gaussian(figures: Mapping[str, Figures]) -> str:
    """The name of the Gaussian with the least MPJPE.

    Raises:
        ConfigError: there is none.
    """
    names = [name for name in figures if name.startswith("Gaussian")]
    if not names:
        raise ConfigError("no Gaussian among the smoothers; take those of classic_smoothers().")
    return min(names, key=lambda name: figures[name].mpjpe)


# --- real pairs ------------------------------------------------------------------------------------------------------


def joint_offsets(pairs: Iterable[Pair]) -> Array:
    """(J, 3) mean difference truth - sensor a joint, relative to the pelvis, in the person's own directions.

    Learnt on `train`, this is the honest baseline on `prmd_pairs`: two devices define joints differently.
    """
    sums, count = np.zeros(1), 0
    for pair in pairs:
        noisy, clean = (_relative(x) for x in (pair.noisy, pair.clean))
        frames = facing(noisy)
        sums = sums + np.einsum("tjc,tdc->jd", clean - noisy, frames)
        count += len(noisy)
    if not count:
        raise DataError("no pair to learn offsets from.")
    return np.asarray(sums / count, dtype=np.float32)


def add_offsets(noisy: Array, offsets: Array) -> Array:
    """(T, J, 3) relative joints with the offsets added in the directions of the person."""
    return np.asarray(noisy + np.einsum("jd,tdc->tjc", offsets, facing(noisy)), dtype=np.float32)


def facing(joints: Array) -> Array:
    """(T, 3, 3) unit rows: to the person's left, ahead, up (z), from the hips of Human3.6M-ordered joints."""
    across = (joints[:, 4] - joints[:, 1]) * np.array([1, 1, 0], dtype=np.float32)
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
    up = np.broadcast_to(np.array([0, 0, 1], dtype=np.float32), across.shape)
    return np.stack([across, np.cross(up, across), up], axis=1)


def measure_pairs(smoother: Smoother, pairs: Iterable[Pair], offsets: Array | None = None) -> Figures:
    """`measure` on real pairs, in mm: smoothed sensor against truth, and smoothed truth as harm."""
    rows = []
    for pair in pairs:
        noisy = _relative(pair.noisy)
        if offsets is not None:
            noisy = add_offsets(noisy, offsets)
        rows.append(Noisy(_relative(pair.clean) * np.float32(1e3), noisy * np.float32(1e3), pair.fps))
    return measure(smoother, rows)


def _relative(joints: Array) -> Array:
    return joints - joints[:, :1]
