"""Cut a clip into windows, run a network on each, and take the mean where they overlap.

    starts  0, s, 2s, ... as long as a window of W frames fits;      y_t = mean of all windows that cover t

The one place where clips are cut and merged, for networks that smooth (SmoothNet, stride 1; DeciWatch, stride =
interval) and networks that lift. Cost O(T W); memory O(T) + one chunk of windows.

The mean is plain, as the smoothers publish it, or weighed by a ramp, sin^2(pi (p + 1/2) / W) at position p: then a
window has next to no weight in the frame in which it begins or ends, and there is no seam at any stride up to W / 2.

With a look-ahead of k frames (what a stream with latency k gives out) frame t rests only on windows that end by t + k:
these are the positions W - 1 - k ... W - 1 of each window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.shapes import expect_shape

Clip = TypeVar("Clip", Tensor, npt.NDArray[np.floating])
Tail = Literal["cover", "drop", "keep"]
Short = Literal["pad", "zero", "identity", "whole"]
Blend = Literal["mean", "ramp"]

CHUNK_ELEMENTS = 2**19  # numbers in one chunk of windows: 2 MiB in, 2 MiB out


class WindowNetwork(Protocol):
    """A network that gives as many frames as it reads: SmoothNet, DeciWatch, or a lifter."""

    @property
    def window(self) -> int:
        """Frames that one window holds."""
        ...

    @property
    def stride(self) -> int:
        """Frames between two windows, as published: 1, or the interval."""
        ...

    @property
    def reads(self) -> Tensor:
        """Which positions of a window are read, bool (W,)."""
        ...

    def run_windows(self, x: Tensor) -> Tensor:
        """What the network makes of windows (N, W, C): (N, W, C); of (1, T < W, C) too where clips are run whole."""
        ...


def apply_windows(
    network: WindowNetwork,
    x: Clip,
    stride: int = 1,
    tail: Tail = "cover",
    short: Short = "pad",
    look_ahead: int | None = None,
    chunk_frames: int | None = None,
    blend: Blend = "mean",
) -> Clip:
    """What the network makes of a clip (T', C): the mean of all windows over a frame. T' = T unless `tail` is "drop".

    A network that reads only some positions (DeciWatch: every `interval`-th) takes a sparse estimate: other frames may
    hold anything, NaN too. The last window of `tail="cover"` and the windows of a `look_ahead` can lie off that
    grid; the frames they read must have been estimated or interpolated before.

    Args:
        network: SmoothNet, DeciWatch, or whatever has their `window`, `reads` and `run_windows`.
        x: (T, C) floating tensor or array; computed in float32, returned as it came. T = 0 gives T' = 0.
        stride: frames between windows, 1 ... W.
        tail: frames behind the last window: "cover" adds a window that ends at the last frame, "drop" cuts them
            off (the papers' evaluation), "keep" returns the input's own (the toolkit's DeciWatch).
        short: a clip of T < W frames: "pad" repeats the first frame in front of it, "zero" puts zeros behind it
            (the papers), "identity" returns it unchanged (the toolkit), "whole" runs the network once on the T frames
            as they are, which it must be able to take. T' = T in all four.
        look_ahead: None, or k >= 0: frame t is the mean over the windows that end by t + k (a window off the grid of
            strides only where t > T - 1 - k); where there is none, one window that ends at min(t + k, T - 1), padded
            in front, or run whole, like a short clip. At stride 1 that is `apply_windows(network, x[:t + k + 1])[t]`.
        chunk_frames: frames worked on at a time; the result does not depend on it.
        blend: every window over a frame weighs the same ("mean"), or by how far the frame is from its ends ("ramp").

    Raises:
        ShapeError: x is not (T, C) or not floating; ConfigError: an option is out of its range;
        DataError: a frame that is read or kept is not finite.
    """
    frames, restore = as_frames(x)
    window, length = network.window, len(frames)
    _check_options(window, stride, tail, short, look_ahead, chunk_frames, blend)
    if length == 0:
        return restore(frames)
    if length < window and short == "identity":
        return restore(finite_where_read(frames, torch.ones(length, dtype=torch.bool)).clone())
    if length < window and short == "zero":
        frames = torch.cat([frames, frames.new_zeros(window - length, frames.shape[1])])
    with torch.no_grad():
        plan = _Plan(network.window, stride, tail, short == "whole", look_ahead, chunk_frames, blend)
        smoothed = _merged(network, frames, plan)
    return restore(smoothed[:length])


def sampled_frames(length: int, interval: int) -> npt.NDArray[np.int64]:
    """Which of `length` frames a sparse estimate needs: the multiples of `interval`, and the last frame."""
    if length < 0 or interval < 1:
        raise ConfigError(f"sampled_frames: expected length >= 0 and interval >= 1, got {length} and {interval}.")
    grid = np.arange(0, length, interval, dtype=np.int64)
    return np.union1d(grid, np.array([length - 1], dtype=np.int64)) if length else grid


# --- the plan: which windows, and how often each frame is covered ----------------------------------------------------


def grid_windows(length: int, window: int, stride: int) -> int:
    """How many windows starting at 0, s, 2s, ... fit into a clip of `length` frames."""
    return (length - window) // stride + 1 if length >= window else 0


def first_position(window: int, look_ahead: int | None) -> int:
    """First position of a window that counts: position p of a window looks W - 1 - p frames ahead."""
    return 0 if look_ahead is None else max(0, window - 1 - look_ahead)


def blend_weights(window: int, blend: Blend) -> Tensor | None:
    """Weight of each position of a window (W,), all above 0; None where they are the same."""
    if blend == "mean":
        return None
    return torch.sin(torch.pi * (torch.arange(window, dtype=torch.float64) + 0.5) / window).square().float()


def closing_weights(weights: Tensor | None) -> Tensor | None:
    """`weights` of the window added at the end of a clip, where they need not fall: nothing follows.

    Did they fall beside those of the last window of the grid, few frames before, the ratio of the two would jump.
    """
    if weights is None:
        return None
    half = len(weights) // 2
    return torch.cat([weights[:half], torch.ones(len(weights) - half)])


def coverage(frames: Tensor, windows: int, window: int, stride: int, first: int, weights: Tensor | None) -> Tensor:
    """How many of the windows 0 ... windows - 1 of the grid reach each frame with a position >= `first`.

    With `weights` their sum at these positions instead; it is 0 where there is no window.
    """
    newest = torch.div(frames - first, stride, rounding_mode="floor").clamp(max=windows - 1)
    oldest = torch.div(frames - window + stride, stride, rounding_mode="floor").clamp(min=0)
    if weights is None:
        return (newest - oldest + 1).clamp(min=0)
    total = torch.zeros(len(frames))
    for age in range((window + stride - 1) // stride):
        number = newest - age
        position = (frames - number * stride).clamp(0, window - 1)
        total += torch.where(number >= oldest, weights[position], torch.zeros(()))
    return total


def mean_of(sums: Tensor, counts: Tensor) -> Tensor:
    """`sums` (T, C) divided by what covers each frame (T,); frames that nothing covers stay 0."""
    return sums / torch.where(counts > 0, counts, torch.ones_like(counts)).to(sums.device)[:, None]


def read_by_grid(length: int, windows: int, network: WindowNetwork, stride: int) -> Tensor:
    """Which of `length` frames the first `windows` windows of the grid read, bool (T,)."""
    read = torch.zeros(length, dtype=torch.bool)
    if windows:
        for position in network.reads.nonzero().flatten().tolist():
            read[position : position + (windows - 1) * stride + 1 : stride] = True
    return read


def window_indices(ends: Tensor, window: int) -> Tensor:
    """Frames (N, W) of the windows that end at `ends`; frame 0 is repeated in front of the clip."""
    return (ends[:, None] + torch.arange(1 - window, 1)).clamp(min=0)


@dataclass(frozen=True)
class _Plan:
    """The options of `apply_windows`, checked."""

    window: int
    stride: int
    tail: Tail
    whole: bool
    look_ahead: int | None
    chunk_frames: int | None
    blend: Blend


def _merged(network: WindowNetwork, frames: Tensor, plan: _Plan) -> Tensor:
    """All windows of a clip run and merged: (T', C) float32."""
    length, window, stride, look_ahead = len(frames), plan.window, plan.stride, plan.look_ahead
    weights = blend_weights(window, plan.blend)
    windows = grid_windows(length, window, stride)
    covered = (windows - 1) * stride + window if windows else length
    first = first_position(window, look_ahead)
    times = torch.arange(length)
    counts = coverage(times, windows, window, stride, first, weights)
    extra = plan.tail == "cover" and covered < length and look_ahead != 0
    tail_start = length - window + (0 if look_ahead is None else max(0, window - look_ahead))
    closing = closing_weights(weights)
    if extra:
        counts[tail_start:] += 1 if closing is None else closing[tail_start - length :]
    alone = times[:covered][counts[:covered] == 0] if plan.tail != "cover" else times[counts == 0]
    ends = (alone + (length if look_ahead is None else look_ahead)).clamp(max=length - 1)

    read = read_by_grid(length, windows, network, stride)
    off_grid = torch.cat([ends, torch.tensor([length - 1] * extra, dtype=ends.dtype)])
    read[window_indices(off_grid, window)[:, network.reads.cpu()].flatten()] = True
    read[covered:] |= plan.tail == "keep"
    frames = finite_where_read(frames, read)

    sums = torch.zeros_like(frames)
    chunk = chunk_windows(frames.shape[1], window)
    if plan.chunk_frames is not None:
        chunk = max(1, grid_windows(plan.chunk_frames, window, stride))
    add_windows(network, frames, stride, windows, sums, first, chunk, weights)
    if extra:
        last = weighed(run_windows(network, frames[None, length - window :]), closing)
        sums[tail_start:] += last[0, tail_start - length :]
    result = mean_of(sums, counts)
    result[alone] = run_alone(network, frames, alone, ends, chunk, whole=plan.whole)
    if plan.tail == "keep":
        result[covered:] = frames[covered:]
    return result[:covered] if plan.tail == "drop" else result


# --- the work ---------------------------------------------------------------------------------------------------------


def weighed(windows: Tensor, weights: Tensor | None) -> Tensor:
    """Windows (N, W, C) times the weight of each position."""
    return windows if weights is None else windows * weights.to(windows.device)[:, None]


def add_windows(
    network: WindowNetwork,
    frames: Tensor,
    stride: int,
    windows: int,
    sums: Tensor,
    first: int,
    chunk: int,
    weights: Tensor | None,
) -> None:
    """Add positions `first` ... of the windows that start at frames 0, s, 2s, ... to `sums`, which has their shape.

    A frame takes its windows from the oldest to the newest, whatever the chunk: so the sum does not depend on it.
    """
    window = network.window
    for begin in range(0, windows, chunk):
        count = min(chunk, windows - begin)
        part = slice(begin * stride, (begin + count - 1) * stride + window)
        smoothed = weighed(run_windows(network, frames[part].unfold(0, window, stride).mT), weights)
        target = sums[part]
        if count < window - first:
            for index in range(count):
                target[index * stride + first : index * stride + window] += smoothed[index, first:]
        else:
            for position in range(window - 1, first - 1, -1):
                target[position : position + (count - 1) * stride + 1 : stride] += smoothed[:, position]


def run_alone(
    network: WindowNetwork, frames: Tensor, times: Tensor, ends: Tensor, chunk: int, base: int = 0, *, whole: bool
) -> Tensor:
    """Frames `times` (N, C), each from the one window that ends at its `ends`.

    A window that begins before the clip is padded in front, or run on the frames that there are (`whole`). `frames`
    begin at frame `base` of the clip.
    """
    result = frames.new_empty(len(times), frames.shape[1])
    window = network.window
    unique_ends, which = torch.unique(ends, return_inverse=True)
    shorter = int((unique_ends < window - 1).sum()) if whole else 0  # these begin at frame 0, and so does `frames`
    for end in range(shorter):
        last = int(unique_ends[end])
        clip = run_windows(network, frames[None, : last + 1])[0]
        result[which == end] = clip[times[which == end]]
    for begin in range(shorter, len(unique_ends), chunk):
        part = unique_ends[begin : begin + chunk]
        made = run_windows(network, frames[window_indices(part, window) - base])
        chosen = ((which >= begin) & (which < begin + chunk)).nonzero().flatten()
        result[chosen] = made[which[chosen] - begin, window - 1 - (ends[chosen] - times[chosen])]
    return result


def run_windows(network: WindowNetwork, windows: Tensor) -> Tensor:
    """The network on (N, W, C): on its own device, in its dtype, without dropout; the result as the windows came."""
    if not isinstance(network, nn.Module):
        smoothed = network.run_windows(windows)
    else:
        parameter = next(network.parameters(), windows)
        training = network.training
        if training:  # the toolkit's DeciWatch forgets this
            network.eval()
        try:
            smoothed = network.run_windows(windows.to(parameter.device, parameter.dtype))
        finally:
            if training:
                network.train()
    if smoothed.shape != windows.shape:
        raise ConfigError(
            f"windows: expected a network that returns as many frames as it reads, {tuple(windows.shape)}, got "
            f"{tuple(smoothed.shape)}. Choose one whose output size is its window."
        )
    return smoothed.to(windows.device, windows.dtype)


def chunk_windows(channels: int, window: int) -> int:
    """Windows worked on at a time, so that a chunk stays in the cache."""
    return max(1, CHUNK_ELEMENTS // (window * max(channels, 1)))


# --- checks at the border ---------------------------------------------------------------------------------------------


def as_frames(x: Clip) -> tuple[Tensor, Callable[[Tensor], Clip]]:
    """Frames (T, C) as a float32 tensor, and the way back to the kind, dtype and device that came in."""
    if not isinstance(x, Tensor | np.ndarray):
        raise ShapeError(f"x: expected a tensor or a NumPy array (T, C), got {type(x).__name__}.")
    expect_shape("x", x, "T C", fix="Put joints and axes into one: x.reshape(len(x), -1).")
    if isinstance(x, Tensor):
        tensor = x
        if not tensor.is_floating_point():
            raise ShapeError(f"x: expected floating numbers, got {tensor.dtype}. Convert it first: x.float().")
        return tensor.detach().float(), lambda y: y.to(tensor.device, tensor.dtype)
    array = x
    if not np.issubdtype(array.dtype, np.floating):
        raise ShapeError(f"x: expected floating numbers, got {array.dtype}. Convert it first: x.astype(float).")
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused by name
        frames = torch.from_numpy(np.array(array, dtype=np.float32))
    return frames, lambda y: y.cpu().numpy().astype(array.dtype, copy=False)


def finite_where_read(frames: Tensor, read: Tensor, first_frame: int = 0) -> Tensor:
    """`frames` with zeros in place of what is not finite, which no network reads.

    Raises:
        DataError: a frame that is read is not finite; names the first one (counted from `first_frame`) and its channel.
    """
    finite = frames.isfinite()
    if bool(finite.all()):
        return frames
    faults = (~finite & read.to(frames.device)[:, None]).nonzero()
    if len(faults):
        frame, channel = faults[0].tolist()
        raise DataError(
            f"x: frame {first_frame + frame}, channel {channel} is {frames[frame, channel].item()}, and "
            f"{len(faults)} numbers in all that would be read are missing or infinite in float32. "
            "Interpolate gaps first, or split the clip there."
        )
    return torch.where(finite, frames, torch.zeros_like(frames))


def _check_options(
    window: int,
    stride: int,
    tail: str,
    short: str,
    look_ahead: int | None,
    chunk_frames: int | None,
    blend: str,
) -> None:
    """ConfigError for the first option that is out of its range."""
    if not 1 <= stride <= window:
        raise ConfigError(f"stride: expected 1 ... {window} (the window), so that no frame is left out, got {stride}.")
    if tail not in ("cover", "drop", "keep"):
        raise ConfigError(f"tail: expected cover, drop or keep, got {tail!r}.")
    if short not in ("pad", "zero", "identity", "whole"):
        raise ConfigError(f"short: expected pad, zero, identity or whole, got {short!r}.")
    if blend not in ("mean", "ramp"):
        raise ConfigError(f"blend: expected mean or ramp, got {blend!r}.")
    if look_ahead is not None and look_ahead < 0:
        raise ConfigError(f"look_ahead: expected 0 or more frames, got {look_ahead}.")
    if look_ahead is not None and (tail != "cover" or short not in ("pad", "whole")):
        raise ConfigError(
            f"look_ahead: needs tail='cover' and short='pad' or 'whole', got {tail!r} and {short!r}. Drop one of the "
            "options."
        )
    if chunk_frames is not None and chunk_frames < 1:
        raise ConfigError(f"chunk_frames: expected 1 or more, got {chunk_frames}.")
