"""Result files: scores of every class for every sample, as the published test commands dump them and fusion reads them.

    0.x, pyskl   a pickled list of (classes,) float32 arrays, in the order of the data set
    1.x          a pickled list of dicts: ``pred_score`` (classes,) and ``gt_label`` (1,), torch tensors; in older files
                 ``pred_scores`` and ``gt_labels`` {"item": ...}

Neither says which sample is which. NAME.json beside NAME.pkl does: {"format", "sha256" (of the pickle), "identifiers",
"labels"}; files of other programs lack it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import DataError, FormatError
from poseworks.core.files import atomic_path, refuse_existing, sha256
from poseworks.core.formats.reading import read_json, shown
from poseworks.core.unpickling import restricted_load
from poseworks.skeleton_action.annotation_pickles import listed, write_pickle

ResultForm = Literal["0.x", "1.x"]
LARGEST_LABEL = 1 << 31
FORMAT = "poseworks.results/1"


@dataclass(frozen=True, eq=False, kw_only=True)
class Results:
    """Scores of N samples.

    Attributes:
        scores: (N, classes) float32; of published files averaged probabilities.
        labels: (N,) true classes; None where the file does not say.
        identifiers: of the samples; None where the file does not say.

    Raises:
        DataError: listing everything that is wrong.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.int64] | None = None
    identifiers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        faults = []
        if self.scores.ndim != 2 or 0 in self.scores.shape:
            raise DataError(f"results: scores: expected (N, classes), one sample or more, got {self.scores.shape}.")
        count, classes = self.scores.shape
        if not np.isfinite(self.scores).all():
            faults.append("scores: expected finite numbers")
        if self.labels is not None:
            if self.labels.shape != (count,):
                faults.append(f"labels: expected {count}, one a sample, got {self.labels.shape}")
            elif self.labels.min() < 0 or self.labels.max() >= classes:
                faults.append(f"labels: expected classes from 0 to {classes - 1}")
        if self.identifiers is not None and len(self.identifiers) != count:
            faults.append(f"identifiers: expected {count}, one a sample, got {len(self.identifiers)}")
        if faults:
            raise DataError("results: " + "; ".join(faults) + ".")


def read_results(path: str | os.PathLike[str]) -> Results:
    """The scores of a result file, with the labels and identifiers that it or the file beside it states.

    Raises:
        FormatError: it holds something else, is damaged, or the file beside it belongs to another one.
        DataError: it cannot be read.
    """
    source = Path(path)
    content = restricted_load(source)
    if not isinstance(content, list) or not content:
        what = "an empty list" if content == [] else f"a {type(content).__name__}"
        raise FormatError(f"{source}: holds {what}. {_EXPECTED}")
    faults: list[str] = []
    rows: list[NDArray[Any]] = []
    labels = []
    for number, entry in enumerate(content):
        row, label = _sample(entry)
        if row is None:
            faults.append(f"sample {number}: expected one array of scores, got {_description(entry)}")
        elif rows and row.shape != rows[0].shape:
            faults.append(f"sample {number}: {len(row)} scores, but sample 0 has {len(rows[0])}")
        else:
            rows.append(row)
        labels.append(label)
    if faults:
        raise FormatError(f"{source}: {listed(faults)}. {_EXPECTED}")
    known = np.array(labels, dtype=np.int64) if None not in labels else None
    beside, identifiers = _beside(source)
    if beside is not None and known is not None and not np.array_equal(beside, known):
        raise FormatError(f"{source.with_suffix('.json')}: its labels are not those of {source}. Remove one of them.")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is reported as such
        scores = np.stack(rows).astype(np.float32)
    try:
        return Results(scores=scores, labels=beside if known is None else known, identifiers=identifiers)
    except DataError as error:
        raise FormatError(f"{source}: {str(error).removeprefix('results: ')}") from error


_EXPECTED = "Expected a list with an array of scores a sample, or of dicts with pred_score."


def _sample(entry: Any) -> tuple[NDArray[Any] | None, int | None]:
    """The scores of an entry and its label, None for what it does not hold."""
    label = None
    if isinstance(entry, Mapping):
        label = _one_label(_item(entry, "gt_label"))
        entry = _item(entry, "pred_score")
    if not isinstance(entry, np.ndarray) or entry.ndim != 1 or entry.dtype.kind != "f" or not len(entry):
        return None, label
    return entry, label


def _item(entry: Mapping[Any, Any], name: str) -> Any:
    nested = entry.get(f"{name}s")
    return entry.get(name, nested.get("item") if isinstance(nested, Mapping) else None)


def _one_label(value: Any) -> int | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.size == 1:
        value = value.reshape(-1)[0]
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return int(value) if whole and abs(int(value)) < LARGEST_LABEL else None


def _description(entry: Any) -> str:
    if isinstance(entry, np.ndarray):
        several = " (scores of every clip: average them first)" if entry.ndim == 2 else ""
        return f"{entry.dtype} {entry.shape}{several}"
    if isinstance(entry, Mapping):
        return f"a dict of {', '.join(shown(key) for key in list(entry)[:8]) or 'nothing'}"
    return f"a {type(entry).__name__}"


def _beside(source: Path) -> tuple[NDArray[np.int64] | None, tuple[str, ...] | None]:
    """Labels and identifiers in the file beside a result file, if there is one of ours.

    Raises:
        FormatError: it belongs to another result file, or is damaged.
    """
    path = source.with_suffix(".json")
    if not path.is_file():
        return None, None
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return None, None
    if content.get("sha256") != sha256(source):
        raise FormatError(
            f"{path}: belongs to another result file than {source}: its sha256 differs. Remove it, or make both again."
        )
    identifiers, labels = content.get("identifiers"), content.get("labels")
    if not isinstance(identifiers, list) or not all(isinstance(name, str) for name in identifiers):
        raise FormatError(f"{path}: identifiers: expected a list of names.")
    if labels is None:
        return None, tuple(identifiers)
    if not isinstance(labels, list) or not all(type(label) is int and abs(label) < LARGEST_LABEL for label in labels):
        raise FormatError(f"{path}: labels: expected a list of class numbers.")
    return np.array(labels, dtype=np.int64), tuple(identifiers)


def write_results(
    results: Results, path: str | os.PathLike[str], *, form: ResultForm = "0.x", overwrite: bool = False
) -> None:
    """Writes a result file, and identifiers and labels, where they are known, into NAME.json beside it.

    Raises:
        ConfigError: a file exists and `overwrite` is false.
        DataError: it cannot be written, or is called .json itself.
    """
    target = Path(path)
    beside = target.with_suffix(".json")
    if target == beside:
        raise DataError(f"{target}: expected another ending than .json, such as result.pkl.")
    for file in (target, beside):
        refuse_existing(file, overwrite)
    rows = list(results.scores.astype(np.float32))
    write_pickle(rows if form == "0.x" else _with_tensors(rows, results.labels), target)
    if results.identifiers is None:
        beside.unlink(missing_ok=True)
        return
    facts = {
        "format": FORMAT,
        "sha256": sha256(target),
        "identifiers": list(results.identifiers),
        "labels": None if results.labels is None else results.labels.tolist(),
    }
    with atomic_path(beside) as temporary:
        temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _with_tensors(rows: Sequence[NDArray[np.float32]], labels: NDArray[np.int64] | None) -> list[dict[str, Any]]:
    import torch

    samples: list[dict[str, Any]] = [{"pred_score": torch.from_numpy(row.copy())} for row in rows]
    for sample, label in zip(samples, () if labels is None else labels.tolist(), strict=False):
        sample["gt_label"] = torch.tensor([label])
    return samples
