"""Power of motion by frequency, and the noise that a track itself shows.

A clip is cut into windows of about a second (half overlapping, line removed, Blackman-Harris: side lobes of -92 dB keep
slow strides of a metre out of bands where noise is a millimetre).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Band = tuple[float, float]

_WINDOW_S = 16 / 15
_SHORTEST = 16
_BLACKMAN_HARRIS = (0.35875, -0.48829, 0.14128, -0.01168)

# Detections: 90 % first-order autoregressive noise, 0.8 from frame to frame at 30 fps, and 10 % white (fitted to real
# detections, see noise.py).
_AUTOREGRESSIVE_SHARE = 0.9
_DECAY_S = 0.149


@dataclass(frozen=True)
class Spectra:
    """Power spectral densities of W windows: `density` (W, F), in squared unit per Hz, mean over the axes."""

    hertz: Array
    density: Array

    def band(self, low: float, high: float) -> Array:
        """(W,) power between two frequencies, both included."""
        inside = (self.hertz >= low - 1e-9) & (self.hertz <= high + 1e-9)
        step = self.hertz[1] - self.hertz[0]
        return np.asarray(self.density[:, inside].sum(axis=1) * step)


def window_frames(fps: float) -> int:
    """Frames of a window; shorter stretches tell nothing."""
    return max(_SHORTEST, round(_WINDOW_S * fps))


def spectra(stretches: Iterable[Array], fps: float) -> Spectra:
    """Spectra of every window in the stretches (n, D) without NaN; W = 0 where all are shorter than a window."""
    length = window_frames(fps)
    phase = 2 * np.pi * np.arange(length) / length
    taper = sum(a * np.cos(k * phase) for k, a in enumerate(_BLACKMAN_HARRIS))
    line = np.linalg.qr(np.stack([np.ones(length), np.arange(length)], axis=1))[0]
    densities = [np.empty((0, length // 2 + 1))]
    for stretch in stretches:
        if len(stretch) < length:
            continue
        starts = np.unique(np.append(np.arange(0, len(stretch) - length + 1, length // 2), len(stretch) - length))
        cut = np.lib.stride_tricks.sliding_window_view(stretch, length, axis=0)[starts]  # (W, D, length)
        cut = (cut - cut @ line @ line.T) * taper
        power = np.abs(np.fft.rfft(cut, axis=-1)) ** 2 / (fps * np.sum(taper**2))
        power[..., 1 : (length + 1) // 2] *= 2
        densities.append(power.mean(axis=1))
    return Spectra(np.fft.rfftfreq(length, 1 / fps).astype(np.float64), np.concatenate(densities))


def noise_share(fps: float, low: float, high: float) -> float:
    """Share of the power of detection noise that lies between two frequencies, at a frame rate."""
    hertz = np.linspace(0, fps / 2, 2049)
    decay = np.exp(-1 / (fps * _DECAY_S))
    autoregressive = (1 - decay**2) / (1 + decay**2 - 2 * decay * np.cos(2 * np.pi * hertz / fps))
    density = _AUTOREGRESSIVE_SHARE * autoregressive + (1 - _AUTOREGRESSIVE_SHARE)
    return float(density[(hertz >= low) & (hertz <= high)].sum() / density.sum())


def noise_level(tracks: Array, pieces: Sequence[Sequence[tuple[int, int]]], fps: float) -> Array:
    """(K,) standard deviation an axis of the noise in each of K tracks (T, K, D); NaN where none is long enough.

    Motion dies away with frequency much faster than noise does. With hi the upper third of the frequencies below half
    the frame rate (10-15 Hz at 30 fps), mid = 3-6 Hz, likewise, and m the most that clean motion has in hi for its mid,

        sigma^2 = (P_hi - m P_mid) / (n_hi - m n_mid),   not below 0

    where n are the shares of the noise model, and P medians over windows, which bursts and single impacts do not move.
    From 53 fps on, every second (third, ...) frame makes a clip of its own: above 15 Hz there is little to learn. Each
    joint's variance is averaged with the median of all joints: they come from one detector.
    """
    step = max(1, round(fps / 30 - 0.25))
    rate = fps / step
    high, mid = (rate / 3, rate / 2), (0.1 * rate, 0.2 * rate)
    most = float(np.interp(rate, (15, 30), (0.05, 0.3)))  # found on clean motion capture, decimated to lower rates
    scale = noise_share(rate, *high) - most * noise_share(rate, *mid)
    variances = np.full(tracks.shape[1], np.nan)
    for k, stretches in enumerate(pieces):
        found = spectra((tracks[a + first : b : step, k] for a, b in stretches for first in range(step)), rate)
        if len(found.density):
            excess = np.median(found.band(*high)) - most * np.median(found.band(*mid))
            variances[k] = max(0.0, excess / scale)
    if np.isnan(variances).all():
        return variances
    return np.asarray(np.sqrt((variances + np.nanmedian(variances)) / 2))
