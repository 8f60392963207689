"""The published tables row by row: the claim, and ours where the licensed data and the weight files are present.

Data are looked for in POSEWORKS_DATA (`learning.published_data` of temporal), weights in POSEWORKS_WEIGHTS
(`learning.published_protocols`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks.common import Cell, Table
from poseworks.core.errors import CheckpointError, ConfigError, DataError, PoseworksError
from poseworks.temporal.learning.published_data import PublishedData, PublishedSequence, find_published, read_published
from poseworks.temporal.learning.published_evaluation import Row
from poseworks.temporal.learning.published_protocols import (
    ClaimRow,
    ClaimTable,
    load_row,
    measure_row,
    protocols,
    weight_file,
)

MEASURE_NAMES = {
    "mpjpe": "MPJPE",
    "pa_mpjpe": "PA-MPJPE",
    "accel": "accel",
    "accel_padded": "accel",
    "mpvpe": "MPVPE",
    "pck_0.05": "PCK 0.05",
    "pck_0.1": "PCK 0.1",
    "pck_0.2": "PCK 0.2",
}
ANGLE = "rotation_error_deg"
QUICK_SEQUENCES = 3
TITLES: dict[ClaimTable, tuple[str, tuple[str, ...]]] = {
    "smoothnet_toolkit": ("SmoothNet, toolkit, as published (mm, mm per frame squared)", ()),
    "deciwatch_toolkit": (
        "DeciWatch, toolkit, as published (mm)",
        (
            "smoothness is not claimed there; nearest: 3DPW SPIN SMPL of the paper's intervals",
            "that the weights were trained with 6D rows and masked cross-attention is not verified",
        ),
    ),
    "smoothnet_paper": (
        "SmoothNet, paper, as published (mm, mm per frame squared; 2D: px of a 1000 x 1000 image)",
        ("the claimed table does not state its window; 32 is the repository's default", "* several frames a pose"),
    ),
    "deciwatch_paper": ("DeciWatch, paper, every 10th frame, as published (mm, mm per frame squared, %)", ()),
    "deciwatch_intervals": (
        "DeciWatch, paper, over intervals, as published (mm, mm per frame squared)",
        ("SMPL windows start 10 intervals apart, or q if fewer: stated for interval 10 alone",),
    ),
    "deciwatch_intervals_pck": ("DeciWatch, paper, Sub-JHMDB over intervals, as published (PCK, %)", ()),
    "smoothnet_pose_toolkit": (
        "SmoothNet, pose toolkit, as published (mm, mm per frame squared)",
        ("data: Human3.6M with FCN, which is SimpleBaseline3D under the papers' name; the root is not smoothed",),
    ),
}
NOTES = (
    "in / out: errors of the input and of the output, over all frames of all test sequences together",
    "frames: those counted in ours; frames behind the last window are dropped with their truth",
    "sequences shorter than a window are padded with zeros for the network; the padding is not counted",
)
SMPL_NOTE = (
    "SMPL rows: joints and vertices need the licensed SMPL body, which is not part of this package; ours is the mean "
    "angle between rotations, in degrees, and not comparable with the claim"
)


@dataclass(frozen=True)
class Outcome:
    """What was found and measured for a row; `data` and `weights` are empty where they are present."""

    data: str = ""
    weights: str = ""
    measured: dict[str, Row] = field(default_factory=dict)


def published_table(table: ClaimTable, quick: bool) -> Table:
    """One published table."""
    rows = protocols(table)
    faults: list[str] = []
    outcomes = measure_rows(rows, quick, faults)
    measures = list(dict.fromkeys(name for row in rows for name in row.claims))
    smpl = any(row.data.representation == "smpl" for row in rows)
    columns = ["row", "weights"]
    for name in measures:
        columns += [f"{MEASURE_NAMES[name]} in / out, claimed", "ours"]
    columns += [*(["rotations in / out, degrees, ours"] if smpl else []), "frames", "definition"]
    title, notes = TITLES[table]
    cells = [row_cells(row, outcome, measures, smpl) for row, outcome in zip(rows, outcomes, strict=True)]
    extra = [SMPL_NOTE] if smpl else []
    if quick:
        extra.append(f"quick: the first {QUICK_SEQUENCES} sequences of each set alone")
    unique = list(dict.fromkeys(faults))
    return Table(f"temporal_published_{table}", title, columns, cells, [*notes, *NOTES, *extra, *unique])


def measure_rows(rows: Sequence[ClaimRow], quick: bool, faults: list[str]) -> list[Outcome]:
    """Outcomes in the order of the rows; each data set is read once. What files are refused for is added to faults."""
    outcomes: dict[int, Outcome] = {}
    by_data: dict[PublishedData, list[int]] = {}
    for place, row in enumerate(rows):
        by_data.setdefault(row.data, []).append(place)
    for data, places in by_data.items():
        sequences, missing = read_sequences(data, quick, faults)
        for place in places:
            outcomes[place] = outcome_of(rows[place], sequences, missing, faults)
    return [outcomes[place] for place in range(len(rows))]


def read_sequences(data: PublishedData, quick: bool, faults: list[str]) -> tuple[list[PublishedSequence], str]:
    """The test sequences, and what a cell says where there are none."""
    try:
        find_published(data, "test")
    except DataError:
        return [], "data not present"
    try:
        sequences = read_published(data, "test")
    except PoseworksError as error:
        faults.append(str(error))
        return [], "data refused"
    return sequences[: QUICK_SEQUENCES if quick else None], "" if sequences else "data empty"


def outcome_of(row: ClaimRow, sequences: list[PublishedSequence], missing: str, faults: list[str]) -> Outcome:
    """Measures one row, or its input alone where the weights are missing."""
    if row.reason:
        return Outcome(data=row.reason, weights=row.reason)
    path = weight_file(row)
    weights = "" if path is not None else "weights not present"
    if missing:
        return Outcome(data=missing, weights=weights)
    network = None
    try:
        if path is not None:
            network = load_row(row, path)
    except (CheckpointError, ConfigError) as error:
        faults.append(str(error))
        weights = "weights refused"
    try:
        return Outcome("", weights, {entry.measure: entry for entry in measure_row(row, sequences, network)})
    except PoseworksError as error:  # such as another number of joints than the network has channels for
        faults.append(f"{row.label}: {error}")
        return Outcome("data refused", weights)


def row_cells(row: ClaimRow, outcome: Outcome, measures: Sequence[str], smpl: bool) -> list[Cell]:
    """A row as it is printed."""
    path = weight_file(row)
    found = f"{path.parent.name}/{path.name}" if path is not None else None
    cells: list[Cell] = [row.label, found if found or row.reason else f"{row.places[0]}: not present"]
    for name in measures:
        claim = row.claims.get(name)
        cells += [None, None] if claim is None else [f"{claim[0]:.2f} / {claim[1]:.2f}", ours(name, outcome)]
    if smpl:
        cells.append(ours(ANGLE, outcome) if row.data.representation == "smpl" else None)
    frames = next((entry.frames for entry in outcome.measured.values()), None)
    return [*cells, frames, row.definition]


def ours(measure: str, outcome: Outcome) -> str:
    """Input and output as measured, or what is missing."""
    if outcome.data:
        return outcome.data
    if measure not in outcome.measured:
        return "needs the SMPL body"
    entry = outcome.measured[measure]
    return f"{entry.before:.2f} / {outcome.weights or f'{entry.after:.2f}'}"


MEASURES: tuple[Callable[[bool], Table], ...] = tuple(partial(published_table, table) for table in TITLES)
