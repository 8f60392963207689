from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.windows import Blend, Short, Tail, apply_windows, sampled_frames


class Linear:
    """Window network with a matrix over time: what it gives can be written down."""

    def __init__(self, matrix: Tensor, stride: int = 1, reads: Tensor | None = None) -> None:
        self.window = len(matrix)
        self.stride = stride
        self.reads = torch.ones(self.window, dtype=torch.bool) if reads is None else reads
        self.matrix = matrix
        self.calls: list[int] = []

    def run_windows(self, x: Tensor) -> Tensor:
        assert x.isfinite().all()
        self.calls.append(len(x))
        # In float64, so that rounding does not depend on how many windows go through at once.
        return torch.einsum("pw,nwc->npc", (self.matrix * self.reads).double(), x.double()).to(x.dtype)


class Layer(nn.Module):
    """Window network of torch's: it has a dtype, and may give out another number of frames than it reads."""

    stride = 1

    def __init__(self, window: int, output: int) -> None:
        super().__init__()
        self.window = window
        self.reads = torch.ones(window, dtype=torch.bool)
        self.layer = nn.Linear(window, output)

    def run_windows(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x.mT).mT
        return out


def linear(window: int, seed: int = 0, stride: int = 1, reads: Tensor | None = None) -> Linear:
    return Linear(torch.randn(window, window, generator=torch.Generator().manual_seed(seed)), stride, reads)


def clip(frames: int, channels: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(frames, channels, generator=torch.Generator().manual_seed(seed))


def mean_of_windows(network: Linear, x: Tensor, stride: int, look_ahead: int | None, blend: Blend = "mean") -> Tensor:
    """The definition, frame by frame."""
    weight = [
        1.0 if blend == "mean" else math.sin(math.pi * (p + 0.5) / network.window) ** 2 for p in range(network.window)
    ]
    window, length = network.window, len(x)
    starts = list(range(0, length - window + 1, stride))
    last = [length - window] if length >= window and (length - window) % stride else []
    ahead = length if look_ahead is None else look_ahead
    out = []
    for t in range(length):
        of_t = [s for s in starts if s <= t < s + window and s + window - 1 <= t + ahead]
        of_t += [s for s in last if s <= t and t > length - 1 - ahead]
        values = [network.run_windows(x[None, s : s + window])[0, t - s] for s in of_t]
        # The window added at the end keeps its weight there.
        shares = [1.0 if s in last and t - s >= window // 2 else weight[t - s] for s in of_t]
        if not values:
            end = min(t + ahead, length - 1)
            padded = x[[max(0, frame) for frame in range(end - window + 1, end + 1)]]
            values, shares = [network.run_windows(padded[None])[0, t - (end - window + 1)]], [1.0]
        out.append(sum(s * v for s, v in zip(shares, values, strict=True)) / sum(shares))
    return torch.stack(out)


# --- the definition ---------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    window=st.integers(1, 9),
    stride=st.integers(1, 9),
    frames=st.integers(1, 40),
    look_ahead=st.none() | st.integers(0, 12),
    chunk_frames=st.none() | st.integers(1, 20),
    blend=st.sampled_from(["mean", "ramp"]),
)
def test_equals_the_definition(
    window: int, stride: int, frames: int, look_ahead: int | None, chunk_frames: int | None, blend: Blend
) -> None:
    stride = min(stride, window)
    network, x = linear(window), clip(frames)
    smoothed = apply_windows(network, x, stride=stride, look_ahead=look_ahead, chunk_frames=chunk_frames, blend=blend)
    assert_close(smoothed, mean_of_windows(network, x, stride, look_ahead, blend), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("window", "stride"), [(16, 8), (27, 13), (27, 9)])
def test_a_ramp_leaves_no_seam_where_windows_that_disagree_begin_and_end(window: int, stride: int) -> None:
    # Every window gives a constant of its own: what is left of it in the second differences is the seam.
    class Disagreeing(Linear):
        def run_windows(self, x: Tensor) -> Tensor:
            return x[:, :1].expand_as(x)

    network, x = Disagreeing(torch.eye(window)), clip(30 * window, 1).sign()
    plain, ramp = (
        apply_windows(network, x, stride, blend=blend).diff(n=2, dim=0).abs().max() for blend in ("mean", "ramp")
    )
    # The bend of the ramp itself, sin^2 between constants 2 apart, and at the end where three windows meet twice that.
    assert ramp < 2 * 2 * 2 * (math.pi / window) ** 2
    assert plain > 5 * ramp


class AnyLength(Linear):
    """A network for clips of any length: each frame less the mean of the clip."""

    def run_windows(self, x: Tensor) -> Tensor:
        self.calls.append(x.shape[1])
        return x - x.mean(dim=1, keepdim=True)


def test_a_short_clip_can_be_run_whole() -> None:
    network, x = AnyLength(torch.eye(8)), clip(5)
    for tail in ("cover", "drop", "keep"):
        assert_close(apply_windows(network, x, tail=tail, short="whole"), x - x.mean(dim=0))
    assert network.calls == [5, 5, 5]
    long = clip(11)
    assert torch.equal(apply_windows(network, long, short="whole"), apply_windows(network, long))


@pytest.mark.parametrize("look_ahead", [0, 2, 7, 30])
def test_the_first_frames_of_a_stream_can_be_run_whole(look_ahead: int) -> None:
    network, x = AnyLength(torch.eye(8)), clip(20)
    found = apply_windows(network, x, short="whole", look_ahead=look_ahead)
    for t in range(len(x)):
        cut = apply_windows(network, x[: t + look_ahead + 1], short="whole")[t]
        assert_close(found[t], cut, rtol=0, atol=1e-6)


@pytest.mark.parametrize("look_ahead", [0, 1, 3, 6, 7, 20])
def test_look_ahead_is_the_clip_cut_off_there(look_ahead: int) -> None:
    network, x = linear(8), clip(30)
    cut = [apply_windows(network, x[: t + look_ahead + 1])[t] for t in range(len(x))]
    assert_close(apply_windows(network, x, look_ahead=look_ahead), torch.stack(cut), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("stride", "enough"), [(1, 7), (3, 8), (8, 8)])
def test_enough_look_ahead_is_the_whole_clip(stride: int, enough: int) -> None:
    network, x = linear(8), clip(40)
    assert_close(
        apply_windows(network, x, stride, look_ahead=enough), apply_windows(network, x, stride), rtol=0, atol=1e-5
    )


def test_windows_that_return_what_they_read_leave_the_clip_alone() -> None:
    x = clip(50, 3)
    for stride in (1, 2, 5):
        assert_close(apply_windows(Linear(torch.eye(5)), x, stride), x, rtol=1e-6, atol=1e-6)


def test_every_window_weighs_the_same() -> None:
    # Position p of the window gives p, whatever it reads: frame 2 is position 2, 1 and 0 of three windows.
    network = linear(4)
    network.run_windows = lambda x: torch.arange(4.0)[None, :, None].expand_as(x)  # type: ignore[method-assign]
    smoothed = apply_windows(network, clip(7, 1))[:, 0]
    assert smoothed.tolist() == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3])


def test_tails() -> None:
    network, x = linear(8), clip(25)  # windows at 0, 6, 12; three frames behind the last one
    dropped = apply_windows(network, x, 6, tail="drop")
    kept = apply_windows(network, x, 6, tail="keep")
    covered = apply_windows(network, x, 6)
    assert len(dropped) == 20
    assert_close(kept, torch.cat([dropped, x[20:]]))
    assert_close(covered[:17], dropped[:17])
    assert_close(covered[20:], network.run_windows(x[None, 17:])[0, 3:])
    for tail in ("drop", "keep", "cover"):
        assert_close(apply_windows(network, x[:20], 6, tail=tail), dropped)


def test_short_clips() -> None:
    network, x = linear(8), clip(3)
    front = network.run_windows(torch.cat([x[:1].expand(5, -1), x])[None])[0, 5:]
    behind = network.run_windows(torch.cat([x, torch.zeros(5, 2)])[None])[0, :3]
    for tail in ("drop", "keep", "cover"):
        assert_close(apply_windows(network, x, tail=tail), front)
        assert_close(apply_windows(network, x, tail=tail, short="zero"), behind)
        assert torch.equal(apply_windows(network, x, tail=tail, short="identity"), x)


@pytest.mark.parametrize("short", ["pad", "zero", "identity", "whole"])
@pytest.mark.parametrize("tail", ["cover", "drop", "keep"])
def test_no_frames_and_one_frame(short: Short, tail: Tail) -> None:
    network = AnyLength(torch.eye(8)) if short == "whole" else linear(8)
    assert apply_windows(network, clip(0), tail=tail, short=short).shape == (0, 2)
    assert apply_windows(network, clip(1), tail=tail, short=short).shape == (1, 2)
    assert apply_windows(network, torch.zeros(5, 0), tail=tail, short=short).shape == (5, 0)
    assert apply_windows(network, torch.zeros(20, 0), tail=tail, short=short).shape == (20, 0)


def test_the_chunk_changes_nothing_and_bounds_the_work() -> None:
    network, x = linear(8), clip(300)
    whole = apply_windows(network, x, chunk_frames=300)
    for chunk_frames in (1, 8, 9, 50, 299):
        assert torch.equal(apply_windows(network, x, chunk_frames=chunk_frames), whole)
    network.calls.clear()
    apply_windows(network, x, chunk_frames=50)
    assert max(network.calls) == 43
    assert sum(network.calls) == 293


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_kind_and_dtype_come_back(dtype: str) -> None:
    network, x = linear(4), clip(20)
    tensor = x.to(getattr(torch, dtype))
    smoothed = apply_windows(network, tensor)
    assert smoothed.dtype == tensor.dtype
    array = apply_windows(network, tensor.numpy())
    assert isinstance(array, np.ndarray)
    assert array.dtype == np.dtype(dtype)
    assert_close(torch.from_numpy(array), smoothed)
    assert torch.equal(tensor, x.to(tensor.dtype)), "the input is not written to"


def test_views_and_read_only_arrays_are_fine() -> None:
    network = linear(4)
    array = clip(20, 4).numpy()
    array.flags.writeable = False
    expected = apply_windows(network, array[:, ::2].copy())
    np.testing.assert_allclose(apply_windows(network, array[:, ::2]), expected, atol=1e-6)
    np.testing.assert_allclose(apply_windows(network, array.T[::2].T), expected, atol=1e-6)


# --- missing values ---------------------------------------------------------------------------------------------------


EVERY_THIRD = torch.arange(7) % 3 == 0


def test_frames_that_are_not_read_may_be_missing() -> None:
    network, x = linear(7, stride=3, reads=EVERY_THIRD), clip(31)
    sparse = torch.full_like(x, torch.nan)
    sampled = torch.from_numpy(sampled_frames(31, 3))
    sparse[sampled] = x[sampled]
    smoothed = apply_windows(network, sparse, stride=3)
    assert torch.equal(smoothed, apply_windows(network, x, stride=3))


def test_a_last_window_off_the_grid_names_the_frames_it_needs() -> None:
    network, x = linear(7, stride=3, reads=EVERY_THIRD), clip(32)
    x[torch.arange(32) % 3 != 0] = torch.nan
    with pytest.raises(DataError, match=r"frame 25, channel 0 is nan.*Interpolate"):
        apply_windows(network, x, stride=3)
    assert len(apply_windows(network, x, stride=3, tail="drop")) == 31
    with pytest.raises(DataError, match="frame 31"):
        apply_windows(network, x, stride=3, tail="keep")


@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("frames", [3, 8, 50])
@pytest.mark.parametrize("short", ["pad", "zero", "identity"])
def test_missing_and_infinite_values_are_named(fault: float, frames: int, short: Short) -> None:
    x = clip(frames).double().numpy()
    x[2, 1] = fault
    with pytest.raises(DataError, match="frame 2, channel 1"):
        apply_windows(linear(8), x, short=short)


# --- misuse -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(5), r"expected \(T, C\)"),
        (torch.zeros(5, 17, 3), "reshape"),
        (torch.zeros(5, 3, dtype=torch.int64), "floating"),
        (np.zeros((5, 3), dtype=np.int32), "floating"),
        ([[0.0]], "list"),
    ],
)
def test_wrong_inputs(x: object, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        apply_windows(linear(4), x)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride: expected 1 ... 4"),
        ({"stride": 5}, "stride: expected 1 ... 4"),
        ({"tail": "cut"}, "tail: expected"),
        ({"short": "wrap"}, "short: expected"),
        ({"look_ahead": -1}, "look_ahead: expected"),
        ({"look_ahead": 1, "tail": "drop"}, "tail='cover'"),
        ({"look_ahead": 1, "short": "zero"}, "short='pad'"),
        ({"chunk_frames": 0}, "chunk_frames"),
        ({"blend": "sum"}, "blend: expected"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_windows(linear(4), clip(9), **options)  # type: ignore[arg-type]


def test_a_network_that_returns_fewer_frames_is_refused() -> None:
    network = Layer(window=8, output=4)
    with pytest.raises(ConfigError, match="as many frames"):
        apply_windows(network, clip(20))


def test_a_float64_network_is_run_in_its_own_dtype() -> None:
    network = Layer(window=8, output=8).eval()
    expected = apply_windows(network, clip(20))
    assert_close(apply_windows(network.double(), clip(20)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("length", "interval", "expected"),
    [(0, 5, []), (1, 5, [0]), (5, 5, [0, 4]), (6, 5, [0, 5]), (12, 5, [0, 5, 10, 11]), (3, 1, [0, 1, 2])],
)
def test_sampled_frames(length: int, interval: int, expected: list[int]) -> None:
    assert sampled_frames(length, interval).tolist() == expected


def test_sampled_frames_needs_an_interval() -> None:
    with pytest.raises(ConfigError, match="interval >= 1"):
        sampled_frames(10, 0)
