"""A window network while the frames arrive: n frames pushed, exactly max(0, n - k) frames out, for a look-ahead of k.

What comes out does not depend on how the frames were cut into pushes: it is the offline result with that look-ahead. A
window is run once; memory is a window and the frames held back, whatever the length of the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from poseworks.core.windows import (
    Blend,
    WindowNetwork,
    add_windows,
    as_frames,
    blend_weights,
    chunk_windows,
    closing_weights,
    coverage,
    finite_where_read,
    first_position,
    grid_windows,
    mean_of,
    read_by_grid,
    run_alone,
    run_windows,
    weighed,
    window_indices,
)


class WindowStream:
    """A window network fed piece by piece: exactly `apply_windows(network, x, network.stride, look_ahead=...)`.

    It holds the frames of the windows to come, and the running sums of the frames held back. `take` frames before you
    `push` them; nothing is pushed after `flush`.

    Args:
        network: its own stride is used.
        look_ahead: k >= 0 frames.
        short: what the first frames of the stream get, which no window covers: "pad" or "whole" as in `apply_windows`.
        blend: as in `apply_windows`.
    """

    def __init__(
        self,
        network: WindowNetwork,
        look_ahead: int,
        *,
        short: Literal["pad", "whole"] = "pad",
        blend: Blend = "mean",
    ) -> None:
        self._network, self._look_ahead = network, look_ahead
        self._whole, self._weights = short == "whole", blend_weights(network.window, blend)
        self._first = first_position(network.window, look_ahead)
        self._frames: Tensor | None = None  # from frame `base` on
        self._sums: Tensor | None = None
        self._base = self._seen = self._given = self._windows = 0

    def take(self, x: Any, first_frame: int) -> tuple[Tensor, Callable[[Tensor], Any]]:
        """Frames (n, C) as a checked tensor, and the way back to what they were; they begin at `first_frame`.

        Raises:
            ShapeError: x is not (n, C) or not floating. DataError: a frame is not finite, and every frame is read.
        """
        frames, restore = as_frames(x)
        if bool(self._network.reads.all()):
            finite_where_read(frames, torch.ones(len(frames), dtype=torch.bool), first_frame)
        return frames, restore

    @torch.no_grad()
    def push(self, x: Tensor) -> Tensor:
        """The frames (m, C) that are final after the new frames x (n, C)."""
        network, stride = self._network, self._network.stride
        frames = x.clone() if self._frames is None else torch.cat([self._frames, x])
        sums = torch.zeros_like(x) if self._sums is None else torch.cat([self._sums, torch.zeros_like(x)])
        seen = self._seen + len(x)
        windows = grid_windows(seen, network.window, stride)
        begin = self._windows * stride - self._base
        final = max(seen - self._look_ahead, self._given)

        times = torch.arange(self._given, final)
        counts = coverage(times, windows, network.window, stride, self._first, self._weights)
        alone = times[counts == 0]
        new = windows - self._windows
        clean = self._clean(frames, alone + self._look_ahead, begin, new)
        if new:
            chunk = chunk_windows(x.shape[1], network.window)
            add_windows(network, clean[begin:], stride, new, sums[begin:], self._first, chunk, self._weights)
        out = self._merge(clean, sums, times, counts, alone, alone + self._look_ahead)

        keep = max(0, min(windows * stride, final, seen - network.window)) - self._base
        self._frames, self._sums = frames[keep:].clone(), sums[keep:].clone()
        self._base, self._seen, self._given, self._windows = self._base + keep, seen, final, windows
        return out

    @torch.no_grad()
    def flush(self) -> Tensor:
        """The frames that were held back, after at least one push."""
        network, window, stride = self._network, self._network.window, self._network.stride
        frames, sums, length = self._frames, self._sums, self._seen
        assert frames is not None  # there was a push
        assert sums is not None
        times = torch.arange(self._given, length)
        counts = coverage(times, self._windows, window, stride, self._first, self._weights)
        tail = length >= window and (length - window) % stride > 0
        closing = closing_weights(self._weights)
        if tail:
            last_window = times >= length - window
            counts[last_window] += 1 if closing is None else closing[times[last_window] - length]
        alone = times[counts == 0]
        last = torch.tensor([length - 1])
        clean = self._clean(frames, last if len(times) and (tail or len(alone)) else last[:0], 0, 0)
        if tail and len(times):
            start = max(self._given, length - window)
            made = weighed(run_windows(network, clean[None, length - window - self._base :]), closing)[0]
            sums[start - self._base :] += made[start - length :]
        return self._merge(clean, sums, times, counts, alone, last.expand(len(alone)))

    def _clean(self, frames: Tensor, ends: Tensor, begin: int, windows: int) -> Tensor:
        """The frames with zeros where nothing is read, after the check of what is read now."""
        if bool(frames.isfinite().all()):
            return frames
        read = torch.zeros(len(frames), dtype=torch.bool)
        read[begin:] = read_by_grid(max(len(frames) - begin, 0), windows, self._network, self._network.stride)
        indices = window_indices(ends, self._network.window)[:, self._network.reads.cpu()]
        read[indices.flatten() - self._base] = True
        return finite_where_read(frames, read, self._base)

    def _merge(
        self, frames: Tensor, sums: Tensor, times: Tensor, counts: Tensor, alone: Tensor, ends: Tensor
    ) -> Tensor:
        """Frames `times`: the mean of their windows, or of the one window that ends at `ends`."""
        out = mean_of(sums[times - self._base], counts)
        if len(alone):
            chunk = chunk_windows(frames.shape[1], self._network.window)
            made = run_alone(self._network, frames, alone, ends, chunk, self._base, whole=self._whole)
            out[alone - self._given] = made
        return out
