"""Published variants: counts and file names as their documents state them."""

from __future__ import annotations

import pytest

from poseworks.temporal.deciwatch import DeciWatch, DeciWatchConfig
from poseworks.temporal.models import model_cards
from poseworks.temporal.published import FileName, claim_rows, claim_tables, parse_file_name, published_weights
from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig

VARIANTS = published_weights()


@pytest.mark.parametrize("name", [n for n in VARIANTS if "w8" in n or n.startswith("deciwatch-paper")])
def test_sizes_give_the_stated_number_of_parameters(name: str) -> None:
    entry = VARIANTS[name]
    network = (
        SmoothNet(SmoothNetConfig(**entry.sizes))
        if entry.method == "smoothnet"
        else DeciWatch(DeciWatchConfig(**entry.sizes))
    )
    assert sum(p.numel() for p in network.parameters()) == entry.parameters


@pytest.mark.parametrize(
    ("name", "parameters", "millions"),
    [
        ("smoothnet-toolkit-w32", 2_659_872, 2.654),
        ("smoothnet-paper-3dpw-w64", 83_024, 0.0819),
        ("smoothnet-paper-h36m-w16", 675_472, 0.672),
        ("smoothnet-pose-toolkit-w8", 797_448, 0.795),
        ("deciwatch-paper-3dpw-spin-3d", 242_708, 33.6),
        ("deciwatch-paper-3dpw-eft-3d", 78_268, 11.2),
        ("deciwatch-paper-h36m-fcn-3d", 1_709_414, 209.9),
        ("deciwatch-paper-jhmdb-simplepose-2d", 1_687_612, 18.8),
        ("deciwatch-paper-aist-spin-smpl", 1_804_576, 219.5),
        ("deciwatch-toolkit-i10-q1", 79_840, 0.88),
        ("deciwatch-toolkit-i5-q3", 79_840, 1.30),
    ],
)
def test_parameters_and_products_as_measured_on_the_published_code(name: str, parameters: int, millions: float) -> None:
    entry = VARIANTS[name]
    assert entry.parameters == parameters
    assert entry.multiply_adds == pytest.approx(1e6 * millions, rel=6e-3)


def test_every_family_and_variant_is_there() -> None:
    smoothnets = [e for e in VARIANTS.values() if e.method == "smoothnet"]
    assert sorted(e.sizes["window"] for e in smoothnets) == sorted([8, 16, 32, 64] * 5)
    toolkit = {(e.sizes["interval"], e.sizes["q"]) for n, e in VARIANTS.items() if n.startswith("deciwatch-toolkit")}
    assert toolkit == {(interval, q) for interval in (5, 10) for q in range(1, 6)}
    assert sum(n.startswith("deciwatch-paper") for n in VARIANTS) == 10


@pytest.mark.parametrize(
    ("file", "expected", "cross_attention"),
    [
        ("deciwatch_interval10_q3.pth.tar", FileName("deciwatch", "toolkit", None, 10, 3), "masked"),
        ("somewhere/checkpoint_i3_q33.pth.tar", FileName("deciwatch", "paper", None, 3, 33), "additive"),
        ("smoothnet_windowsize8.pth.tar", FileName("smoothnet", "toolkit", 8), "masked"),
        ("checkpoint_8.pth.tar", FileName("smoothnet", "paper", 8), "additive"),
        ("checkpoint.pth.tar", FileName(None, "paper"), "additive"),
        ("my-deciwatch-i5-q2-0123abcd.pth", FileName("deciwatch", None, None, 5, 2), "masked"),
        ("smoothnet-general-w32", FileName("smoothnet", None, 32), "masked"),
        ("weights.pth", FileName(), "masked"),
        ("taxi10_q3.pth", FileName(), "masked"),
    ],
)
def test_file_names(file: str, expected: FileName, cross_attention: str) -> None:
    assert parse_file_name(file) == expected
    assert parse_file_name(file).cross_attention == cross_attention


def test_every_published_file_name_says_what_its_entry_says() -> None:
    for entry in VARIANTS.values():
        told = parse_file_name(entry.file)
        if entry.origin != "pose toolkit" and entry.file != "checkpoint.pth.tar":
            assert (told.method, told.origin) == (entry.method, entry.origin)
        if told.interval is not None:
            assert (told.interval, told.q) == (entry.sizes["interval"], entry.sizes["q"])
        if told.window is not None:
            assert told.window == entry.sizes["window"]


def test_tables_hold_pairs_and_say_how_they_were_made() -> None:
    for name, table in claim_tables().items():
        assert table["definition"], name
        for row in claim_rows(name):
            pairs = [value for value in row.values() if isinstance(value, list)]
            assert pairs, name
            assert all(len(pair) == 2 for pair in pairs)


def test_claims_from_the_documents() -> None:
    toolkit = VARIANTS["smoothnet-toolkit-w32"].claims
    assert [(c.measure, c.before, c.after) for c in toolkit] == [("mpjpe", 96.85, 95.03), ("accel", 34.62, 6.11)]
    assert VARIANTS["deciwatch-toolkit-i5-q5"].claims[0].after == 94.48
    pck = VARIANTS["deciwatch-paper-jhmdb-simplepose-2d"].claims
    assert [c.after for c in pck] == [79.44, 94.05, 98.75]
    ten = next(r for r in claim_rows("deciwatch_paper_intervals_mpjpe") if r["interval"] == 10)
    assert ten["3DPW PARE smpl"] == [80.44, 81.76]
    assert len(claim_rows("deciwatch_paper_intervals_accel")) == 20
    assert next(r for r in claim_rows("deciwatch_paper_intervals_accel") if r["interval"] == 19)["H36M FCN"] is None


def test_cards_name_every_variant_once_with_licence_and_way() -> None:
    cards = model_cards()
    names = [card.name for card in cards]
    assert len(set(names)) == len(names)
    assert set(VARIANTS) <= set(names)
    for card in cards:
        assert card.licence
        assert card.training_data
        assert card.where()
