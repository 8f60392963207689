"""Streams of window networks: what comes out is the offline result with the same look-ahead, however it is pushed."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.window_stream import WindowStream
from poseworks.core.windows import Blend, apply_windows


class AnyLength:
    """A window network for clips of up to 7 frames: a matrix over time, cut to the clip."""

    window = 7
    reads = torch.ones(7, dtype=torch.bool)

    def __init__(self, stride: int) -> None:
        self.stride = stride
        self.matrix = torch.randn(7, 7, generator=torch.Generator().manual_seed(0))

    def run_windows(self, x: Tensor) -> Tensor:
        frames = x.shape[1]
        return torch.einsum("pw,nwc->npc", self.matrix[:frames, :frames].double(), x.double()).float()


@pytest.mark.parametrize("short", ["pad", "whole"])
@pytest.mark.parametrize("blend", ["mean", "ramp"])
@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(1, 40),
    stride=st.integers(1, 7),
    look_ahead=st.integers(0, 10),
    pushes=st.lists(st.integers(0, 12), max_size=12),
)
def test_a_stream_equals_the_offline_result(
    short: Literal["pad", "whole"], blend: Blend, frames: int, stride: int, look_ahead: int, pushes: list[int]
) -> None:
    network = AnyLength(stride)
    x = torch.randn(frames, 3, generator=torch.Generator().manual_seed(frames))
    stream, seen, out = WindowStream(network, look_ahead, short=short, blend=blend), 0, []
    for count in [*pushes, frames]:
        part = x[seen : seen + count]
        seen += len(part)
        out.append(stream.push(stream.take(part, seen)[0]))
        assert sum(map(len, out)) == max(0, seen - look_ahead)
    out.append(stream.flush())
    expected = apply_windows(network, x, stride, look_ahead=look_ahead, short=short, blend=blend)
    assert_close(torch.cat(out), expected, rtol=0, atol=1e-5)
