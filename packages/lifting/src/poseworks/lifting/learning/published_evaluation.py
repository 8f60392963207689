"""A network by the protocol that its kind was published with, beside what was claimed.

There are two protocols, `lcn_protocol` and `ehgformer_protocol`, and their numbers do not compare: one counts the error
of the root and every frame, the other neither. A network is measured by the one of its own kind alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from torch import nn

from poseworks.core.errors import ConfigError
from poseworks.core.progress import Advance
from poseworks.lifting.ehgformer import EHGFormer
from poseworks.lifting.input_forms import PUBLISHED
from poseworks.lifting.lcn import LCN
from poseworks.lifting.learning.ehgformer_protocol import STEP, ask_clips, published_random, score_clips
from poseworks.lifting.learning.h36m_files.frames import EHGFormerFrames
from poseworks.lifting.learning.h36m_files.places import DETECTED_FILE, LCN_FILES, find_ehgformer, find_lcn
from poseworks.lifting.learning.h36m_files.reading import Mode, read_ehgformer, read_lcn, read_recordings
from poseworks.lifting.learning.lcn_protocol import LCNResult, evaluate_lcn
from poseworks.lifting.published import published_weights

Protocol = Literal["lcn", "ehgformer"]
Data = str | os.PathLike[str] | None

DEFINITIONS: dict[Protocol, str] = {
    "lcn": "camera frame, no root alignment, all frames; P2: similarity, reflection allowed; mean of 15 actions",
    "ehgformer": "relative to the root, every second frame, tails and three recordings of S9 left out; P2: similarity "
    "without reflection; mean of the actions",
}


@dataclass(frozen=True)
class Claim:
    """What was claimed for a published network of the same sizes and labels, in mm, by the same protocol."""

    variant: str
    p1: float


@dataclass(frozen=True)
class Comparison:
    """A measured table and the claims.

    Attributes:
        protocol: whose.
        definition: what it counts, in a few words.
        settings: mode or labels, flip.
        rows: name, p1, p2 and frames of each action or joint; None where there is none.
        p1, p2: mean over the actions in mm; NaN if one has no frame.
        p1_evaluated, p2_evaluated: mean over the actions that have frames.
        frames: that counted.
        frames_in_file: of the split.
        empty_actions: without a frame.
        claims: empty for a network of other sizes.
    """

    protocol: Protocol
    definition: str
    settings: dict[str, Any]
    rows: list[dict[str, Any]]
    p1: float
    p2: float | None
    p1_evaluated: float
    p2_evaluated: float | None
    frames: int
    frames_in_file: int
    empty_actions: tuple[str, ...]
    claims: list[Claim]

    def table(self) -> list[tuple[str, str, str, str]]:
        """Name, P1, P2, frames as text; the means last. NaN is shown as such."""
        entries = [(row["name"], row["p1"], row["p2"], row["frames"]) for row in self.rows]
        entries.append(("mean", self.p1, self.p2, self.frames))
        if self.empty_actions:
            entries.append(("mean of actions with frames", self.p1_evaluated, self.p2_evaluated, self.frames))
        return [(name, _mm(p1), _mm(p2), f"{frames:9,}") for name, p1, p2, frames in entries]


def _mm(value: float | None) -> str:
    return "-" if value is None else "     NaN" if math.isnan(value) else f"{value:8.2f}"


def choose_protocol(network: nn.Module, stated: Protocol | None = None) -> Protocol:
    """The protocol of the network's kind.

    Raises:
        ConfigError: `stated` is another one, there is none, or the network was made for another form of input.
    """
    if not isinstance(network, LCN | EHGFormer):
        raise ConfigError(f"{type(network).__name__}: no published protocol measures it.")
    own: Protocol = "lcn" if isinstance(network, LCN) else "ehgformer"
    if stated is not None and stated != own:
        raise ConfigError(
            f"--protocol {stated}: the network is an {type(network).__name__}, which was published with the protocol "
            f"{own}. The two protocols' numbers do not compare; measure it by --protocol {own}."
        )
    preparation = getattr(network, "preparation", PUBLISHED)
    if preparation.form != PUBLISHED.form:
        raise ConfigError(
            f"the network expects the input form {preparation.form!r}; the published protocols give it pixels scaled "
            "by the image. Our own weights are measured by `nox -s benchmark -- lifting`."
        )
    return own


def measure_lcn(
    network: LCN,
    data: Data = None,
    *,
    mode: Mode = "gt",
    flip: bool = False,
    procrustes: bool = False,
    per_joint: bool = False,
    advance: Advance | None = None,
) -> Comparison:
    """LCN's protocol.

    Args:
        data: folders as in POSEWORKS_DATA; None: that variable.
        mode: keypoints: the true projections, or those of the finetuned detector.
        flip: average with the mirrored answer.
        procrustes: protocol 2 as well.
        per_joint: rows are joints instead of actions.

    Raises:
        DataError: the data are not there. FormatError: they are damaged.
    """
    files = [LCN_FILES["test"], *([DETECTED_FILE] if mode == "dt_ft" else [])]
    frames = read_lcn(find_lcn(data, files), "test", mode)
    result: LCNResult = evaluate_lcn(network, frames, flip=flip, procrustes=procrustes, advance=advance)
    wanted = {"gt": "lcn-gt", "dt_ft": "lcn-sh"}[mode]
    return Comparison(
        "lcn",
        DEFINITIONS["lcn"],
        {"mode": mode, "flip": flip, "procrustes": procrustes, "per_joint": per_joint},
        [asdict(row) for row in (result.joints if per_joint else result.actions)],
        result.p1,
        result.p2,
        result.p1_evaluated,
        result.p2_evaluated,
        result.frames,
        len(frames),
        result.empty_actions,
        _claims(network, [wanted]),
    )


def measure_ehgformer(
    network: EHGFormer,
    data: Data = None,
    *,
    static: bool | None = None,
    flip: bool = True,
    gt_2d: bool = False,
    advance: Advance | None = None,
) -> list[Comparison]:
    """EHGFormer's protocol.

    Args:
        data: the source file, or folders as in POSEWORKS_DATA; None: that variable.
        static: trained with root-relative labels, or with the root's path; None: it is not known. Then there is a
            comparison for each, static first, of which the one for the other labels is void.
        flip: average with the mirrored answer, as published.
        gt_2d: x, y of the input take the place of the answer's.

    Raises:
        DataError: the data are not there, or too short for a clip. FormatError: they are damaged.
    """
    file = find_ehgformer(data)
    frames = read_ehgformer(file, "test")
    random = None
    if _has_short_recordings(frames, network.config.frames):  # stretched at random, after the training split's
        random = published_random(read_recordings(file, "train")[0], network.config.frames)
    answers, indices = ask_clips(network, frames, flip=flip, gt_2d=gt_2d, random=random, advance=advance)
    found = []
    for labels in (True, False) if static is None else (static,):
        result = score_clips(answers, indices, frames, static=labels)
        kinds = ("static",) if labels else ("dynamic", "distilled")
        settings = {
            "labels": "static" if labels else "dynamic", "flip": flip, "gt_2d": gt_2d, "clips": result.clips,
            "clips_blocked": result.clips_blocked,
        }  # fmt: skip
        rows = [{"name": row.action, "p1": row.p1, "p2": row.p2, "frames": row.frames} for row in result.rows]
        claims = _claims(network, [f"ehgformer-{kind}-p{partition}" for kind in kinds for partition in (1, 2)])
        found.append(
            Comparison(
                "ehgformer", DEFINITIONS["ehgformer"], settings, rows, result.p1, result.p2, result.p1_evaluated,
                result.p2_evaluated, result.frames, result.frames_in_file, result.empty_actions, claims,
            )
        )  # fmt: skip
    return found


def _has_short_recordings(frames: EHGFormerFrames, n: int) -> bool:
    recording = frames.recording[::STEP]
    ends = np.flatnonzero(np.diff(recording, append=-1)) + 1
    return bool((np.diff(ends, prepend=0) < n).any())


def labels_of(model: str) -> bool | None:
    """Whether a published name says that its labels were static; None for anything else."""
    entry = published_weights().get(model)
    if entry is None or entry.method != "EHGFormer":
        return None
    return "-static-" in entry.name


def _claims(network: LCN | EHGFormer, names: Sequence[str]) -> list[Claim]:
    """Of those published variants that have the network's sizes."""
    config = network.config.model_dump()
    known = published_weights()
    return [
        Claim(name, known[name].claim_mm)
        for name in names
        if all(config.get(key) == size for key, size in known[name].sizes.items())
    ]
