"""Which weights exist: those that come with this package, and those that others published. Torch is not imported."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from poseworks.core.model_cards import ModelCard, shipped_card
from poseworks.core.model_cards import shipped_models as _shipped_models
from poseworks.temporal.published import Claim, Published, published_weights


def weights_folder() -> Path:
    """The folder of this package's own weights, one folder a model."""
    return Path(str(resources.files("poseworks.temporal"))) / "weights"


def shipped_models() -> tuple[str, ...]:
    """Names of the weights that come with this package."""
    return _shipped_models(weights_folder())


def model_cards() -> list[ModelCard]:
    """A card for every variant, the shipped ones first.

    Raises:
        CheckpointError: a shipped folder is damaged.
    """
    shipped = [_shipped_card(weights_folder() / name) for name in shipped_models()]
    return shipped + published_cards()


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


def _shipped_card(folder: Path) -> ModelCard:
    """The card in config.json; without one, what the files tell."""
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if "card" in content:
        return shipped_card(folder)
    return ModelCard(
        name=folder.name,
        method="SmoothNet" if content["config"]["kind"] == "smoothnet" else "DeciWatch",
        kind="shipped",
        licence="Apache-2.0",
        training_data=f"see {folder.name}/README.md",
        claim="",
        file=str(folder),
        size_bytes=(folder / "model.safetensors").stat().st_size,
        sha256=content.get("model_sha256"),
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
