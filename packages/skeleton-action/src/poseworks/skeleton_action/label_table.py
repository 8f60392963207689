"""A table of labels as CSV: which recording shows which action.

    file     needed: a file of poses (or a folder of OpenPose) under the folder of tracks; its ending may be left out
    label    needed: the name of the class; or, where all are whole numbers, its number from 0
    split    train, val, test or any other name; in all rows or in none
    subject  who is recorded; in all rows or in none
    person   the track number of the person who is meant, where the recording shows several
    begin, end   seconds; the part of the recording that is meant

The first line names the columns, in any order. Separated by commas, or by semicolons or tabs if the first line is.
"""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from poseworks.core.errors import FormatError
from poseworks.core.formats.reading import read_text
from poseworks.skeleton_action.annotation_pickles import listed

ENDINGS = (".npz", ".json", ".csv", ".trc", ".npy")
"""Of files of poses."""

_NEEDED = ("file", "label")
_OPTIONAL = ("split", "subject", "person", "begin", "end")
_ALL_OR_NONE = ("split", "subject")
_LONGEST_NUMBER = 9  # digits


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """One line of the table.

    Attributes:
        line: its number in the file, from 1.
        file, label, split, subject: as written; ``""``: not stated.
        person: track number.
        begin_s, end_s: the part that is meant.
    """

    line: int
    file: str
    label: str
    split: str = ""
    subject: str = ""
    person: int | None = None
    begin_s: float | None = None
    end_s: float | None = None

    @property
    def identifier(self) -> str:
        """The file without its ending, and what of it is meant."""
        path = PurePosixPath(self.file.replace("\\", "/"))
        name = str(path.with_suffix("") if path.suffix.lower() in ENDINGS else path)
        person = "" if self.person is None else f"#{self.person}"
        part = "" if self.begin_s is None and self.end_s is None else f"@{self.begin_s or 0:g}-"
        return f"{name}{person}{part}{'' if self.end_s is None else f'{self.end_s:g}'}"


def read_label_table(path: str | os.PathLike[str]) -> list[LabelRow]:
    """The rows of a table of labels.

    Raises:
        FormatError: it is no such table; lists every fault with its line.
        DataError: it cannot be read.
    """
    lines = read_text(Path(path)).splitlines()
    first = lines[0] if lines else ""
    separator = next((mark for mark in ("\t", ";") if mark in first), ",")
    try:
        rows = list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error as error:
        raise FormatError(f"{path}: is no CSV table ({error}).") from error
    names = [name.strip().lower() for name in rows[0]] if rows else []
    unknown = [name for name in names if name not in (*_NEEDED, *_OPTIONAL)]
    absent = [name for name in _NEEDED if name not in names]
    if unknown or absent or len(set(names)) != len(names):
        raise FormatError(
            f"{path}: its first line must name the columns: {', '.join(_NEEDED)}, and if wanted "
            f"{', '.join(_OPTIONAL)}; got {first[:100]!r}."
        )
    faults: list[str] = []
    table = []
    for number, cells in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in cells):
            if len(cells) != len(names):
                faults.append(f"line {number}: {len(cells)} entries, expected {len(names)}")
            else:
                table.append(_row(number, dict(zip(names, map(str.strip, cells), strict=True)), faults))
    faults += _table_faults(table)
    if not table and not faults:
        faults.append("holds no row under its first line")
    if faults:
        raise FormatError(f"{path}: {listed(faults)}.")
    return table


def _row(line: int, cells: Mapping[str, str], faults: list[str]) -> LabelRow:
    faults += [f"line {line}: no {name}" for name in _NEEDED if not cells[name]]
    person = cells.get("person", "")
    if person and not (person.isdecimal() and len(person) <= _LONGEST_NUMBER):
        faults.append(f"line {line}: person: expected a track number, got {person[:20]!r}")
        person = ""
    begin, end = (_seconds(line, name, cells.get(name, ""), faults) for name in ("begin", "end"))
    if end is not None and end <= (begin or 0):
        faults.append(f"line {line}: end: expected more than begin, got {end:g} s")
    return LabelRow(
        line=line,
        file=cells["file"],
        label=cells["label"],
        split=cells.get("split", ""),
        subject=cells.get("subject", ""),
        person=int(person) if person else None,
        begin_s=begin,
        end_s=end,
    )


def _seconds(line: int, name: str, text: str, faults: list[str]) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        faults.append(f"line {line}: {name}: expected seconds, got {text[:20]!r}")
        return None
    return seconds


def _table_faults(table: Sequence[LabelRow]) -> list[str]:
    faults = []
    for name in _ALL_OR_NONE:
        without = [row.line for row in table if not getattr(row, name)]
        if without and len(without) < len(table):
            faults.append(f"{name}: stated in some rows, but not in line {', '.join(map(str, without[:6]))}")
    count = Counter(row.identifier for row in table)
    faults += [f"{name}: {times} rows mean the same recording" for name, times in count.items() if times > 1]
    return faults


def classes_of(table: Sequence[LabelRow], names: Sequence[str] = ()) -> tuple[list[int], tuple[str, ...]]:
    """The class of each row, and the names of the classes.

    Args:
        names: of the classes in their order; empty: those in the table, sorted. Where all labels are whole numbers,
            they are the classes, and need no names.

    Raises:
        FormatError: a label has no name.
    """
    labels = [row.label for row in table]
    numbered = all(label.isdecimal() and len(label) <= _LONGEST_NUMBER for label in labels)
    if numbered and not set(labels) <= set(names):
        numbers = [int(label) for label in labels]
        beyond = [f"line {row.line}: {row.label}" for row in table if names and int(row.label) >= len(names)]
        if beyond:
            raise FormatError(f"labels: expected classes from 0 to {len(names) - 1}: {listed(beyond)}.")
        return numbers, tuple(names)
    ordered = tuple(names) or tuple(sorted(set(labels)))
    place = {name: number for number, name in enumerate(ordered)}
    strange = [f"line {row.line}: {row.label!r}" for row in table if row.label not in place]
    if strange:
        raise FormatError(f"labels: not among the names of the classes: {listed(strange)}.")
    return [place[label] for label in labels], ordered
