"""The bodies of verbs that are the same in every package: models, convert, export. Torch comes in with `load`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from poseworks.core.cli import print_result
from poseworks.core.errors import ConfigError
from poseworks.core.files import refuse_existing
from poseworks.core.model_cards import ModelCard, cards_json, cards_table


def show_models(cards: Iterable[ModelCard], *, json: bool, quiet: bool) -> None:
    """Prints the cards, those of shipped weights first."""
    listed = list(cards)
    titles = (("shipped", "Shipped"), ("published", "Published, fetched by you"))
    groups = [(title, [card for card in listed if card.kind == kind]) for kind, title in titles]
    text = [cards_table(group, title) for title, group in groups if group]
    print_result(cards_json(listed), json=json, text=text, quiet=quiet)


def convert_checkpoint(
    file: Path,
    output: Path,
    load: Callable[[], Any],
    save: Callable[..., None],
    *,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Writes an original checkpoint as a folder of ours and prints what it was."""
    refuse_existing(output, overwrite)
    network = load()
    save(network, output, overwrite=overwrite)
    facts = {"input": file, "output": output, "config": network.config, "sha256": network.sha256}
    print_result(facts, json=json, text=f"{file} -> {output}", quiet=quiet)


def export_model(
    output: Path,
    load: Callable[[], Any],
    export_onnx: Callable[..., Any],
    *,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Writes a model as ONNX and prints how it was verified.

    Raises:
        ConfigError: the output does not end in .onnx, or exists.
    """
    if output.suffix.lower() != ".onnx":
        raise ConfigError(f"{output}: expected a name that ends in .onnx, such as -o model.onnx.")
    refuse_existing(output, overwrite)
    print_result(export_onnx(load(), output, overwrite=overwrite), json=json, quiet=quiet)
