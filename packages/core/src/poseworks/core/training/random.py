"""Random states of a training run: seeded per step, left to the caller as they were found."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(*parts: int) -> int:
    """A 63-bit seed that is well mixed from whole numbers >= 0 (NumPy's SeedSequence)."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_everything(generator: torch.Generator, *parts: int) -> None:
    """Seeds `generator` and the global generators of python, NumPy and torch from `parts`."""
    seed = derived_seed(*parts)
    generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (third-party augmentations use the global state)
    other = derived_seed(*parts, seed)  # dropout: another stream than the samples
    torch.default_generator.manual_seed(other)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(other)  # before that, each call is queued with a stack trace: slow, and never freed


@contextmanager
def kept_random_state() -> Iterator[None]:
    """The global random states and the thread count after the block are those before it."""
    python, numpy, threads = random.getstate(), np.random.get_state(), torch.get_num_threads()  # noqa: NPY002
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
            torch.set_num_threads(threads)


@contextmanager
def deterministic_torch(wanted: bool) -> Iterator[None]:
    """Only deterministic algorithms inside the block, if `wanted`; torch raises where it has none."""
    if not wanted:
        yield
        return
    before, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it starts
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.benchmark = benchmark
