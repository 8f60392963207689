"""Which weights exist: those that come with this package, and those that others published. Torch is not imported."""

from __future__ import annotations

from poseworks.core.model_cards import ModelCard, ModelLibrary
from poseworks.lifting.published import LICENCE, Published, published_weights


def published_cards() -> list[ModelCard]:
    """The cards of what others published."""
    return [_published_card(entry) for entry in published_weights().values()]


def _published_card(entry: Published) -> ModelCard:
    what = "its variables, saved under their TensorFlow names," if entry.method == "LCN" else "its checkpoint"
    return ModelCard(
        name=entry.name,
        method=entry.method,
        kind="published",
        licence=LICENCE,
        training_data=entry.training_data,
        claim=entry.claim,
        file=entry.file,
        parameters=entry.parameters,
        how_to_get=f"from its authors: give the path, or put {what} as {entry.file} into a folder of POSEWORKS_WEIGHTS",
        note=entry.note,
    )


LIBRARY = ModelLibrary("poseworks.lifting", published_cards)
shipped_models, model_cards = LIBRARY.shipped, LIBRARY.cards
