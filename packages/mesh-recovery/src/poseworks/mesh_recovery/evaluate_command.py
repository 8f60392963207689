"""The verb `evaluate`: a network by a published protocol, on data in the published layout, beside what was claimed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poseworks.core.cli import choose_device, make_table, print_result
from poseworks.core.progress import progress
from poseworks.mesh_recovery.evaluation import (
    Errors,
    Evaluation,
    ProtocolName,
    choose_protocol,
    evaluate,
    read_evaluation_data,
    usual_body,
)
from poseworks.mesh_recovery.evaluation.bodies import TrueGender
from poseworks.mesh_recovery.loading import load


@dataclass(frozen=True)
class Options:
    """The command line; None where nothing was said."""

    data: Path
    pictures: Path | None
    body: str | None
    mesh: Path | None
    protocol: ProtocolName | None
    true_gender: TrueGender
    per_joint: bool
    batch: int
    device: str


def run_evaluate(model: str, options: Options, *, json: bool, quiet: bool) -> None:
    """Measures and prints.

    Raises:
        PoseworksError: as `load`, `read_evaluation_data`, `choose_protocol` and `evaluate`.
    """
    data = read_evaluation_data(options.data)
    protocol = choose_protocol(data, options.protocol)
    body = options.body or usual_body(protocol)
    network = load(model, mesh=options.mesh, body=body, spare=True)
    network.to(choose_device(options.device))
    with progress(len(data), f"evaluate {protocol.name}", quiet=quiet or json) as advance:
        result = evaluate(
            network, data, protocol, body=body, pictures=options.pictures, true_gender=options.true_gender,
            batch=options.batch, name=model, advance=advance,
        )  # fmt: skip
    facts: dict[str, Any] = {"model": model, "sha256": network.sha256, **vars(result)}
    print_result(facts, json=json, text=_text(model, result, options.per_joint), quiet=quiet)


def _text(model: str, result: Evaluation, per_joint: bool) -> list[Any]:
    """Tables and remarks for people."""
    columns = ("", "MPJPE mm", "PA-MPJPE mm", "PVE mm", "PVE from root mm", "PCK 150 mm", "AUC", "Accel mm")
    parts: list[Any] = [
        make_table(f"{model}, protocol {result.protocol}", columns, [_row(each) for each in result.errors])
    ]
    if per_joint:
        for each in result.errors:
            rows = [(joint.joint, joint.mpjpe_mm, joint.pa_mpjpe_mm) for joint in each.joints]
            parts.append(make_table(f"Joints of the {each.output}", ("joint", "MPJPE mm", "PA-MPJPE mm"), rows))
    gender = "" if result.true_gender is None else f" Gender of the truth: {result.true_gender}."
    parts.append(f"{result.pictures_counted:,} of {result.pictures_in_file:,} pictures counted.")
    parts.append(
        f"Protocol: {result.definition}. Body of the prediction: {result.body}.{gender} Boxes: {result.boxes}. "
        f"Crop: {result.crop}."
    )
    if result.claims:
        ours = [(f"ours, {each.output}", each.pa_mpjpe_mm, each.mpjpe_mm) for each in result.errors]
        claimed = [(f"{claim.variant}, claimed", claim.pa_mpjpe_mm, claim.mpjpe_mm) for claim in result.claims]
        parts.append(make_table("Beside the claim", ("", "PA-MPJPE mm", "MPJPE mm"), [*ours, *claimed]))
    else:
        parts.append(
            "Nothing was claimed for this." if result.protocol == "pw3d" else "Claims are of 3DPW alone: no comparison."
        )
    return parts


def _row(errors: Errors) -> tuple[object, ...]:
    return (
        errors.output, errors.mpjpe_mm, errors.pa_mpjpe_mm, errors.pve_mm, errors.pve_root_mm, errors.pck_150mm,
        errors.auc, errors.accel_mm,
    )  # fmt: skip
