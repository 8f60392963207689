"""Shape checks at the public border, written as the docstrings write shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from poseworks.core.errors import ShapeError


class Shaped(Protocol):
    """A tensor, an array: whatever has a shape."""

    @property
    def shape(self) -> Sequence[int]:
        """Sizes of the axes."""
        ...


def expect_shape(name: str, x: Shaped, pattern: str, fix: str = "") -> dict[str, int]:
    """Sizes of the named axes of `x`, after checking them against `pattern`.

    `pattern` is a list of axes such as ``"B T J=17 C=2|3"``: a name alone takes any size, a name used twice must
    have one size, ``=`` fixes the size (``|`` gives alternatives), ``>=`` and ``<=`` bound it, and a leading ``...``
    stands for any number of axes.

    Raises:
        ShapeError: with the name, the expected and the found shape, and `fix`.
    """
    axes = pattern.split()
    # Sizes are not turned into int: while a network is exported they are symbols, and stay open that way.
    shape = tuple(x.shape)
    found = shape
    if axes and axes[0] == "...":
        axes = axes[1:]
        found = shape[max(len(shape) - len(axes), 0) :]
    sizes: dict[str, int] = {}
    matches = len(found) == len(axes)
    for axis, size in zip(axes, found, strict=False):
        if ">=" in axis:
            letter, bound = axis.split(">=")
            matches = matches and size >= int(bound)
        elif "<=" in axis:
            letter, bound = axis.split("<=")
            matches = matches and size <= int(bound)
        elif "=" in axis:
            letter, allowed = axis.split("=")
            matches = matches and any(size == int(each) for each in allowed.split("|"))
        else:
            letter = axis
        matches = matches and sizes.setdefault(letter, size) == size
    if not matches:
        raise ShapeError(f"{name}: expected ({', '.join(pattern.split())}), got {shape}.{' ' + fix if fix else ''}")
    return sizes
