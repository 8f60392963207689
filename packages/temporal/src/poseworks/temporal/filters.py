"""Classic filters along time: the baselines that any network has to beat, under one interface.

Each filter is a frozen config that is called on a clip (T, C), a tensor or an array, every channel alone; it computes
in float64 and returns what came in. Missing values are refused. With a look-ahead of k frames

    y_t = filter(x[:t + k + 1])[t]

which is what a stream with latency k gives out (streaming.py). At both ends Gaussian and median reflect the clip about
its border (d c b a | a b c d | d c b a). Repeating the last frame instead would make a median without look-ahead
return its input.

The published default sets are PUBLISHED_FILTERS; what published code computes by accident is in published_filters.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.shapes import expect_shape

if TYPE_CHECKING:
    from torch import Tensor

    from poseworks.temporal.zero_phase import ZeroPhase

Floats = npt.NDArray[np.float64]
Clip = TypeVar("Clip", bound="Tensor | npt.NDArray[Any]")

_BATCH_NUMBERS = 2**20  # numbers in one batch of prefixes: 8 MiB
_PIECE = 4096  # frames that the two-way filter takes at a time


class Filter(BaseModel, ABC, frozen=True, extra="forbid"):
    """What all filters share: being called on a clip, whole or with a look-ahead."""

    @property
    @abstractmethod
    def context(self) -> int | None:
        """Past frames that a frame can depend on; None for a recursive filter, which depends on all."""

    @property
    @abstractmethod
    def reach(self) -> int | None:
        """Frames ahead that a frame can depend on, away from the ends; None if there is no bound."""

    @abstractmethod
    def along_time(self, x: Floats) -> Floats:
        """The filter along the first axis of (T, ...), T >= 1, float64."""

    def frames(self, x: Floats, look_ahead: int, first: int, stop: int) -> Floats:
        """Frames first ... stop - 1 of the filtered clip x (T, C) with a look-ahead: y_t = filter(x[:t + k + 1])[t].

        Away from the start, the end of that prefix is all that matters.
        """
        assert self.context is not None, "recursive filters have a form of their own"
        assert self.reach is not None
        length, context, reach = len(x), self.context, self.reach
        ahead = min(look_ahead, reach)
        out = np.empty((stop - first, x.shape[1]))
        start_stop = min(stop, context)
        for t in range(first, start_stop):  # the first frames of a clip can depend on `context` frames ahead
            out[t - first] = self.along_time(x[: t + min(look_ahead, context + reach) + 1])[t]
        middle, end = max(first, start_stop), min(stop, max(length - ahead, context))
        if end > middle:
            out[middle - first : end - first] = self._inside(x[middle - context : end + ahead], ahead)
        behind = max(end, start_stop, first)
        if stop > behind:
            begin = max(behind - context, 0)
            out[behind - first :] = self.along_time(x[begin:])[behind - begin : stop - begin]
        return out

    def _inside(self, x: Floats, ahead: int) -> Floats:
        """The frames with `context` frames before them and `ahead` behind, each as if the clip ended with those."""
        context, reach = self.context or 0, self.reach or 0
        count = len(x) - context - ahead
        if ahead == reach:
            return self.along_time(x)[context : context + count]
        prefixes = np.lib.stride_tricks.sliding_window_view(x, context + ahead + 1, axis=0)
        batch = max(1, _BATCH_NUMBERS // max(prefixes[0].size, 1))
        out = np.empty((count, x.shape[1]))
        for begin in range(0, count, batch):
            part = np.moveaxis(prefixes[begin : begin + batch], -1, 0)
            out[begin : begin + batch] = self.along_time(part)[context]
        return out

    def __call__(self, x: Clip) -> Clip:
        """The filtered clip (T, C), in the kind and dtype of `x`.

        Raises:
            ShapeError: `x` is not (T, C) or not floating. DataError: a value is missing or infinite.
        """
        clip, restore = as_clip(x)
        return restore(self.along_time(clip) if clip.size else clip)

    def offline(self, x: Clip, look_ahead: int | None = None) -> Clip:
        """The filtered clip (T, C) in which frame t knows no frame behind t + look_ahead (None: all frames).

        Raises:
            ConfigError: the look-ahead is negative; ShapeError, DataError: as when called.
        """
        if look_ahead is None:
            return self(x)
        if look_ahead < 0:
            raise ConfigError(f"look_ahead: expected 0 or more frames, got {look_ahead}.")
        clip, restore = as_clip(x)
        return restore(self.frames(clip, look_ahead, 0, len(clip)) if clip.size else clip)


class _LinearFilter(Filter):
    """A filter whose frames are weighted sums, so that one set of weights serves all frames inside a clip."""

    def _inside(self, x: Floats, ahead: int) -> Floats:
        from poseworks.temporal.zero_phase import correlate

        return correlate(x, _weights(self, ahead))


@lru_cache(maxsize=64)
def _weights(smoother: _LinearFilter, ahead: int) -> Floats:
    """What a frame takes from the `context` frames before it, itself, and the last `ahead` frames of the clip."""
    context = smoother.context or 0
    weights: Floats = smoother.along_time(np.eye(context + ahead + 1))[context]
    return weights


class Gaussian(_LinearFilter):
    """Weighted mean with weights exp(-d^2 / 2 sigma^2), cut off at `truncate` sigma."""

    kind: Literal["gaussian"] = "gaussian"
    sigma_frames: PositiveFloat
    truncate: PositiveFloat = 4.0

    @property
    def reach(self) -> int:
        """Radius of the weights."""
        return int(self.truncate * self.sigma_frames + 0.5)

    @property
    def context(self) -> int:
        """Radius of the weights."""
        return self.reach

    def along_time(self, x: Floats) -> Floats:
        """The filter along the first axis."""
        from scipy.ndimage import gaussian_filter1d

        return cast(Floats, gaussian_filter1d(x, self.sigma_frames, axis=0, truncate=self.truncate))


class SavitzkyGolay(_LinearFilter):
    """Least-squares polynomial of `order` over `window` frames, taken at its middle; at the ends, at every frame.

    A clip shorter than the window is fitted as a whole, with an order below its length: one frame stays as it is.
    """

    kind: Literal["savitzky_golay"] = "savitzky_golay"
    window: PositiveInt
    order: NonNegativeInt = 2

    @model_validator(mode="after")
    def _window_is_odd_and_longer_than_order(self) -> SavitzkyGolay:
        if self.window % 2 == 0 or self.order >= self.window:
            raise ValueError(
                f"expected an odd window and order < window, got window {self.window} and order {self.order}. "
                f"Take window={self.window - 1 + self.window % 2} or an order of 2."
            )
        return self

    @property
    def reach(self) -> int:
        """Half the window."""
        return self.window // 2

    @property
    def context(self) -> int:
        """The last frame is a value of the polynomial through the last window."""
        return self.window - 1

    def along_time(self, x: Floats) -> Floats:
        """The filter along the first axis."""
        from scipy.signal import savgol_filter

        if len(x) >= self.window:
            return cast(Floats, savgol_filter(x, self.window, self.order, axis=0, mode="interp"))
        powers = np.vander(np.linspace(-1.0, 1.0, len(x)), min(self.order, len(x) - 1) + 1)
        basis = np.linalg.qr(powers)[0]
        fitted: Floats = basis @ (basis.T @ x.reshape(len(x), -1))
        return fitted.reshape(x.shape)


class Median(Filter):
    """Median of `window` frames: removes outliers, keeps steps."""

    kind: Literal["median"] = "median"
    window: PositiveInt

    @model_validator(mode="after")
    def _window_is_odd(self) -> Median:
        if self.window % 2 == 0:
            raise ValueError(f"expected an odd window, got {self.window}. Take {self.window - 1} or {self.window + 1}.")
        return self

    @property
    def reach(self) -> int:
        """Half the window."""
        return self.window // 2

    @property
    def context(self) -> int:
        """Half the window."""
        return self.window // 2

    def along_time(self, x: Floats) -> Floats:
        """The filter along the first axis."""
        from scipy.ndimage import median_filter

        return cast(Floats, median_filter(x, size=(self.window, *[1] * (x.ndim - 1))))


class OneEuro(Filter):
    """Low pass whose cutoff grows with speed (Casiez et al. 2012), as the published defaults of both origins use it.

        f(c) = 2 pi c / (2 pi c + fps)                                    c in Hz
        d_t = f(derivative_cutoff) (x_t - y_{t-1}) fps + (1 - f(derivative_cutoff)) d_{t-1}        d_0 = 0
        y_t = a x_t + (1 - a) y_{t-1},   a = f(min_cutoff + beta |d_t|)                            y_0 = x_0

    The published code ignores the frame rate: its numbers are those of fps = 1. At a real rate r the same filter is
    `OneEuro(min_cutoff_hz=r * c, beta=beta, fps=r, derivative_cutoff_hz=r)`. It looks back alone: no look-ahead
    changes it.
    """

    kind: Literal["one_euro"] = "one_euro"
    min_cutoff_hz: PositiveFloat
    beta: NonNegativeFloat
    fps: PositiveFloat
    derivative_cutoff_hz: PositiveFloat = 1.0

    @property
    def context(self) -> None:
        """Recursive."""
        return None

    @property
    def reach(self) -> int:
        """Nothing ahead."""
        return 0

    def along_time(self, x: Floats) -> Floats:
        """The filter along the first axis."""
        return self.advance(x, None)[0]

    def frames(self, x: Floats, look_ahead: int, first: int, stop: int) -> Floats:
        """Frames first ... stop - 1: the look-ahead is of no use to it."""
        return self.along_time(x[:stop])[first:]

    def advance(self, x: Floats, state: tuple[Floats, Floats] | None) -> tuple[Floats, tuple[Floats, Floats]]:
        """Filtered frames x (T, ...), T >= 1, and the state (y, d) behind them; state None begins a clip."""
        y, d = (x[0], np.zeros_like(x[0])) if state is None else state
        smoothed = np.empty_like(x)
        derivative_gain = self._gain(self.derivative_cutoff_hz)
        for t, frame in enumerate(x):
            if t or state is not None:
                d = derivative_gain * (frame - y) * self.fps + (1 - derivative_gain) * d
                y = y + self._gain(self.min_cutoff_hz + self.beta * np.abs(d)) * (frame - y)
            smoothed[t] = y
        return smoothed, (y, d)

    def _gain(self, cutoff_hz: Any) -> Any:
        """f(c): the share of the new frame."""
        return 1 / (1 + self.fps / (2 * np.pi * cutoff_hz))


class Butterworth(Filter):
    """Butterworth low pass run forwards and backwards: no lag, half power passes twice, i.e. a quarter at the cutoff.

    Both ends are extended by odd reflection (SciPy's default), by at most the frames there are.
    """

    kind: Literal["butterworth"] = "butterworth"
    cutoff_hz: PositiveFloat
    order: Annotated[int, Field(ge=1, le=10)] = 2
    fps: PositiveFloat

    @model_validator(mode="after")
    def _cutoff_is_below_half_the_rate(self) -> Butterworth:
        if self.cutoff_hz >= self.fps / 2:
            raise ValueError(
                f"expected cutoff_hz below half of fps = {self.fps}, got {self.cutoff_hz}. "
                "At that rate faster motion is not recorded: lower the cutoff."
            )
        return self

    @property
    def context(self) -> None:
        """Recursive."""
        return None

    @property
    def reach(self) -> None:
        """The way back begins at the last frame."""
        return None

    def sections(self) -> Floats:
        """Second-order sections (S, 6)."""
        from scipy.signal import butter

        return cast(Floats, butter(self.order, self.cutoff_hz, fs=self.fps, output="sos"))

    def padding(self) -> int:
        """Frames by which a clip is extended at both ends (SciPy's default)."""
        sections = self.sections()
        first_order = min(int((sections[:, 2] == 0).sum()), int((sections[:, 5] == 0).sum()))
        return 3 * (2 * len(sections) + 1 - first_order)

    def along_time(self, x: Floats) -> Floats:
        """The filter along the first axis."""
        from poseworks.temporal.zero_phase import forwards_and_backwards

        return forwards_and_backwards(self.sections(), x, self.padding())

    def frames(self, x: Floats, look_ahead: int, first: int, stop: int) -> Floats:
        """Frames first ... stop - 1 of the filtered clip with a look-ahead."""
        engine = self.engine(look_ahead)
        pieces = [engine.push(x[begin : begin + _PIECE]) for begin in range(0, len(x), _PIECE)]
        return np.concatenate([*pieces, engine.flush()])[first:stop]

    def engine(self, look_ahead: int) -> ZeroPhase:
        """The filter fed piece by piece."""
        from poseworks.temporal.zero_phase import ZeroPhase

        return ZeroPhase(self.sections(), self.padding(), look_ahead)


FiniteFilter = Annotated[Gaussian | SavitzkyGolay | Median, Field(discriminator="kind")]


class Chain(Filter):
    """Filters one after the other, such as a median against outliers, then a Gaussian."""

    kind: Literal["chain"] = "chain"
    filters: tuple[FiniteFilter, ...] = Field(min_length=1)

    @property
    def reach(self) -> int:
        """The sum of theirs."""
        return sum(each.reach for each in self.filters)

    @property
    def context(self) -> int:
        """The sum of theirs."""
        return sum(each.context for each in self.filters)

    def along_time(self, x: Floats) -> Floats:
        """The filters along the first axis."""
        for each in self.filters:
            x = each.along_time(x)
        return x


AnyFilter = Annotated[Gaussian | SavitzkyGolay | Median | OneEuro | Butterworth | Chain, Field(discriminator="kind")]

PUBLISHED_FILTERS: Mapping[str, Gaussian | SavitzkyGolay | OneEuro | Chain] = MappingProxyType(
    {
        "gaussian_toolkit": Chain(filters=(Median(window=11), Gaussian(sigma_frames=4))),
        "savitzky_golay_toolkit": SavitzkyGolay(window=11, order=2),
        "one_euro_toolkit": OneEuro(min_cutoff_hz=0.004, beta=0.7, fps=1),
        "gaussian_paper": Gaussian(sigma_frames=3),
        "savitzky_golay_paper": SavitzkyGolay(window=31, order=2),
        "one_euro_paper": OneEuro(min_cutoff_hz=0.04, beta=0.7, fps=1),
    }
)
"""The default sets of both origins (reference of the methods, section 4). One-Euro counts in cycles per frame: fps = 1.
The Gaussians are what was meant: a median along time alone, and one Gaussian over the whole clip."""


# --- shared work ------------------------------------------------------------------------------------------------------


def as_clip(x: Clip, first_frame: int = 0) -> tuple[Floats, Callable[[Floats], Clip]]:
    """A clip (T, C) in float64, and the way back to the kind, dtype and device that came in.

    Raises:
        ShapeError: not (T, C), or not floating. DataError: a value is missing; frames are counted from `first_frame`.
    """
    if isinstance(x, np.ndarray):
        array: npt.NDArray[Any] = x
        dtype = array.dtype

        def restore(y: Floats) -> Any:
            return y.astype(dtype)
    else:
        import torch

        if not isinstance(x, torch.Tensor):
            raise ShapeError(f"x: expected a tensor or a NumPy array (T, C), got {type(x).__name__}.")
        tensor: Tensor = x
        array = tensor.detach().cpu().double().numpy() if tensor.is_floating_point() else tensor.detach().cpu().numpy()

        def restore(y: Floats) -> Any:
            return torch.from_numpy(y.copy()).to(tensor.device, tensor.dtype)

    expect_shape("x", array, "T C", fix="Put joints and axes into one: x.reshape(len(x), -1).")
    if not np.issubdtype(array.dtype, np.floating):
        raise ShapeError(f"x: expected floating numbers, got {array.dtype}. Convert it first.")
    clip = array.astype(np.float64)
    missing = np.argwhere(~np.isfinite(clip))
    if len(missing):
        frame, channel = missing[0]
        raise DataError(
            f"x: frame {first_frame + frame}, channel {channel} is {clip[frame, channel]}, and {len(missing)} numbers "
            "in all are missing or infinite. Interpolate gaps first, or split the clip there."
        )
    return clip, restore
