"""The published tables row by row: the claim, and ours where the licensed data and the weight files are present.

Each protocol has a table of its own: their numbers do not compare.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.common import Cell, Table
from poseworks.core.errors import CheckpointError, DataError
from poseworks.lifting import LCN, EHGFormer, load
from poseworks.lifting.learning.published_evaluation import DEFINITIONS, Comparison, measure_ehgformer, measure_lcn
from poseworks.lifting.published import Published, published_weights

STATE_OF_THE_ART: tuple[tuple[str, float], ...] = (
    ("MixSTE, CPN keypoints (CVPR 2022)", 40.9),
    ("MotionBERT, from scratch (ICCV 2023)", 39.2),
    ("MotionBERT, pre-trained (ICCV 2023)", 37.2),
    ("MotionAGFormer-B (WACV 2024)", 38.4),
)
"""Claimed for Human3.6M with 243 frames of detected keypoints, by papers that evaluate every frame."""


def published(method: str, title: str) -> Callable[[bool], Table]:
    """A measure of the rows of one method."""

    def measure(quick: bool) -> Table:
        rows: list[list[Cell]] = []
        for name, entry in published_weights().items():
            if entry.method == method:
                rows.append([name, entry.training_data, entry.claim_mm, *ours(entry)])
        notes = [DEFINITIONS["lcn" if method == "LCN" else "ehgformer"]]
        if method == "LCN":
            notes.append("its ablation tables (mask kinds, knn) were not available")
        else:
            notes.append("the paper's own tables were not available; claims are those of the published code")
            rows += [
                [name, "as their papers say", claim, None, None, "not run here"] for name, claim in STATE_OF_THE_ART
            ]
        return Table(
            f"lifting_published_{method.lower()}",
            title,
            ("weights", "trained on", "claimed", "ours", "frames", "note"),
            rows,
            notes,
        )

    return measure


def ours(entry: Published) -> list[Cell]:
    """What the published weights come to here, the frames counted, and why not if not."""
    try:
        network = load(entry.name)
    except CheckpointError:
        return [None, None, "weights not present"]
    try:
        result = evaluated(network, entry.name)
    except DataError:
        return [None, None, "data not present"]
    return [result.p1, result.frames, ""]


def evaluated(network: object, name: str) -> Comparison:
    """By the protocol of its kind."""
    if isinstance(network, LCN):
        return measure_lcn(network, mode="dt_ft" if name.endswith("-sh") else "gt")
    assert isinstance(network, EHGFormer)
    (result,) = measure_ehgformer(network, static="-static-" in name)
    return result


PUBLISHED = (
    published("LCN", "LCN as published: Human3.6M, protocol of LCN (mm)"),
    published("EHGFormer", "EHGFormer as published: Human3.6M, protocol of EHGFormer (mm)"),
)
