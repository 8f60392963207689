"""The published weights as data: families, sizes, file names, what they expect, and the numbers claimed for them.

Three origins: the *papers'* own repositories (SmoothNet and DeciWatch, Zeng et al. 2022, both ECCV), the mesh-recovery
*toolkit* (both methods), and the *pose toolkit* (SmoothNet for Human3.6M joints). None of the files come with this
package. Where one is at hand its sizes are read from its tensors, never from this table.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import PurePath
from typing import Any, Literal

from poseworks.temporal.preparation import Preparation

Method = Literal["smoothnet", "deciwatch"]
Origin = Literal["paper", "toolkit", "pose toolkit"]
CrossAttention = Literal["masked", "additive"]

PAPER_LICENCE = (
    "not stated for the weights; the repository's licence file says Apache-2.0, its README non-commercial research only"
)
TOOLKIT_LICENCE = "not stated for the weights; the toolkit is Apache-2.0"


@dataclass(frozen=True)
class Claim:
    """A number said for a set of weights: an error before and after, or a score, on a data set."""

    data: str
    measure: str
    before: float
    after: float
    definition: str


@dataclass(frozen=True)
class Published:
    """A set of weights that somebody published.

    Attributes:
        name: ours, for `load` and the `models` verb.
        file: as published.
        sizes: fields of SmoothNetConfig or DeciWatchConfig.
        parameters: numbers in the file.
        multiply_adds: of one window; SmoothNet: of one channel of it.
        preparation: what the weights are fed with; None: 3D root-relative in metres, 2D divided by the image size.
    """

    name: str
    method: Method
    origin: Origin
    file: str
    training_data: str
    licence: str
    sizes: Mapping[str, Any]
    parameters: int
    multiply_adds: int
    preparation: Preparation | None = None
    claims: tuple[Claim, ...] = field(default=(), repr=False)
    note: str = ""


# --- file names -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileName:
    """What a checkpoint's name says; None where it does not."""

    method: Method | None = None
    origin: Origin | None = None
    window: int | None = None
    interval: int | None = None
    q: int | None = None

    @property
    def cross_attention(self) -> CrossAttention:
        """How weights of this name were used: "additive" under the paper's names, "masked" under all others."""
        return "additive" if self.origin == "paper" else "masked"


_DECIWATCH = re.compile(r"(?:^|[^a-z0-9])i(?:nterval)?[_-]?(\d+)[_-]?q[_-]?(\d+)(?!\d)")
_SMOOTHNET = re.compile(r"smoothnet.*?w(?:indow(?:size)?)?[_-]?(\d+)(?!\d)")
_PAPER_WINDOW = re.compile(r"^checkpoint[_-](8|16|32|64)(?!\d)")


def parse_file_name(path: str | PurePath) -> FileName:
    """What a published file name tells, such as ``deciwatch_interval10_q3.pth.tar`` or ``checkpoint_i3_q33.pth.tar``.

    Renamed files may keep the part that matters (``my-deciwatch-i10-q3.pth``). Windows are for information: sizes
    come from the tensors.
    """
    name = PurePath(path).name.lower()
    paper = name.startswith("checkpoint")
    if found := _DECIWATCH.search(name):
        origin: Origin | None = "paper" if paper else "toolkit" if "deciwatch_interval" in name else None
        return FileName("deciwatch", origin, None, int(found[1]), int(found[2]))
    if found := _SMOOTHNET.search(name):
        return FileName("smoothnet", "toolkit" if "smoothnet_windowsize" in name else None, int(found[1]))
    if found := _PAPER_WINDOW.search(name):
        return FileName("smoothnet", "paper", int(found[1]))
    return FileName(origin="paper" if paper else None)


# --- claims -----------------------------------------------------------------------------------------------------------


@functools.cache
def claim_tables() -> dict[str, Any]:
    """The published tables: name -> {"definition", "columns", "rows"}; a pair is [input, output], null not published.

    ``smoothnet_paper``, ``smoothnet_toolkit``, ``smoothnet_pose_toolkit``, ``deciwatch_paper``,
    ``deciwatch_paper_pck``, ``deciwatch_paper_intervals_{mpjpe,accel,pck}``, ``deciwatch_toolkit``. Published rows
    only; their definitions of the acceleration error differ, and are stated.
    """
    text = resources.files("poseworks.temporal").joinpath("claims.json").read_text(encoding="utf-8")
    tables: dict[str, Any] = json.loads(text)
    return tables


def claim_rows(table: str) -> list[dict[str, Any]]:
    """The rows of a published table, each as column -> value."""
    content = claim_tables()[table]
    return [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]


def _claims(table: str, data: str, row: Mapping[str, Any]) -> Iterator[Claim]:
    definition = claim_tables()[table]["definition"]
    for measure in ("mpjpe", "pa_mpjpe", "accel", "mpvpe", "pck"):
        if row.get(measure) is not None:
            before, after = row[measure]
            yield Claim(data, measure, before, after, definition)


# --- SmoothNet --------------------------------------------------------------------------------------------------------

WINDOWS = (8, 16, 32, 64)
SMOOTHNET_SIZES: dict[str, dict[str, Any]] = {
    "toolkit": {"hidden": 512, "residual_hidden": 512, "blocks": 5, "dropout": 0.1},
    "paper-3dpw": {"hidden": 512, "residual_hidden": 16, "blocks": 1, "dropout": 0.5},
    "paper-h36m": {"hidden": 512, "residual_hidden": 128, "blocks": 5, "dropout": 0.25},
    "paper-aist": {"hidden": 512, "residual_hidden": 128, "blocks": 5, "dropout": 0.25},
    "pose-toolkit": {"hidden": 512, "residual_hidden": 256, "blocks": 3, "dropout": 0.5},
}
_SMOOTHNET_DATA = {
    "toolkit": "3DPW (SPIN)",
    "paper-3dpw": "3DPW (SPIN, 3D)",
    "paper-h36m": "Human3.6M (FCN, 3D)",
    "paper-aist": "AIST++ (VIBE, 3D)",
    "pose-toolkit": "Human3.6M (SimpleBaseline3D)",
}
_PAPER_WEIGHT = {"paper-3dpw": "3DPW", "paper-h36m": "H36M", "paper-aist": "AIST++"}
ROOT_REMOVED = Preparation(centring="root_removed")


def smoothnet_sizes(hidden: int, residual_hidden: int, blocks: int) -> tuple[str, dict[str, Any]] | None:
    """The first published family of these sizes and its fields, or None."""
    for family, sizes in SMOOTHNET_SIZES.items():
        if (sizes["hidden"], sizes["residual_hidden"], sizes["blocks"]) == (hidden, residual_hidden, blocks):
            return family, sizes
    return None


def smoothnet_parameters(window: int, hidden: int, residual_hidden: int, blocks: int) -> int:
    """Weights and biases of a SmoothNet whose output is its window."""
    block = 2 * hidden * residual_hidden + hidden + residual_hidden
    return 2 * window * hidden + hidden + window + blocks * block


def smoothnet_multiply_adds(window: int, hidden: int, residual_hidden: int, blocks: int) -> int:
    """Products of one channel of one window: 2 W H + 2 B H R."""
    return 2 * window * hidden + 2 * blocks * hidden * residual_hidden


def _smoothnets() -> Iterator[Published]:
    for family, sizes in SMOOTHNET_SIZES.items():
        widths = (sizes["hidden"], sizes["residual_hidden"], sizes["blocks"])
        for window in WINDOWS:
            origin: Origin = (
                "paper" if family in _PAPER_WEIGHT else "toolkit" if family == "toolkit" else "pose toolkit"
            )
            file = {
                "paper": f"checkpoint_{window}.pth.tar",
                "toolkit": f"smoothnet_windowsize{window}.pth.tar",
                "pose toolkit": f"smoothnet_ws{window}_h36m.pth",
            }[origin]
            yield Published(
                name=f"smoothnet-{family}-w{window}",
                method="smoothnet",
                origin=origin,
                file=file,
                training_data=_SMOOTHNET_DATA[family],
                licence=PAPER_LICENCE if origin == "paper" else TOOLKIT_LICENCE,
                sizes={"window": window, "output": window, **sizes},
                parameters=smoothnet_parameters(window, *widths),
                multiply_adds=smoothnet_multiply_adds(window, *widths),
                preparation=ROOT_REMOVED if origin == "pose toolkit" else None,
                claims=tuple(_smoothnet_claims(family, window)),
                note="file name as this package knows it, not verified" if origin == "pose toolkit" else "",
            )


def _smoothnet_claims(family: str, window: int) -> Iterator[Claim]:
    if family in _PAPER_WEIGHT:
        for row in claim_rows("smoothnet_paper") if window == 32 else ():
            if row["weight"] == _PAPER_WEIGHT[family]:
                data = f"{row['set']} {row['estimator']} {row['representation']}"
                yield from _claims("smoothnet_paper", data, row)
        return
    table = "smoothnet_toolkit" if family == "toolkit" else "smoothnet_pose_toolkit"
    data = "3DPW SPIN 3D" if family == "toolkit" else "Human3.6M SimpleBaseline3D"
    for row in claim_rows(table):
        if row["window"] == window:
            yield from _claims(table, data, row)


# --- DeciWatch --------------------------------------------------------------------------------------------------------

_HIPS = ("right_hip", "left_hip")  # joints 2 and 3 of the 14: their mean is the root
_J14 = Preparation(root=_HIPS)
_H36M = Preparation(root=("pelvis",))
_JHMDB = Preparation(scale="image", image_shift=0.0, centring="none")
_SIX_D_COLUMNS = Preparation(representation="six_d_columns", scale="any", centring="none")
_SIX_D_ROWS = Preparation(representation="six_d_rows", scale="any", centring="none")

# name: training data, channels, width, layers, pre-norm, Q, preparation
_DECIWATCH_PAPER: dict[str, tuple[str, int, int, int, bool, int, Preparation]] = {
    "3dpw-spin-3d": ("3DPW SPIN", 42, 32, 5, True, 10, _J14),
    "3dpw-eft-3d": ("3DPW EFT", 42, 12, 5, True, 10, _J14),
    "3dpw-pare-3d": ("3DPW PARE", 42, 32, 5, True, 10, _J14),
    "h36m-fcn-3d": ("H36M FCN", 51, 128, 5, True, 10, _H36M),
    "aist-spin-3d": ("AIST++ SPIN", 42, 128, 5, True, 10, _J14),
    "jhmdb-simplepose-2d": ("Sub-JHMDB SimplePose", 30, 128, 5, False, 1, _JHMDB),
    "3dpw-spin-smpl": ("3DPW SPIN", 144, 32, 3, False, 10, _SIX_D_COLUMNS),
    "3dpw-eft-smpl": ("3DPW EFT", 144, 128, 3, False, 10, _SIX_D_COLUMNS),
    "3dpw-pare-smpl": ("3DPW PARE", 144, 16, 3, False, 10, _SIX_D_COLUMNS),
    "aist-spin-smpl": ("AIST++ SPIN", 144, 128, 5, False, 10, _SIX_D_COLUMNS),
}


def deciwatch_multiply_adds(channels: int, width: int, feedforward: int, layers: int, window: int) -> int:
    """Products of one window, every token computed: embeddings, projections, attention over L keys, feed-forward."""
    token = 8 * channels * width  # embeddings of 1 and 5 frames, two outputs
    encoder = 4 * width**2 + 2 * width * feedforward + 2 * window * width
    decoder = 8 * width**2 + 2 * width * feedforward + 4 * window * width
    return window * (token + layers * (encoder + decoder))


def deciwatch_parameters(channels: int, width: int, feedforward: int, layers: int, pre_norm: bool) -> int:
    """Weights and biases of a DeciWatch."""
    ends = 8 * channels * width + 2 * channels + 2 * width
    attention = 4 * width * (width + 1)
    rest = 2 * width * feedforward + feedforward + width
    norms = 2 * width * (5 * layers + 1 + pre_norm)
    return ends + layers * (3 * attention + 2 * rest) + norms


def deciwatch_preparation(channels: int, origin: Origin | None) -> Preparation | None:
    """What published DeciWatch weights of this input size are fed with; None where the size is not a published one."""
    if channels == 144:
        return _SIX_D_COLUMNS if origin == "paper" else _SIX_D_ROWS
    return {42: _J14, 51: _H36M, 30: _JHMDB}.get(channels)


def _deciwatches() -> Iterator[Published]:
    for interval in (10, 5):
        for q in range(1, 6):
            before, after = next(r[f"interval_{interval}"] for r in claim_rows("deciwatch_toolkit") if r["q"] == q)
            definition = claim_tables()["deciwatch_toolkit"]["definition"]
            yield Published(
                name=f"deciwatch-toolkit-i{interval}-q{q}",
                method="deciwatch",
                origin="toolkit",
                file=f"deciwatch_interval{interval}_q{q}.pth.tar",
                training_data="3DPW (SPIN, SMPL pose)",
                licence=TOOLKIT_LICENCE,
                sizes=_deciwatch_sizes(144, 16, 3, False, interval, q, "masked"),
                parameters=deciwatch_parameters(144, 16, 256, 3, False),
                multiply_adds=deciwatch_multiply_adds(144, 16, 256, 3, interval * q + 1),
                preparation=_SIX_D_ROWS,
                claims=(Claim("3DPW SPIN smpl", "mpjpe", before, after, definition),),
                note="sizes and 6D layout not verified against a file",
            )
    for name, (data, channels, width, layers, pre_norm, q, preparation) in _DECIWATCH_PAPER.items():
        extra = "; other intervals as checkpoint_iN_qQ.pth.tar, N 1..20"
        yield Published(
            name=f"deciwatch-paper-{name}",
            method="deciwatch",
            origin="paper",
            file="checkpoint.pth.tar",
            training_data=data,
            licence=PAPER_LICENCE,
            sizes=_deciwatch_sizes(channels, width, layers, pre_norm, 10, q, "additive"),
            parameters=deciwatch_parameters(channels, width, 256, layers, pre_norm),
            multiply_adds=deciwatch_multiply_adds(channels, width, 256, layers, 10 * q + 1),
            preparation=preparation,
            claims=tuple(_deciwatch_claims(data, name)),
            note=f"the file name does not tell interval 10 and q {q}: state them{extra}",
        )


def _deciwatch_sizes(
    channels: int, width: int, layers: int, pre_norm: bool, interval: int, q: int, cross_attention: CrossAttention
) -> dict[str, Any]:
    return {
        "channels": channels, "interval": interval, "q": q, "width": width, "heads": 4, "feedforward": 256,
        "layers": layers, "dropout": 0.1, "pre_norm": pre_norm, "cross_attention": cross_attention,
    }  # fmt: skip


def _deciwatch_claims(data: str, name: str) -> Iterator[Claim]:
    if name.endswith("2d"):
        for row in claim_rows("deciwatch_paper_pck"):
            yield from _claims("deciwatch_paper_pck", f"{data}, PCK at {row['threshold']}", row)
        return
    representation = "SMPL" if name.endswith("smpl") else "3D"
    for row in claim_rows("deciwatch_paper"):
        if (row["representation"], row["set_estimator"]) == (representation, data):
            yield from _claims("deciwatch_paper", f"{data} {representation}", row)


@functools.cache
def published_weights() -> dict[str, Published]:
    """Every published variant by name."""
    return {entry.name: entry for entry in (*_smoothnets(), *_deciwatches())}
