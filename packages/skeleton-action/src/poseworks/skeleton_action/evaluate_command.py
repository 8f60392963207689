"""The verb `evaluate`: a network by the published protocol on a split, beside what was claimed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from poseworks.core.cli import choose_device, make_table, print_result
from poseworks.core.errors import ConfigError
from poseworks.core.files import atomic_path, refuse_existing
from poseworks.core.progress import progress
from poseworks.skeleton_action.confusion_figure import confusion_figure
from poseworks.skeleton_action.learning.data_sets import SplitFile, class_names, find_split, read_split
from poseworks.skeleton_action.learning.evaluation import Scored, score_split
from poseworks.skeleton_action.learning.own_clips import EXERCISES
from poseworks.skeleton_action.learning.own_recipes import OwnActions
from poseworks.skeleton_action.learning.published_recipes import Claim, PublishedActions
from poseworks.skeleton_action.learning.recipes import Recipe, read_recipe
from poseworks.skeleton_action.loading import Network, load
from poseworks.skeleton_action.metric_names import Metric
from poseworks.skeleton_action.metrics import confusion_matrix, measure
from poseworks.skeleton_action.results import ResultForm, write_results
from poseworks.skeleton_action.views import PRESETS, Preset

_SHOWN = 5  # empty recordings that are named


@dataclass(frozen=True)
class EvaluateOptions:
    """The command line.

    Attributes:
        data: an annotation file, or folders as in POSEWORKS_DATA; None: that variable.
        split: instead of the recipe's test split.
        metrics: what is measured.
        out, form: a result file.
        confusion: an SVG figure.
        workers: processes that prepare samples.
    """

    data: Path | None
    split: str | None
    preset: Preset
    metrics: Sequence[Metric]
    out: Path | None
    form: ResultForm
    confusion: Path | None
    device: str
    workers: int
    overwrite: bool


def run_evaluate(config: str, checkpoint: str, options: EvaluateOptions, *, json: bool, quiet: bool) -> None:
    """Measures, writes and prints.

    Raises:
        ConfigError: the checkpoint is not of the recipe's network, or an output exists.
        PoseworksError: recipe, checkpoint or data cannot be read.
    """
    for path in (options.out, options.confusion):
        if path is not None:
            refuse_existing(path, options.overwrite)
    if options.workers < 0:
        raise ConfigError(f"--workers {options.workers}: expected 0 or more.")
    recipe = read_recipe(config)
    network = _load(checkpoint, recipe)
    where = _place(recipe, options)
    data = read_split(where, network.config.classes)
    views = PRESETS[options.preset]
    network.to(choose_device(options.device))
    with progress(len(data.annotations), "evaluate", quiet=quiet or json) as advance:
        scored = score_split(network, data.annotations, views, workers=options.workers, advance=advance)
    found = measure(scored.results.scores, scored.labels, options.metrics)
    facts: dict[str, Any] = {
        "recipe": recipe.name,
        "checkpoint": checkpoint,
        "sha256": network.sha256,
        "data": where.path,
        "split": where.split,
        "recordings": len(scored.results.scores),
        "frames": scored.frames,
        "preset": options.preset,
        "views": views.count,
        "accuracy": found,
        "claims": list(_claims(recipe)),
        "empty": list(scored.empty),
    }
    if options.out is not None:
        write_results(scored.results, options.out, form=options.form, overwrite=options.overwrite)
        facts["out"] = options.out
    if options.confusion is not None:
        classes = network.config.classes
        names = class_names(recipe.data, data, classes) if isinstance(recipe, PublishedActions) else data.label_names
        _draw(scored, names, f"{recipe.name} on {where.split or where.path.name}", options.confusion)
        facts["confusion"] = options.confusion
    print_result(facts, json=json, text=_text(facts), quiet=quiet)


def _place(recipe: Recipe, options: EvaluateOptions) -> SplitFile:
    """Where the split is.

    Raises:
        DataError: it is not there. ConfigError: it has to be named.
    """
    match recipe:
        case PublishedActions():
            return find_split(recipe.data, options.split or recipe.data.test, recipe.flavour, options.data)
        case OwnActions():
            if options.data is None:
                raise ConfigError(f"{recipe.name}: name an annotation file: --data benchmarks/data/{EXERCISES}.")
            path = options.data / EXERCISES if options.data.is_dir() else options.data
            return SplitFile(path, options.split or "test")
        case other:
            assert_never(other)


def _load(checkpoint: str, recipe: Recipe) -> Network:
    """The network, told what the recipe says of its volumes.

    Raises:
        ConfigError: it is another network than the recipe's, or was trained on other volumes.
    """
    own_data = False
    if isinstance(recipe, PublishedActions):
        own_data = recipe.data.set == "own"
        network = load(checkpoint, stream=recipe.stream, layout=recipe.layout)
        kept = {"temperature": network.preparation.temperature, "unknown": network.preparation.unknown}
        network.preparation = recipe.preparation(network.preparation.labels).model_copy(update=kept)
    else:
        network = load(checkpoint)
    left_out = {"dropout", "classes"} if own_data else {"dropout"}
    sizes, wanted = (config.model_dump(exclude=left_out) for config in (network.config, recipe.network))
    if sizes != wanted:
        raise ConfigError(f"{checkpoint}: has the sizes {sizes}, {recipe.name} {wanted}. Name the recipe that made it.")
    return network


def _claims(recipe: Recipe) -> Sequence[Claim]:
    return recipe.claims if isinstance(recipe, PublishedActions) else ()


def _draw(scored: Scored, names: Sequence[str], title: str, path: Path) -> None:
    counts = confusion_matrix(scored.results.scores, scored.labels)
    note = f"{len(scored.labels):,} recordings"
    with atomic_path(path) as temporary:
        temporary.write_text(confusion_figure(counts, names, title=title, note=note), encoding="utf-8")


def _text(facts: dict[str, Any]) -> list[Any]:
    """Tables and remarks for people."""
    split = f"split {facts['split']}" if facts["split"] else "all"
    rows = [(name.replace("_", " "), f"{100 * value:.2f}", "") for name, value in facts["accuracy"].items()]
    for claim in facts["claims"]:
        measured = "top1 accuracy" if claim.measure == "top_k_accuracy" else "mean class accuracy"
        fused = f" (with the other stream {claim.fused_percent:g})" if claim.fused_percent else ""
        rows.append((f"{measured}, claimed by {claim.source}{fused}", "", f"{claim.percent:.1f}"))
    parts = [
        make_table(f"{facts['checkpoint']}, {facts['recipe']}", ("%", "ours", "claimed"), rows),
        f"{facts['recordings']:,} recordings with {facts['frames']:,} frames counted: {split} of {facts['data']}.",
        f"Preset {facts['preset']}: {facts['views']} view{'s' * (facts['views'] > 1)} a recording."
        + ("" if facts["views"] == PRESETS["accurate"].count or not facts["claims"] else " Claims are for 20."),
    ]
    if not facts["claims"]:
        parts.append("Nothing was claimed for this recipe.")
    if facts["empty"]:
        some = ", ".join(facts["empty"][:_SHOWN])
        parts.append(f"Warning: nothing was drawn of {len(facts['empty'])} recordings, which say nothing: {some}.")
    return parts + [f"{name}: {facts[name]}" for name in ("out", "confusion") if name in facts]
