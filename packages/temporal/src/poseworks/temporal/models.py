"""Which weights exist: those that come with this package, and those that others published. Torch is not imported."""

from __future__ import annotations

from poseworks.core.model_cards import ModelCard, ModelLibrary
from poseworks.temporal.published import Claim, Published, published_weights


def published_cards() -> list[ModelCard]:
    """The cards of what others published."""
    return [_published_card(entry) for entry in published_weights().values()]


def how_to_get(entry: Published) -> str:
    """Where the file of a published variant comes from and goes to."""
    home = {
        "paper": "the paper's repository",
        "toolkit": "the mesh-recovery toolkit",
        "pose toolkit": "the pose toolkit",
    }
    return (
        f"fetch {entry.file} (trained on {entry.training_data}) from {home[entry.origin]}, then give its path, or put "
        "its folder into POSEWORKS_WEIGHTS"
    )


def _published_card(entry: Published) -> ModelCard:
    return ModelCard(
        name=entry.name,
        method="SmoothNet" if entry.method == "smoothnet" else "DeciWatch",
        kind="published",
        licence=entry.licence,
        training_data=entry.training_data,
        claim="; ".join(_claim(claim) for claim in entry.claims[:3]),
        file=entry.file,
        parameters=entry.parameters,
        how_to_get=how_to_get(entry),
        note=entry.note,
    )


def _claim(claim: Claim) -> str:
    """One number as text."""
    if claim.measure == "pck":
        return f"{claim.data}: {claim.before:g} -> {claim.after:g} %"
    names = {"mpjpe": "MPJPE", "pa_mpjpe": "PA-MPJPE", "accel": "Accel", "mpvpe": "MPVPE"}
    unit = "mm/frame^2" if claim.measure == "accel" else "mm"
    if " 2D" in claim.data:
        unit = unit.replace("mm", "px")
    return f"{claim.data} {names[claim.measure]} {claim.before:g} -> {claim.after:g} {unit}"


LIBRARY = ModelLibrary("poseworks.temporal", published_cards)
shipped_models, model_cards = LIBRARY.shipped, LIBRARY.cards
