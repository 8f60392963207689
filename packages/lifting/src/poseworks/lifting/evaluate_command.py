"""The verb `evaluate`: a network by the published protocol of its kind, on the data that were published with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poseworks.core.cli import choose_device, make_table, print_result, to_json
from poseworks.core.errors import ConfigError
from poseworks.core.progress import progress
from poseworks.lifting.ehgformer import EHGFormer
from poseworks.lifting.lcn import LCN
from poseworks.lifting.learning.h36m_files.reading import Mode
from poseworks.lifting.learning.published_evaluation import (
    Comparison,
    Protocol,
    choose_protocol,
    labels_of,
    measure_ehgformer,
    measure_lcn,
)
from poseworks.lifting.loading import load


@dataclass(frozen=True)
class Options:
    """The command line; None where nothing was said."""

    protocol: Protocol | None
    data: Path | None
    flip: bool | None
    mode: Mode | None
    procrustes: bool
    per_joint: bool
    static: bool | None
    gt_2d: bool
    device: str


def run_evaluate(model: str, loading: Mapping[str, Any], options: Options, *, json: bool, quiet: bool) -> None:
    """Measures and prints.

    Raises:
        ConfigError: an option belongs to the other protocol, or contradicts a published name.
        PoseworksError: as `load`, `measure_lcn` and `measure_ehgformer`.
    """
    network = load(model, **loading)
    protocol = choose_protocol(network, options.protocol)
    _refuse_strangers(protocol, options)
    network.to(choose_device(options.device))
    with progress(None, f"evaluate {protocol}", quiet=quiet or json) as advance:
        if isinstance(network, LCN):
            results = [
                measure_lcn(
                    network, options.data, mode=options.mode or "gt", flip=bool(options.flip),
                    procrustes=options.procrustes, per_joint=options.per_joint, advance=advance,
                )
            ]  # fmt: skip
        else:
            assert isinstance(network, EHGFormer)
            results = measure_ehgformer(
                network, options.data, static=_static(model, options.static), flip=options.flip is not False,
                gt_2d=options.gt_2d, advance=advance,
            )  # fmt: skip
    facts: dict[str, Any] = {"model": model, "sha256": network.sha256}
    if len(results) == 1:
        facts |= vars(results[0])
    else:
        facts |= {"labels": None, **{result.settings["labels"]: result for result in results}}
    text = [part for result in results for part in _text(model, result)]
    if len(results) > 1:
        text.append(
            "The file does not tell which of the two labels it was trained with; state it: --static or --dynamic."
        )
    print_result(facts, json=json, text=text, quiet=quiet)


def _refuse_strangers(protocol: Protocol, options: Options) -> None:
    """Nothing, unless an option belongs to the other protocol."""
    lcn = {"--mode": options.mode, "--procrustes": options.procrustes, "--per-joint": options.per_joint}
    ehgformer = {"--static": options.static, "--gt-2d": options.gt_2d}
    if options.static is False:
        ehgformer["--dynamic"] = True
    strangers = lcn if protocol == "ehgformer" else ehgformer
    given = [name for name, value in strangers.items() if value]
    if given:
        raise ConfigError(f"{', '.join(given)}: not of the protocol {protocol}, which this network is measured by.")


def _static(model: str, stated: bool | None) -> bool | None:
    """Whether labels were static, as the command line or a published name says; None if neither does."""
    known = labels_of(model)
    if known is not None and stated is not None and known != stated:
        raise ConfigError(f"{model}: was published as {'static' if known else 'dynamic'}. Leave the option out.")
    return known if stated is None else stated


def _text(model: str, result: Comparison) -> list[Any]:
    """Tables and remarks for people."""
    settings = ", ".join(f"{name} {to_json(value)}" for name, value in result.settings.items())
    parts = [
        make_table(f"{model}, protocol {result.protocol}", ("", "P1 mm", "P2 mm", "frames"), result.table()),
        f"{settings}. {result.frames:,} of {result.frames_in_file:,} frames counted.",
        f"Protocol: {result.definition}.",
    ]
    if result.empty_actions:
        parts.append(f"No frame of {', '.join(result.empty_actions)}: the published mean is NaN then.")
    claims = [(f"{claim.variant}, claimed", f"{claim.p1:8.2f}") for claim in result.claims]
    if claims:
        parts.append(make_table("Beside the claim", ("", "P1 mm"), [("ours", f"{result.p1:8.2f}"), *claims]))
    else:
        parts.append("Nothing was claimed for a network of these sizes.")
    return parts
