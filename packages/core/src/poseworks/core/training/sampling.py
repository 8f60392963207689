"""Samples in a random order that follows from a seed alone, so that any step can be begun anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseworks.core.training.processes import Place
from poseworks.core.training.random import derived_seed


class Permutations:
    """An endless row of permutations of the numbers below `length`, each drawn from (seed, its number)."""

    def __init__(self, length: int, seed: int) -> None:
        self.length, self.seed = length, seed
        self._drawn: dict[int, NDArray[np.int64]] = {}

    def __getitem__(self, span: slice) -> NDArray[np.int64]:
        """Entries start to stop of the row; two permutations in turn are kept in memory."""
        start, stop = span.start, span.stop
        parts = []
        while start < stop:
            number, first = divmod(start, self.length)
            last = min(self.length, first + stop - start)
            parts.append(self._permutation(number)[first:last])
            start += last - first
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def _permutation(self, number: int) -> NDArray[np.int64]:
        if number not in self._drawn:
            self._drawn = {kept: order for kept, order in self._drawn.items() if kept == number - 1}
            self._drawn[number] = np.random.default_rng(derived_seed(self.seed, number)).permutation(self.length)
        return self._drawn[number]


def chained_batch(order: Permutations, step: int, size: int, here: Place) -> NDArray[np.int64]:
    """Batches cut one after the other from the permutations, across their ends; each process in turn takes one."""
    start = (step * here.size + here.rank) * size
    return order[start : start + size]


def epoch_batch(order: Permutations, step: int, size: int, here: Place) -> NDArray[np.int64]:
    """Batches of one permutation an epoch, of which the last may be smaller; the processes share each of them.

    A process for which a small last batch has nothing left takes a sample of the epoch's begin, so that all have some.
    """
    epoch, number = divmod(step, epoch_steps(order.length, size, here))
    begin, end = epoch * order.length, (epoch + 1) * order.length
    first = begin + number * size * here.size
    last = min(end, first + size * here.size)
    batch = order[first:last][here.rank :: here.size]
    return batch if len(batch) else order[begin : begin + 1]


def epoch_steps(length: int, size: int, here: Place) -> int:
    """Steps in which `epoch_batch` goes through `length` samples once."""
    return -(-length // (size * here.size))
