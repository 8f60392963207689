from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.windows import WindowNetwork, apply_windows
from poseworks.temporal.deciwatch import DeciWatch, DeciWatchConfig
from poseworks.temporal.filters import (
    Butterworth,
    Chain,
    Filter,
    Gaussian,
    Median,
    OneEuro,
    SavitzkyGolay,
)
from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig
from poseworks.temporal.streaming import Stream

FILTERS: list[Filter] = [
    Gaussian(sigma_frames=1.3),
    SavitzkyGolay(window=7, order=2),
    Median(window=5),
    OneEuro(min_cutoff_hz=1, beta=0.3, fps=30),
    Butterworth(cutoff_hz=5, fps=30),
    Butterworth(cutoff_hz=3, fps=25, order=1),
    Butterworth(cutoff_hz=4, fps=30, order=5),
    Chain(filters=(Median(window=3), Gaussian(sigma_frames=0.7))),
]


class Linear:
    """Window network with a matrix over time, that counts the windows it is given."""

    def __init__(self, window: int, stride: int = 1, every: int = 1) -> None:
        self.window, self.stride = window, stride
        self.reads = torch.arange(window) % every == 0
        self.matrix = torch.randn(window, window, generator=torch.Generator().manual_seed(window)) * self.reads
        self.windows = 0

    def run_windows(self, x: Tensor) -> Tensor:
        assert x.isfinite().all()
        self.windows += len(x)
        return torch.einsum("pw,nwc->npc", self.matrix, x)


def smoothnet(window: int = 8) -> SmoothNet:
    torch.manual_seed(0)
    config = SmoothNetConfig(window=window, output=window, hidden=16, residual_hidden=8, blocks=2)
    return SmoothNet(config).eval()


def deciwatch() -> DeciWatch:
    torch.manual_seed(0)
    return DeciWatch(DeciWatchConfig(channels=2, interval=3, q=2, width=8, heads=2, feedforward=8, layers=1)).eval()


NETWORKS: list[WindowNetwork] = [
    smoothnet(),
    smoothnet(1),
    deciwatch(),
    Linear(6),
    Linear(5, stride=2),
    Linear(4, stride=4),
    Linear(7, stride=3, every=3),
]


def walk(frames: int, channels: int = 2, seed: int = 0) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(frames, channels)).cumsum(axis=0) / 5


def joined(stream: Stream, x: npt.NDArray[np.float64], pushes: list[int]) -> npt.NDArray[np.float64]:
    """Everything that comes out of pushes of those lengths, the rest at once; with the count checked all along."""
    out, pushed, given = [], 0, 0
    for count in [*pushes, max(0, len(x) - sum(pushes))]:
        part = stream.push(x[pushed : pushed + count])
        pushed = min(pushed + count, len(x))
        given += len(part)
        assert given == max(0, pushed - stream.latency_frames)
        out.append(part)
    out.append(stream.flush())
    assert len(out[-1]) == min(len(x), stream.latency_frames)
    return np.concatenate(out)


some_pushes = st.lists(st.integers(0, 9), max_size=12)
some_latencies = st.integers(0, 14) | st.just(60)


@pytest.mark.parametrize("smoother", FILTERS, ids=lambda smoother: smoother.kind)
@settings(max_examples=15, deadline=None)
@given(frames=st.integers(1, 45), latency=some_latencies, pushes=some_pushes, seed=st.integers(0, 99))
def test_filters_equal_the_offline_result(
    smoother: Filter, frames: int, latency: int, pushes: list[int], seed: int
) -> None:
    x = walk(frames, seed=seed)
    streamed = joined(Stream(smoother, latency_frames=latency), x, pushes)
    np.testing.assert_allclose(streamed, smoother.offline(x, look_ahead=latency), atol=1e-9)
    prefixes = np.stack([smoother(x[: t + latency + 1])[t] for t in range(frames)])
    np.testing.assert_allclose(streamed, prefixes, atol=1e-9)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: f"{type(network).__name__}-{network.window}")
@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 45), latency=some_latencies, pushes=some_pushes, seed=st.integers(0, 99))
def test_networks_equal_the_offline_result(
    network: WindowNetwork, frames: int, latency: int, pushes: list[int], seed: int
) -> None:
    x = walk(frames, seed=seed)
    streamed = joined(Stream(network, latency_frames=latency), x, pushes)
    offline = apply_windows(network, x, stride=network.stride, look_ahead=latency)
    np.testing.assert_allclose(streamed, offline, atol=2e-6)


@pytest.mark.parametrize("network", [smoothnet(), Linear(6)], ids=["smoothnet", "linear"])
@pytest.mark.parametrize("latency", [0, 1, 4, 7])
def test_a_frame_is_what_the_clip_that_ends_k_later_gives(network: WindowNetwork, latency: int) -> None:
    x = walk(25)
    prefixes = np.stack([apply_windows(network, x[: t + latency + 1])[t] for t in range(len(x))])
    np.testing.assert_allclose(joined(Stream(network, latency), x, [1] * 25), prefixes, atol=2e-6)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: f"{type(network).__name__}-{network.window}")
def test_a_window_of_latency_is_the_whole_offline_result(network: WindowNetwork) -> None:
    x = walk(50)
    latency = network.window - 1 if network.stride == 1 else network.window
    streamed = joined(Stream(network, latency), x, [3] * 16)
    np.testing.assert_allclose(streamed, apply_windows(network, x, stride=network.stride), atol=2e-6)


@pytest.mark.parametrize(("latency", "windows"), [(0, 100), (3, 97), (5, 95), (50, 95)])
def test_each_window_is_run_once(latency: int, windows: int) -> None:
    network = Linear(6)
    joined(Stream(network, latency), walk(100), [1] * 100)
    # 95 windows lie inside the clip; each of the first frames that knows fewer than 6 needs one of its own.
    assert network.windows == windows


@pytest.mark.parametrize("smoother", [*FILTERS, smoothnet(), deciwatch()], ids=lambda s: type(s).__name__)
def test_memory_does_not_grow_with_the_stream(smoother: Filter | WindowNetwork) -> None:
    stream = Stream(smoother, latency_frames=5)
    x = walk(50)

    def held() -> int:
        gc.collect()
        engine = stream._engine
        inner = getattr(engine, "_inner", engine)
        arrays = [value for value in vars(inner).values() if isinstance(value, Tensor | np.ndarray)]
        storages = [
            a.untyped_storage().nbytes() if isinstance(a, Tensor) else (a if a.base is None else a.base).nbytes
            for a in arrays
        ]
        return sum(storages)

    for _ in range(4):
        stream.push(x)
    early = held()
    for _ in range(40):
        stream.push(x)
    assert held() <= early + 16 * 8 * 2  # windows of a stride come in turn: a few frames more or less


def test_python_holds_no_more_after_many_pushes() -> None:
    stream = Stream(Butterworth(cutoff_hz=5, fps=30), latency_frames=4)
    x = walk(20, 51)
    for _ in range(20):
        stream.push(x)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(100):
        stream.push(x)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20 * 51 * 8 * 10


@pytest.mark.parametrize("smoother", [Gaussian(sigma_frames=1), smoothnet()], ids=["filter", "network"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kind_and_dtype_come_back(smoother: Filter | SmoothNet, dtype: str) -> None:
    x = walk(20).astype(dtype)
    streams = Stream(smoother, 3), Stream(smoother, 3)
    array = np.concatenate([streams[0].push(x), streams[0].flush()])
    tensor = torch.cat([streams[1].push(torch.from_numpy(x)), streams[1].flush()])
    assert array.dtype == np.dtype(dtype)
    assert tensor.dtype == getattr(torch, dtype)
    np.testing.assert_array_equal(tensor.numpy(), array)


@pytest.mark.parametrize("smoother", [*FILTERS, smoothnet(), deciwatch()], ids=lambda s: type(s).__name__)
def test_short_and_empty_streams(smoother: Filter | WindowNetwork) -> None:
    x = walk(3)
    early = Stream(smoother, latency_frames=9)
    assert early.push(x).shape == (0, 2)
    assert early.flush().shape == (3, 2)
    empty = Stream(smoother, latency_frames=2)
    assert empty.push(x[:0]).shape == (0, 2)
    assert empty.flush().shape == (0, 2)


@pytest.mark.parametrize("smoother", [*FILTERS, smoothnet()], ids=lambda s: type(s).__name__)
def test_a_missing_value_is_named_and_the_stream_goes_on(smoother: Filter | WindowNetwork) -> None:
    x = walk(40)
    stream = Stream(smoother, latency_frames=2)
    expected = joined(Stream(smoother, latency_frames=2), x, [])
    out = [stream.push(x[:20])]
    broken = x[20:].copy()
    broken[3, 1] = np.nan
    with pytest.raises(DataError, match="frame 23, channel 1"):
        stream.push(broken)
    out += [stream.push(x[20:]), stream.flush()]
    np.testing.assert_allclose(np.concatenate(out), expected, atol=2e-6)


def test_a_sparse_estimate_streams_with_a_window_of_latency() -> None:
    network, x = Linear(7, stride=3, every=3), walk(31)
    sparse = np.where((np.arange(31) % 3 == 0)[:, None], x, np.nan)
    np.testing.assert_allclose(
        joined(Stream(network, 6), sparse, [1] * 31), apply_windows(network, x, stride=3), atol=2e-6
    )
    hasty = Stream(network, 0)
    with pytest.raises(DataError, match="frame 1, channel 0"):
        hasty.push(sparse)


def test_misuse() -> None:
    smoother, x = Gaussian(sigma_frames=1), walk(10)
    with pytest.raises(ConfigError, match="latency_frames"):
        Stream(smoother, latency_frames=-1)
    stream = Stream(smoother, latency_frames=1)
    with pytest.raises(DataError, match="nothing was pushed"):
        stream.flush()
    stream.push(x)
    with pytest.raises(ShapeError, match="expected 2 channels as before, got 3"):
        stream.push(walk(5, 3))
    with pytest.raises(ShapeError, match="reshape"):
        stream.push(np.zeros((5, 2, 2)))
    stream.flush()
    with pytest.raises(DataError, match="flushed"):
        stream.push(x)
    with pytest.raises(DataError, match="flushed before"):
        stream.flush()
