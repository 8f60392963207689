"""Which weights exist: those that come with this package, and those that others published. Torch is not imported."""

from __future__ import annotations

from poseworks.core.model_cards import ModelCard, ModelLibrary
from poseworks.mesh_recovery.published import LICENCE, Published, published_weights


def published_cards() -> list[ModelCard]:
    """The cards of what others published."""
    return [_published_card(entry) for entry in published_weights().values()]


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


LIBRARY = ModelLibrary("poseworks.mesh_recovery", published_cards)
shipped_models, model_cards = LIBRARY.shipped, LIBRARY.cards
