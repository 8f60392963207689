"""Smooth while the frames arrive: n frames pushed, exactly max(0, n - k) frames out, for a latency of k frames.

What comes out does not depend on how the frames were cut into pushes: it is the offline result with that look-ahead,

    y_t = offline(x[:t + k + 1])[t]                           filters, and networks at stride 1
    y   = apply_windows(network, x, stride, look_ahead=k)     networks at any stride

so k = W - 1 gives the full offline result of a network of stride 1 (k = W at any stride). Memory is bounded by
what the smoother looks back on plus k frames; the cost of a push does not grow with the length of the stream, and a
window is run once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.window_stream import WindowStream
from poseworks.core.windows import WindowNetwork
from poseworks.temporal.filters import Butterworth, Filter, Floats, OneEuro, as_clip

Clip = TypeVar("Clip", Tensor, npt.NDArray[np.floating])


class Stream:
    """A smoother fed piece by piece, with a latency of exactly `latency_frames` frames.

    Args:
        smoother: a network (at its published stride: SmoothNet 1, DeciWatch its interval) or a filter.
        latency_frames: k >= 0.

    A DeciWatch with k < W - 1 needs the estimate of every frame, since its windows end wherever t + k is; with a
    k >= W - 1 the frames off its grid may be NaN, apart from those that the last window of the clip reads.

    Raises:
        ConfigError: the latency is negative.
    """

    def __init__(self, smoother: WindowNetwork | Filter, latency_frames: int) -> None:
        if latency_frames < 0:
            raise ConfigError(f"latency_frames: expected 0 or more, got {latency_frames}.")
        self._latency = latency_frames
        self._engine: _Engine
        if isinstance(smoother, Filter):
            self._engine = _FilterEngine(smoother, latency_frames)
        else:
            self._engine = WindowStream(smoother, latency_frames)
        self._channels: int | None = None
        self._restore: Callable[[Any], Any] | None = None
        self._seen = 0
        self._flushed = False

    @property
    def latency_frames(self) -> int:
        """Frames by which the output is behind the input."""
        return self._latency

    def push(self, x: Clip) -> Clip:
        """The frames (m, C) that are final now, after the new frames x (n, C); n may be 0. Kind and dtype of `x`.

        Raises:
            ShapeError: x is not (n, C) or not floating, or C has changed. DataError: a frame is not finite (the
            stream is then as it was before), or the stream was flushed.
        """
        if self._flushed:
            raise DataError("push: this stream was flushed, its clip is over. Start a new Stream for the next one.")
        if self._channels is not None and x.ndim == 2 and x.shape[1] != self._channels:
            raise ShapeError(f"x: expected {self._channels} channels as before, got {x.shape[1]}. Start a new Stream.")
        frames, restore = self._engine.take(x, self._seen)
        smoothed = self._engine.push(frames)
        self._restore, self._channels = restore, x.shape[1]
        self._seen += len(x)
        out: Clip = restore(smoothed)
        return out

    def flush(self) -> Any:
        """The last min(k, n) frames, in the kind and dtype of the last push; the stream is over.

        Raises:
            DataError: nothing was pushed, so that the number of channels is unknown; or it was flushed before.
        """
        if self._flushed:
            raise DataError("flush: this stream was flushed before. Start a new Stream for the next clip.")
        if self._restore is None:
            raise DataError("flush: nothing was pushed. Push the frames of a clip first; an empty (0, C) will do.")
        rest = self._restore(self._engine.flush())
        self._flushed = True
        return rest


class _Engine(Protocol):
    """What a stream does inside, in the numbers of its smoother."""

    def take(self, x: Any, first_frame: int) -> tuple[Any, Callable[[Any], Any]]:
        """Checked frames, and the way back."""
        ...

    def push(self, x: Any) -> Any:
        """Frames that are final now."""
        ...

    def flush(self) -> Any:
        """Frames still held back."""
        ...


class _FilterEngine:
    """Filters: recursive ones keep their state, the others the frames that they look back on."""

    def __init__(self, smoother: Filter, look_ahead: int) -> None:
        self._inner: _Pieces
        if isinstance(smoother, OneEuro):
            self._inner = _OneEuroPieces(smoother, look_ahead)
        elif isinstance(smoother, Butterworth):
            self._inner = smoother.engine(look_ahead)
        else:
            self._inner = _FinitePieces(smoother, look_ahead)

    def take(self, x: Any, first_frame: int) -> tuple[Floats, Callable[[Floats], Any]]:
        return as_clip(x, first_frame)

    def push(self, x: Floats) -> Floats:
        return self._inner.push(x)

    def flush(self) -> Floats:
        return self._inner.flush()


class _Pieces(Protocol):
    """A filter fed piece by piece."""

    def push(self, x: Floats) -> Floats:
        """Frames that are final now."""
        ...

    def flush(self) -> Floats:
        """Frames still held back."""
        ...


class _FinitePieces:
    """A filter that looks back on `context` frames: those and the k frames held back are kept."""

    def __init__(self, smoother: Filter, look_ahead: int) -> None:
        if smoother.context is None:
            raise ConfigError(f"Stream: {type(smoother).__name__} looks back without bound, it cannot be streamed.")
        self._smoother, self._look_ahead, self._context = smoother, look_ahead, smoother.context
        self._kept: Floats | None = None
        self._given = 0  # where in `kept` the next frame to come out is

    def push(self, x: Floats) -> Floats:
        kept = x if self._kept is None else np.concatenate([self._kept, x])
        final = max(len(kept) - self._look_ahead, self._given)
        out = kept[:0] if final == self._given else self._smoother.frames(kept, self._look_ahead, self._given, final)
        drop = max(final - self._context, 0)
        self._kept, self._given = kept[drop:].copy(), final - drop
        return out

    def flush(self) -> Floats:
        kept, given = self._kept, self._given
        assert kept is not None  # Stream does not flush before a push
        return kept[given:] if given == len(kept) else self._smoother.frames(kept, self._look_ahead, given, len(kept))


class _OneEuroPieces:
    """One-Euro: filtered at once, since it never looks ahead, and held back for k frames."""

    def __init__(self, smoother: OneEuro, look_ahead: int) -> None:
        self._smoother, self._look_ahead = smoother, look_ahead
        self._state: tuple[Floats, Floats] | None = None
        self._held: Floats | None = None

    def push(self, x: Floats) -> Floats:
        smoothed = x
        if len(x):
            smoothed, self._state = self._smoother.advance(x, self._state)
        held = smoothed if self._held is None else np.concatenate([self._held, smoothed])
        final = max(len(held) - self._look_ahead, 0)
        self._held = held[final:].copy()
        return held[:final]

    def flush(self) -> Floats:
        assert self._held is not None  # Stream does not flush before a push
        return self._held
