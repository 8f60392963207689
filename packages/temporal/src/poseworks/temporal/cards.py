"""A card for every model of this package: the shipped ones from their folders, the published ones from their tables."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from poseworks.core.errors import CheckpointError
from poseworks.core.model_cards import ModelCard, shipped_card
from poseworks.temporal.published import Published, published_weights

METHODS = {"smoothnet": "SmoothNet", "deciwatch": "DeciWatch"}


def model_cards() -> tuple[ModelCard, ...]:
    """Shipped models first, then the published ones. Torch is not imported."""
    home = Path(str(resources.files("poseworks.temporal"))) / "weights"
    folders = sorted(home.iterdir()) if home.is_dir() else []
    shipped = [_shipped(folder) for folder in folders if (folder / "model.safetensors").is_file()]
    return (*shipped, *(_published(entry) for entry in published_weights().values()))


def _shipped(folder: Path) -> ModelCard:
    """The card in config.json; without one, what the files tell."""
    try:
        return shipped_card(folder)
    except CheckpointError:
        content: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return ModelCard(
            name=folder.name,
            method=METHODS.get(str(content.get("config", {}).get("kind")), "?"),
            kind="shipped",
            licence="Apache-2.0",
            training_data="see README.md in its folder",
            claim="see README.md in its folder",
            file=str(folder),
            size_bytes=(folder / "model.safetensors").stat().st_size,
            sha256=content.get("model_sha256"),
        )


def _published(entry: Published) -> ModelCard:
    """The card of a published file, with the first of its claims."""
    claims = [f"{c.data} {c.measure} {c.before:g} -> {c.after:g}" for c in entry.claims[:2]]
    more = len(entry.claims) - len(claims)
    return ModelCard(
        name=entry.name,
        method=METHODS[entry.method],
        kind="published",
        licence=entry.licence,
        training_data=entry.training_data,
        claim="; ".join(claims) + (f" and {more} more rows" if more > 0 else ""),
        file=entry.file,
        parameters=entry.parameters,
        how_to_get=f"fetch {entry.file} from the {entry.origin}'s authors and put its folder into POSEWORKS_WEIGHTS",
        note=entry.note,
    )
