"""expect_shape: the pattern language of the docstrings."""

import numpy as np
import pytest
import torch

from poseworks.core.errors import PoseworksError, ShapeError
from poseworks.core.shapes import expect_shape


@pytest.mark.parametrize(
    ("pattern", "shape", "sizes"),
    [
        ("B T J=17 C=2", (4, 9, 17, 2), {"B": 4, "T": 9, "J": 17, "C": 2}),
        ("J C=2|3", (17, 3), {"J": 17, "C": 3}),
        ("T>=3 J", (3, 17), {"T": 3, "J": 17}),
        ("T<=3 J", (3, 17), {"T": 3, "J": 17}),
        ("N N", (5, 5), {"N": 5}),
        ("... R=3 C=3", (3, 3), {"R": 3, "C": 3}),
        ("... R=3 C=3", (7, 2, 3, 3), {"R": 3, "C": 3}),
        ("...", (), {}),
        ("...", (1, 2), {}),
        ("", (), {}),
        ("T C", (0, 0), {"T": 0, "C": 0}),
    ],
)
def test_what_fits_gives_the_sizes(pattern: str, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    assert expect_shape("x", np.zeros(shape), pattern) == sizes
    assert expect_shape("x", torch.zeros(shape), pattern) == sizes


@pytest.mark.parametrize(
    ("pattern", "shape"),
    [
        ("B T", (4,)),
        ("B T", (4, 9, 2)),
        ("J=17 C=2", (16, 2)),
        ("J C=2|3", (17, 4)),
        ("J C=2|3", (17, 23)),
        ("T>=3 J", (2, 17)),
        ("T<=3 J", (4, 17)),
        ("N N", (5, 6)),
        ("N=3 N", (3, 4)),
        ("... R=3 C=3", (3,)),
        ("... R=3 C=3", (3, 3, 4)),
        ("", (1,)),
    ],
)
def test_what_does_not_fit_is_refused(pattern: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        expect_shape("x", np.zeros(shape), pattern)


def test_the_message_says_what_was_wrong_what_was_expected_and_how_to_mend_it() -> None:
    with pytest.raises(ShapeError) as caught:
        expect_shape("keypoints", torch.zeros(2, 24, 2), "B J=17 C=2", fix="Convert the skeleton first.")
    assert str(caught.value) == "keypoints: expected (B, J=17, C=2), got (2, 24, 2). Convert the skeleton first."
    assert isinstance(caught.value, PoseworksError)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ShapeError, match=r"^x: expected \(\.\.\., C=3\), got \(\)\.$"):
        expect_shape("x", np.float32(1), "... C=3")


def test_sizes_stay_open_while_a_network_is_exported() -> None:
    """Turning a symbolic size into an int would fix it in the exported network."""

    class Symbol(int):
        def __int__(self) -> int:
            raise AssertionError("the size was fixed")

        __index__ = __int__

    class Traced:
        shape = (Symbol(4), 3, Symbol(5))

    sizes = expect_shape("x", Traced(), "N C=3 W>=2")
    assert isinstance(sizes["N"], Symbol)
