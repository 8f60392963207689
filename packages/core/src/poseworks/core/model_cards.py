"""Model cards: what every variant is, may be used for and claims, and where its file is. Torch is not imported."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, NonNegativeInt, ValidationError

from poseworks.core.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from rich.table import Table


class ModelCard(BaseModel, frozen=True, extra="forbid"):
    """One variant of a method, as the verb ``models`` lists it.

    Attributes:
        kind: ``shipped`` comes with the package; ``published`` is the authors' file, which the user fetches.
        size_bytes: of the file; None where it is not stated.
        training_data: the sets, with what they may be used for where that binds.
        claim: the accuracy that its makers state, with the set and the unit; "" where none.
        file: a shipped model's folder, or the name (or relative path) under which a published one is looked for.
        how_to_get: for a published one: the page that offers it and what to put where.
        sha256: of the weights; None where it is not stated.
    """

    name: str
    method: str
    kind: Literal["shipped", "published"]
    licence: str
    training_data: str
    claim: str
    file: str
    parameters: NonNegativeInt | None = None
    size_bytes: NonNegativeInt | None = None
    how_to_get: str = ""
    note: str = ""
    sha256: str | None = None

    def path(self) -> Path | None:
        """Where the file or folder is on this machine; None if it is not here."""
        if self.kind == "shipped":
            return Path(self.file) if Path(self.file).exists() else None
        return find_weights(self.file)

    def where(self) -> str:
        """The path, or how to get the file."""
        path = self.path()
        return str(path) if path is not None else f"not here: {self.how_to_get or f'looked for {self.file}'}"


def find_weights(file_name: str) -> Path | None:
    """The file of this name (or relative path) in the folders that POSEWORKS_WEIGHTS lists, or None.

    Raises:
        ConfigError: the variable names something that is no folder.
    """
    name = Path(file_name)
    if name.is_absolute() or ".." in name.parts:
        return None
    for text in filter(None, os.environ.get("POSEWORKS_WEIGHTS", "").split(os.pathsep)):
        folder = Path(text).expanduser()
        if not folder.is_dir():
            raise ConfigError(
                f"POSEWORKS_WEIGHTS: {text} is not a folder. List existing folders, split by {os.pathsep}."
            )
        if (folder / name).is_file():
            return folder / name
    return None


def shipped_models(home: Path) -> tuple[str, ...]:
    """Names of the saved models in a package's folder of weights, one folder each; none where there is no folder."""
    if not home.is_dir():
        return ()
    return tuple(sorted(folder.name for folder in home.iterdir() if (folder / "model.safetensors").is_file()))


def locate_model(
    source: str | os.PathLike[str], home: Path, published: Callable[[], Iterable[ModelCard]], command: str
) -> Path:
    """The folder or file that a name or a path stands for.

    Args:
        source: a shipped name, a path, a published name, or a file's name in a folder of POSEWORKS_WEIGHTS.
        home: the package's folder of weights.
        published: the cards of the variants that others published; asked for where nothing else fits.
        command: the package's command, for the error.

    Raises:
        CheckpointError: nothing is found; for a published name it says how to get the file.
    """
    name = os.fspath(source)
    if name in shipped_models(home):
        return home / name
    if Path(name).exists():
        return Path(name)
    known = next((card for card in published() if card.name == name), None)
    found = find_weights(known.file if known else name)
    if found is not None:
        return found
    if known is not None:
        raise CheckpointError(f"{name}: not here; {known.how_to_get}.")
    raise CheckpointError(
        f"{name}: no such file or folder, and no model of this name. Shipped: "
        f"{', '.join(shipped_models(home)) or 'none'}. Published ones are listed by `{command} models`."
    )


def shipped_card(folder: str | os.PathLike[str]) -> ModelCard:
    """The card of a folder that `save_model` wrote with ``extras={"card": {...}}``; it adds what the files tell.

    Raises:
        CheckpointError: config.json is missing, or its card lacks or misspells something.
    """
    home = Path(folder)
    try:
        content = json.loads((home / "config.json").read_text(encoding="utf-8"))
        size = (home / "model.safetensors").stat().st_size
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: not a saved model ({error}).") from error
    card = content.get("card") if isinstance(content, dict) else None
    if not isinstance(card, dict):
        raise CheckpointError(f"{home / 'config.json'}: has no entry card.")
    known = {"name": home.name, "kind": "shipped", "sha256": content.get("model_sha256")}
    try:
        return ModelCard(**{**known, **card, "file": str(home), "size_bytes": size})
    except ValidationError as error:
        from poseworks.core.config import describe_faults

        faults = "; ".join(describe_faults(error, ModelCard))
        raise CheckpointError(f"{home / 'config.json'}: card: {faults}.") from error


@dataclass(frozen=True)
class ModelLibrary:
    """The weights of a package: its own, a folder each in ``weights``, and those that others published.

    Attributes:
        package: its import name.
        published: the cards of what others published.
    """

    package: str
    published: Callable[[], list[ModelCard]]

    @property
    def folder(self) -> Path:
        """The folder of the package's own weights."""
        return Path(str(resources.files(self.package))) / "weights"

    def shipped(self) -> tuple[str, ...]:
        """Names of the weights that come with the package."""
        return shipped_models(self.folder)

    def cards(self) -> list[ModelCard]:
        """A card for every variant, the shipped ones first.

        Raises:
            CheckpointError: a shipped folder is damaged.
        """
        return [shipped_card(self.folder / name) for name in self.shipped()] + self.published()

    def locate(self, source: str | os.PathLike[str]) -> Path:
        """As `locate_model`."""
        command = self.package.replace(".", "-").replace("_", "-")
        return locate_model(source, self.folder, self.published, command)


def cards_json(cards: Iterable[ModelCard]) -> dict[str, Any]:
    """The cards for ``--json``: each with `where` and `available`."""
    return {
        "models": [
            {**card.model_dump(mode="json"), "where": card.where(), "available": card.path() is not None}
            for card in cards
        ]
    }


def cards_table(cards: Iterable[ModelCard], title: str = "") -> Table:
    """The cards as a table for people."""
    from poseworks.core.cli import make_table

    rows = [
        (
            card.name,
            card.method,
            _count(card.parameters),
            _bytes(card.size_bytes),
            card.licence,
            card.training_data,
            card.claim or "-",
            card.where() + (f" ({card.note})" if card.note else ""),
        )
        for card in cards
    ]
    columns = ("name", "method", "weights", "size", "licence", "training data", "claim", "where")
    return make_table(title, columns, rows)


def _count(number: int | None) -> str:
    if number is None:
        return "-"
    return f"{number / 1e6:.2f} M" if number >= 1_000_000 else f"{number / 1e3:.1f} k"


def _bytes(number: int | None) -> str:
    if number is None:
        return "-"
    return f"{number / 1e6:.1f} MB" if number >= 1_000_000 else f"{number / 1e3:.0f} kB"
