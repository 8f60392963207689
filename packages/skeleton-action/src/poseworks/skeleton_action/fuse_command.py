"""The verb `fuse`: result files of several streams, added up with weights, and how often that is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.cli import make_table, print_result
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import atomic_path, refuse_existing
from poseworks.skeleton_action.annotation_files import read_annotations
from poseworks.skeleton_action.confusion_figure import confusion_figure
from poseworks.skeleton_action.fusion import fuse, held_out_scores, in_one_order, tune_weights
from poseworks.skeleton_action.metrics import confusion_matrix, measure
from poseworks.skeleton_action.results import ResultForm, Results, read_results, write_results


@dataclass(frozen=True)
class FuseOptions:
    """The command line.

    Attributes:
        weights: one a file; empty: 1 each.
        tune: the weights are those that are right most often.
        annotations, split: the data set that the files are of, for labels and order where they do not say.
        output, form: a result file.
        confusion: an SVG figure.
    """

    weights: Sequence[float]
    tune: bool
    annotations: Path | None
    split: str | None
    output: Path | None
    form: ResultForm
    confusion: Path | None
    overwrite: bool


def run_fuse(files: Sequence[Path], options: FuseOptions, *, json: bool, quiet: bool) -> None:
    """Fuses, measures where the classes are known, writes and prints.

    Raises:
        ConfigError: options that contradict one another, or an output exists.
        DataError: the files are of different recordings. FormatError: one of them is no result file.
    """
    _check(files, options)
    results = [read_results(file) for file in files]
    notes: list[str] = []
    identifiers = _identifiers(files, results, options, notes)
    labels = _labels(files, results, identifiers, options)
    streams = in_one_order([result.scores for result in results], identifiers)
    names = next((found for found in identifiers if found is not None), None)
    weights: Sequence[float] = options.weights or [1.0] * len(files)
    if options.tune:
        if labels is None:
            raise ConfigError("--tune: the true classes are not known. Name the data set: --annotations and --split.")
        weights = tune_weights(streams, labels)
    fused = fuse(streams, weights)
    facts: dict[str, Any] = {"inputs": list(files), "weights": list(weights), "recordings": len(fused)}
    if labels is not None:
        rows = {str(file): measure(stream, labels) for file, stream in zip(files, streams, strict=True)}
        rows["fused"] = measure(fused, labels)
        if options.tune:
            rows["fused, each half with weights tuned on the other"] = measure(held_out_scores(streams, labels), labels)
        facts["accuracy"] = rows
    facts["notes"] = notes
    if options.output is not None:
        whole = Results(
            scores=(fused / sum(weights)).astype(np.float32), labels=labels, identifiers=tuple(names) if names else None
        )
        write_results(whole, options.output, form=options.form, overwrite=options.overwrite)
        facts["output"] = options.output
    if options.confusion is not None and labels is not None:
        figure = confusion_figure(confusion_matrix(fused, labels), title="Fused", note=f"weights {_spoken(weights)}")
        with atomic_path(options.confusion) as path:
            path.write_text(figure, encoding="utf-8")
        facts["confusion"] = options.confusion
    print_result(facts, json=json, text=_text(facts), quiet=quiet)


def _check(files: Sequence[Path], options: FuseOptions) -> None:
    if not files:
        raise ConfigError("fuse: name the result files of one or more streams.")
    if options.tune and options.weights:
        raise ConfigError("--tune: chooses the weights itself. Leave --weights out.")
    if options.split is not None and options.annotations is None:
        raise ConfigError("--split: belongs to a data set. Name it with --annotations.")
    for path in (options.output, options.confusion):
        if path is not None:
            refuse_existing(path, options.overwrite)


def _identifiers(
    files: Sequence[Path], results: Sequence[Results], options: FuseOptions, notes: list[str]
) -> list[Sequence[str] | None]:
    """The recordings of each file by name; those of files that do not say, in the order of the data set."""
    found: list[Sequence[str] | None] = [result.identifiers for result in results]
    silent = [str(file) for file, names in zip(files, found, strict=True) if names is None]
    if not silent:
        return found
    if options.annotations is None:
        if len(files) > 1:
            notes.append(
                f"the order of the recordings could not be checked: {', '.join(silent)} names none. It is taken to be "
                "the same"
            )
        return found
    names = tuple(annotation.identifier for annotation in read_annotations(options.annotations, options.split))
    for file, result in zip(files, results, strict=True):
        if result.identifiers is None and len(result.scores) != len(names):
            raise DataError(
                f"{file}: {len(result.scores)} recordings, but {options.annotations} has {len(names)}. State the split "
                "that was tested: --split."
            )
    notes.append(f"{', '.join(silent)}: taken to be in the order of {options.annotations}")
    return [names if own is None else own for own in found]


def _labels(
    files: Sequence[Path],
    results: Sequence[Results],
    identifiers: Sequence[Sequence[str] | None],
    options: FuseOptions,
) -> NDArray[np.int64] | None:
    """True classes in the order of the fused scores, None where nothing says.

    Raises:
        DataError: two files say otherwise, or a recording of the data set has no label.
    """
    known = [place for place, result in enumerate(results) if result.labels is not None]
    if not known and options.annotations is None:
        return None
    if not known:
        annotations = read_annotations(options.annotations or "", options.split)
        unlabelled = [annotation.identifier for annotation in annotations if annotation.label is None]
        if unlabelled:
            raise DataError(f"{options.annotations}: {len(unlabelled)} have no label, such as {unlabelled[0]!r}.")
        labels = np.array([annotation.label for annotation in annotations], dtype=np.int64)
        names = [annotation.identifier for annotation in annotations]
        first = next(own for own in identifiers if own is not None)
        return in_one_order([np.arange(len(first)), labels], [first, names])[1]
    # Rows of the files that do not say stand in, so that all are brought into the order of the first named file.
    rows = [result.labels if result.labels is not None else np.zeros(len(result.scores)) for result in results]
    ordered = in_one_order(rows, identifiers)
    for place in known[1:]:
        wrong = np.flatnonzero(ordered[place] != ordered[known[0]])
        if len(wrong):
            raise DataError(
                f"{files[known[0]]} and {files[place]} state other classes for {len(wrong)} recordings, the first in "
                f"row {wrong[0]}. They are of different recordings, or in another order."
            )
    return ordered[known[0]]


def _spoken(weights: Sequence[float]) -> str:
    return " : ".join(f"{weight:g}" for weight in weights)


def _text(facts: dict[str, Any]) -> list[Any]:
    parts: list[Any] = [f"weights {_spoken(facts['weights'])}; {facts['recordings']:,} recordings"]
    if "accuracy" in facts:
        columns = list(facts["accuracy"]["fused"])
        rows = [
            (name, *(f"{100 * value[column]:.2f}" for column in columns)) for name, value in facts["accuracy"].items()
        ]
        parts.append(make_table("accuracy, %", ("", *(column.replace("_", " ") for column in columns)), rows))
    parts += [f"{name}: {facts[name]}" for name in ("output", "confusion") if name in facts]
    return [*parts, *(f"Note: {note}." for note in facts["notes"])]
