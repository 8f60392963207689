"""Figures: whatever the words, they are well-formed pages, and show what they were given."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from poseworks.core import svg
from poseworks.core.errors import ShapeError

SPACE = "{http://www.w3.org/2000/svg}"


def elements(text: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(text).iter(SPACE + name))


def test_a_page_holds_its_parts_and_escapes_words() -> None:
    parts = [
        svg.text(10, 20.25, "a < b & c", size=9, anchor="end", turn=-90),
        svg.line(0, 1, 2, 3),
        svg.box(1, 2, 3, 4, fill="#eee", hint='"walk" > 0.5'),
        svg.circle(5, 6, 2, fill="#123456", opacity=0.5),
        svg.polyline([(0, 1), (2.5, 3)], stroke="#000"),
    ]
    page = svg.page(300, 100.4, "x & y", parts)
    root = ElementTree.fromstring(page)
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("300", "100", "0 0 300 100")
    heading, word = elements(page, "text")
    assert (heading.text, word.text) == ("x & y", "a < b & c")
    assert (word.get("text-anchor"), word.get("transform")) == ("end", "rotate(-90 10.0 20.2)")
    assert [title.text for title in elements(page, "title")] == ["x & y", '"walk" > 0.5']
    (line,), (circle,), (polyline,) = (elements(page, name) for name in ("line", "circle", "polyline"))
    assert [line.get(key) for key in ("x1", "y1", "x2", "y2")] == ["0.0", "1.0", "2.0", "3.0"]
    assert (circle.get("r"), circle.get("fill-opacity")) == ("2", "0.5")
    assert polyline.get("points") == "0.0,1.0 2.5,3.0"


def test_a_matrix_is_a_picture_from_white_to_red() -> None:
    image = pytest.importorskip("PIL.Image")
    page = svg.page(200, 200, "T", [svg.matrix(np.array([[0.0, 0.5], [1.0, 2.0]]), 10, 10, 100, 50)])
    (found,) = re.findall(r"base64,([^\"]+)", page)
    pixels = np.asarray(image.open(io.BytesIO(base64.b64decode(found))).convert("RGB"))
    half = len(pixels) // 2
    assert pixels.shape == (2 * 68, 2 * 68, 3)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[half, 0].tolist() == pixels[half, half].tolist() == [178, 24, 43]  # above 1 is as 1
    assert np.abs(pixels[0, half] - np.array([216.5, 139.5, 149.0])).max() <= 1
    with pytest.raises(ShapeError, match=r"shares: expected \(R>=1, C>=1\), got \(3,\)"):
        svg.matrix([0.0, 1.0, 0.5], 0, 0, 1, 1)


def test_the_colour_bar_names_its_values() -> None:
    page = svg.page(100, 100, "T", svg.colour_bar(0.8, 10, 10, 80))
    assert [word.text for word in elements(page, "text")][1:] == ["0", "0.2", "0.4", "0.6", "0.8"]


def test_many_things_have_colours_of_their_own() -> None:
    colours = [svg.colour_of(number) for number in range(27)]
    assert len(set(colours)) == 27
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
