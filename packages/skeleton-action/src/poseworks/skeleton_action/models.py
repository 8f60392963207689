"""Which weights exist: those that come with this package, and those that others published. Torch is not imported."""

from __future__ import annotations

from poseworks.core.model_cards import ModelCard, ModelLibrary
from poseworks.skeleton_action.published import LICENCE, PAGE, Published, published_weights


def published_cards() -> list[ModelCard]:
    """The cards of what others published."""
    return [_published_card(entry) for entry in published_weights().values()]


def _published_card(entry: Published) -> ModelCard:
    return ModelCard(
        name=entry.name,
        method=f"PoseC3D SlowOnly-R50, {entry.stream}s",
        kind="published",
        licence=LICENCE,
        training_data=entry.training_data,
        claim=entry.claim,
        file=entry.file,
        parameters=entry.parameters,
        how_to_get=f"from the model table of {PAGE}: give the path, or put it into a folder of POSEWORKS_WEIGHTS as "
        f"{entry.file}",
        note=entry.note,
    )


LIBRARY = ModelLibrary("poseworks.skeleton_action", published_cards)
shipped_models, model_cards = LIBRARY.shipped, LIBRARY.cards
