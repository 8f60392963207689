"""A network on a data set, from files to errors beside what was claimed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from poseworks.core.errors import ConfigError
from poseworks.core.progress import Advance
from poseworks.mesh_recovery.discriminator import Discriminator
from poseworks.mesh_recovery.evaluation.bodies import Joints, TrueBodies, TrueGender, predicted_body
from poseworks.mesh_recovery.evaluation.data import EvaluationData, crop_batches, picture_folder
from poseworks.mesh_recovery.evaluation.measuring import Errors, Predict, Truth, measure, predictor
from poseworks.mesh_recovery.evaluation.protocols import Protocol
from poseworks.mesh_recovery.inspection import same_sizes
from poseworks.mesh_recovery.loading import Network
from poseworks.mesh_recovery.published import Published, published_weights


@dataclass(frozen=True)
class Claim:
    """What the makers of a published variant state, in mm, by the protocol of 3DPW."""

    variant: str
    pa_mpjpe_mm: float
    mpjpe_mm: float | None


@dataclass(frozen=True)
class Evaluation:
    """Errors and all that a reader must know to compare them.

    Attributes:
        protocol, definition: what is counted.
        data: the file.
        layout: of it.
        boxes: where they come from.
        crop: how pictures are cropped.
        body: that predictions are posed with.
        true_gender: of the body of the truth: stated, neutral, or None where the truth is labels.
        pictures_in_file, pictures_counted: rows; those that lack what is counted are left out.
        errors: one entry an output of the network.
        claims: of the published variants that it may be.
    """

    protocol: str
    definition: str
    data: Path
    layout: str
    boxes: str
    crop: str
    body: str
    true_gender: str | None
    pictures_in_file: int
    pictures_counted: int
    errors: tuple[Errors, ...]
    claims: tuple[Claim, ...]


def evaluate(
    network: Network,
    data: EvaluationData,
    protocol: Protocol,
    *,
    body: str | os.PathLike[str] | None = None,
    pictures: Path | None = None,
    true_gender: TrueGender = "stated",
    batch: int = 32,
    name: str = "",
    predict: Predict | None = None,
    advance: Advance | None = None,
) -> Evaluation:
    """Errors of a network by a protocol, on the device that it is on.

    Args:
        network: from `load`.
        data: from `read_evaluation_data`.
        protocol: from `choose_protocol`.
        body: SMPL's files: a folder, which where the truth has genders holds a body of each, beside the regressors.
        pictures: the folder that paths of pictures start from; None: see `picture_folder`.
        true_gender: take the gender that the data state, or the neutral body for all.
        batch: pictures at a time.
        name: of the network, by which a published variant is known.
        predict: in place of the network's own answers; its preparation still crops the pictures.
        advance: called with the number of pictures that are done.

    Raises:
        ConfigError: the network, the data and the body do not go together.
        DataError, FormatError: files are missing or damaged.
    """
    if batch < 1:
        raise ConfigError(f"batch: expected 1 or more, got {batch}.")
    if isinstance(network, Discriminator):
        raise ConfigError(
            "the network is an adversary, which finds no body. Give the network that it was trained with."
        )
    trained_on = getattr(network.config, "body", "smpl")
    if trained_on != protocol.body:
        raise ConfigError(
            f"protocol {protocol.name}: defined on the {protocol.body} body, the network was trained on the "
            f"{trained_on} body: their numbers do not compare."
        )
    neutral = predicted_body(protocol, body)
    files = None if protocol.body == "free" or body is None else Path(body)
    joints = Joints(protocol, neutral, files)
    labels = protocol.truth == "labels"
    bodies = None if labels else TrueBodies(data, "free" if files is None else str(files), true_gender)
    truth = Truth(data, protocol, joints, bodies)
    folder = picture_folder(data, pictures)
    device = next(network.parameters()).device
    neutral.to(device)
    if bodies is not None:
        bodies.to(device)
    errors = measure(
        predict or predictor(network, neutral),
        crop_batches(data, truth.rows, folder, network.preparation, batch),
        truth,
        joints,
        data.pictures,
        device=device,
        advance=advance,
    )
    p = network.preparation
    return Evaluation(
        protocol=protocol.name,
        definition=protocol.definition("neutral" if true_gender == "neutral" else "stated gender's"),
        data=data.source,
        layout=data.layout,
        boxes=data.boxes,
        crop=f"{p.crop}, {p.size} x {p.size}",
        body=neutral.info.source or neutral.info.name,
        true_gender=None if labels or protocol.body == "free" else true_gender,
        pictures_in_file=len(data),
        pictures_counted=len(truth.rows),
        errors=tuple(errors),
        claims=claims(network, name) if protocol.name == "pw3d" else (),
    )


def claims(network: torch.nn.Module, name: str = "") -> tuple[Claim, ...]:
    """Of the published variant of this name; else of all that have the network's method and backbone."""
    known = published_weights()
    entries: list[Published] = [known[name]] if name in known else same_sizes(network)
    return tuple(Claim(entry.name, entry.claim_pa_mm, entry.claim_mm) for entry in entries)
