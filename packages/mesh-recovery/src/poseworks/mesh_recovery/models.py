"""Which weights exist: those that come with this package, and those that others published. Torch is not imported."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from poseworks.core import model_cards as cards
from poseworks.core.model_cards import ModelCard, shipped_card
from poseworks.mesh_recovery.published import LICENCE, Published, published_weights


def weights_folder() -> Path:
    """The folder of this package's own weights, one folder a model."""
    return Path(str(resources.files("poseworks.mesh_recovery"))) / "weights"


def shipped_models() -> tuple[str, ...]:
    """Names of the weights that come with this package."""
    return cards.shipped_models(weights_folder())


def published_cards() -> list[ModelCard]:
    """The cards of what others published."""
    return [_published_card(entry) for entry in published_weights().values()]


def model_cards() -> list[ModelCard]:
    """A card for every variant, the shipped ones first.

    Raises:
        CheckpointError: a shipped folder is damaged.
    """
    return [shipped_card(weights_folder() / name) for name in shipped_models()] + published_cards()


def _published_card(entry: Published) -> ModelCard:
    return ModelCard(
        name=entry.name,
        method=entry.method,
        kind="published",
        licence=LICENCE,
        training_data=entry.training_data,
        claim=entry.claim,
        file=entry.file,
        parameters=entry.parameters,
        how_to_get=f"from its authors: give the path, or put the checkpoint as {entry.file} into a folder of "
        "POSEWORKS_WEIGHTS",
        note=entry.note,
    )
