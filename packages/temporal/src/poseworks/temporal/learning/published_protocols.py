"""Every published claim as data: the set and how it is read, the weight file, and what is measured.

Where the weight files are looked for. The papers' file names repeat: ``checkpoint_32.pth.tar`` exists for three sets,
``checkpoint.pth.tar`` for every DeciWatch. A file is therefore known by its folder, never by its name alone. In each
folder of POSEWORKS_WEIGHTS, the first that is there counts:

    {our variant}/{file}              smoothnet-paper-3dpw-w32/checkpoint_32.pth.tar
                                      deciwatch-paper-3dpw-spin-3d/checkpoint_i5_q20.pth.tar
    {configuration as published}/{file}   pw3d_spin_3D/checkpoint_32.pth.tar (SmoothNet's papers alone)
    {file}                            smoothnet_windowsize8.pth.tar (the toolkits, whose names tell all)

DeciWatch at its published interval may be ``checkpoint.pth.tar`` or carry interval and q as the others do. The sizes
of the papers' files must be those of their variant; of the toolkits' files window, channels, interval and q.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.model_cards import find_weights
from poseworks.core.windows import WindowNetwork
from poseworks.temporal.learning.published_data import PublishedData, PublishedSequence, Representation
from poseworks.temporal.learning.published_evaluation import Row, evaluate_published
from poseworks.temporal.loading import Network, load
from poseworks.temporal.published import Published, claim_rows, claim_tables, published_weights

Pair = tuple[float, float]
ClaimTable = Literal[
    "smoothnet_toolkit", "deciwatch_toolkit", "smoothnet_paper", "deciwatch_paper", "deciwatch_intervals",
    "deciwatch_intervals_pck", "smoothnet_pose_toolkit",
]  # fmt: skip

# --- data sets --------------------------------------------------------------------------------------------------------

J14_FROM_H36M = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)  # of Human3.6M-17 with the left side first
SETS = {
    "3DPW": "pw3d", "Human3.6M": "h36m", "H36M": "h36m", "AIST++": "aist", "Sub-JHMDB": "jhmdb",
    "MPI-INF-3DHP": "mpiinf3dhp", "MuPoTS": "mupots",
}  # fmt: skip
ESTIMATORS = {
    "Videopose(T=27)": "videoposet27", "Videopose(T=81)": "videoposet81", "Videopose(T=243)": "videoposet243",
    "TposeNet+RefineNet": "tposenetrefinenet",
}  # fmt: skip
_HIPS, _PELVIS_FIRST, _PELVIS_15TH = (2, 3), (0,), (14,)
# 3D joints whose mean is the root in the metrics
ROOTS: dict[tuple[str, str], tuple[int, ...]] = {
    **{("aist", name): _HIPS for name in ("spin", "tcmr", "vibe")},
    **{("pw3d", name): _HIPS for name in ("spin", "eft", "pare", "tcmr", "vibe")},
    **{("h36m", name): _HIPS for name in ("tcmr", "vibe")},
    **{("h36m", name): _PELVIS_FIRST for name in ("fcn", "rle", "videoposet27", "videoposet81", "videoposet243")},
    **{("mpiinf3dhp", name): _PELVIS_15TH for name in ("spin", "tcmr", "vibe")},
    **{("mupots", name): _PELVIS_15TH for name in ("tposenet", "tposenetrefinenet")},
}
STORED_AS_17 = {("pw3d", "spin"), ("pw3d", "eft"), ("pw3d", "pare")}  # read as J14; all other sets as they are


def data_of(set_name: str, estimator: str, representation: str, *, centre: bool = False) -> PublishedData:
    """How a set is read, by its names in the published tables (``3DPW``, ``SPIN*``, ``SMPL``).

    Args:
        centre: 3D: subtract the root before the network, as DeciWatch does; SmoothNet takes the joints as stored.

    Raises:
        ConfigError: nothing is known of this set and estimator.
    """
    estimator = ESTIMATORS.get(estimator.rstrip("*"), estimator.rstrip("*").lower())
    kind: Representation = "smpl" if representation.lower() == "smpl" else "2D" if representation == "2D" else "3D"
    key = (SETS.get(set_name, set_name), estimator)
    if kind == "smpl":
        return PublishedData(set=key[0], estimator=estimator, representation="smpl")
    if kind == "2D":
        # Human3.6M: (p - 500) / 500; Sub-JHMDB: divided by width and height. No root is subtracted from pixels.
        scale = {"pixel_scale": 500.0, "pixel_shift": 1.0} if key[0] == "h36m" else {}
        return PublishedData(set=key[0], estimator=estimator, representation="2D", **scale)
    if key not in ROOTS:
        raise ConfigError(f"{set_name} {estimator}: the root joints of this set and estimator are not known.")
    keep = J14_FROM_H36M if key in STORED_AS_17 else ()
    return PublishedData(set=key[0], estimator=estimator, keep_joints=keep, root=ROOTS[key], centre=centre)


# --- rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClaimRow:
    """One row of a published table and what it takes to measure it.

    Attributes:
        label: as in the table.
        claims: input and output by measure, named as by `evaluate_published`; None where nothing was published.
        variant: ours, of `published_weights`; empty where `reason` says why there is none.
        places: of the weight file in a folder of POSEWORKS_WEIGHTS, in the order in which they are tried.
        interval, q: of a DeciWatch.
        stride: frames between windows.
    """

    table: ClaimTable
    label: str
    claims: Mapping[str, Pair | None]
    data: PublishedData
    variant: str = ""
    places: tuple[str, ...] = ()
    interval: int | None = None
    q: int | None = None
    stride: int = 1
    reason: str = ""

    @property
    def published(self) -> Published:
        """The variant."""
        return published_weights()[self.variant]

    @property
    def window(self) -> int:
        """Frames of a window."""
        if self.interval is not None and self.q is not None:
            return self.interval * self.q + 1
        return int(self.published.sizes["window"]) if self.variant else 32

    @property
    def definition(self) -> str:
        """What the network reads and what the metrics are about, in a few words."""
        data = self.data
        if data.representation == "smpl":
            parts = [f"6D {data.six_d_layout}; claim: 14 joints of the SMPL body"]
        else:
            parts = ["14 of the stored 17 joints" if data.keep_joints else "joints as stored"]
            parts.append("root " + " ".join(map(str, data.root)) if data.root else "no root subtracted")
        if "accel_padded" in self.claims:
            parts.append("accel padded")
        elif "accel" in self.claims:
            parts.append("accel unpadded")
        if self.interval is not None:
            parts.append(f"windows every {self.stride} frames, tail dropped")
        return ", ".join(parts)


def protocols(table: ClaimTable) -> list[ClaimRow]:
    """The rows of a published table, in its order, each with its protocol or the reason why there is none."""
    return list(_TABLES[table]())


def _smoothnet_toolkit() -> Iterator[ClaimRow]:
    for row in claim_rows("smoothnet_toolkit"):
        variant = f"smoothnet-toolkit-w{row['window']}"
        claims = {"mpjpe": _pair(row["mpjpe"]), "accel": _pair(row["accel"])}
        label = f"window {row['window']}, 3DPW SPIN 3D"
        yield ClaimRow(
            "smoothnet_toolkit", label, claims, data_of("3DPW", "SPIN", "3D"), variant, _named_alone(variant)
        )


def _smoothnet_pose_toolkit() -> Iterator[ClaimRow]:
    # SimpleBaseline3D is what the papers call FCN: the claimed input errors agree.
    data = data_of("Human3.6M", "FCN", "3D", centre=True)
    for row in claim_rows("smoothnet_pose_toolkit"):
        variant = f"smoothnet-pose-toolkit-w{row['window']}"
        claims = {name: _pair(row[name]) for name in ("mpjpe", "pa_mpjpe", "accel")}
        label = f"window {row['window']}, Human3.6M SimpleBaseline3D"
        yield ClaimRow("smoothnet_pose_toolkit", label, claims, data, variant, _named_alone(variant))


_PAPER_VARIANT = {
    "3DPW": ("smoothnet-paper-3dpw-w32", "pw3d_spin_3D"),
    "H36M": ("smoothnet-paper-h36m-w32", "h36m_fcn_3D"),
    "AIST++": ("smoothnet-paper-aist-w32", "aist_vibe_3D"),
}


def _smoothnet_paper() -> Iterator[ClaimRow]:
    for row in claim_rows("smoothnet_paper"):
        data = data_of(row["set"], row["estimator"], row["representation"])
        claims = {"mpjpe": _pair(row["mpjpe"]), "accel_padded": _pair(row["accel"])}
        label = f"{row['set']} {row['estimator']} {row['representation']}"
        if row["weight"] not in _PAPER_VARIANT:
            reason = f"no file name is known for the weights {row['weight']}"
            yield ClaimRow("smoothnet_paper", f"{label}, {row['weight']}", claims, data, reason=reason)
            continue
        variant, folder = _PAPER_VARIANT[row["weight"]]
        file = published_weights()[variant].file
        places = (f"{variant}/{file}", f"{folder}/{file}")
        yield ClaimRow("smoothnet_paper", label, claims, data, variant, places)


def _deciwatch_toolkit() -> Iterator[ClaimRow]:
    data = data_of("3DPW", "SPIN", "SMPL").model_copy(update={"six_d_layout": "rows"})
    for interval in (10, 5):
        for row in claim_rows("deciwatch_toolkit"):
            variant = f"deciwatch-toolkit-i{interval}-q{row['q']}"
            yield ClaimRow(
                "deciwatch_toolkit",
                f"interval {interval}, q {row['q']}, 3DPW SPIN smpl",
                {"mpjpe": _pair(row[f"interval_{interval}"])},
                data,
                variant,
                _named_alone(variant),
                interval,
                row["q"],
                stride=interval,
            )


def _deciwatch_paper() -> Iterator[ClaimRow]:
    for row in claim_rows("deciwatch_paper"):
        claims = {name: _pair(row[name]) for name in ("mpjpe", "accel", "mpvpe") if row[name] is not None}
        yield _deciwatch("deciwatch_paper", row["set_estimator"], row["representation"], claims, 10, 10)
    pck = {f"pck_{row['threshold']:g}": _pair(row["pck"]) for row in claim_rows("deciwatch_paper_pck")}
    yield _deciwatch("deciwatch_paper", "Sub-JHMDB SimplePose", "2D", pck, 10, 1)


def _deciwatch_intervals() -> Iterator[ClaimRow]:
    errors, accelerations = (claim_rows(f"deciwatch_paper_intervals_{name}") for name in ("mpjpe", "accel"))
    for column in claim_tables()["deciwatch_paper_intervals_mpjpe"]["columns"][2:]:
        name = column.removesuffix(" smpl")
        for error, acceleration in zip(errors, accelerations, strict=True):
            claims = {"mpjpe": _pair(error[column]), "accel": _pair(acceleration[column])}
            kind = "3D" if name == column else "SMPL"
            yield _deciwatch("deciwatch_intervals", name, kind, claims, error["interval"], error["q"])


def _deciwatch_intervals_pck() -> Iterator[ClaimRow]:
    for row in claim_rows("deciwatch_paper_intervals_pck"):
        claims = {f"pck_{a:g}": _pair(row[f"PCK {a:g}"]) for a in (0.05, 0.1, 0.2)}
        yield _deciwatch(
            "deciwatch_intervals_pck", "Sub-JHMDB SimplePose", "2D", claims, row["interval"], row["q"]
        )  # fmt: skip


def _deciwatch(
    table: ClaimTable, set_estimator: str, kind: str, claims: Mapping[str, Pair | None], interval: int, q: int
) -> ClaimRow:
    """A row of the paper's DeciWatch.

    Windows start every interval; those of rotations every 10 intervals, as published for interval 10. Where a window
    has fewer than 10 intervals neighbours share one frame, so that none is left out.
    """
    name, estimator = set_estimator.split(" ")
    folder = "jhmdb" if name == "Sub-JHMDB" else "aist" if name == "AIST++" else name.lower()
    variant = f"deciwatch-paper-{folder}-{estimator.lower()}-{kind.lower()}"
    files = (["checkpoint.pth.tar"] if interval == 10 else []) + [f"checkpoint_i{interval}_q{q}.pth.tar"]
    data = data_of(name, estimator, kind, centre=kind == "3D")
    stride = interval * min(10, q) if kind == "SMPL" else interval
    label = f"interval {interval}, q {q}, {set_estimator} {kind}"
    reason = "" if any(claims.values()) else "not published"
    places = tuple(f"{variant}/{file}" for file in files)
    return ClaimRow(table, label, claims, data, variant, places, interval, q, stride, reason)


def _named_alone(variant: str) -> tuple[str, ...]:
    file = published_weights()[variant].file
    return f"{variant}/{file}", file


def _pair(values: list[float] | None) -> Pair | None:
    return None if values is None else (values[0], values[1])


_TABLES: dict[ClaimTable, Callable[[], Iterator[ClaimRow]]] = {
    "smoothnet_toolkit": _smoothnet_toolkit,
    "deciwatch_toolkit": _deciwatch_toolkit,
    "smoothnet_paper": _smoothnet_paper,
    "deciwatch_paper": _deciwatch_paper,
    "deciwatch_intervals": _deciwatch_intervals,
    "deciwatch_intervals_pck": _deciwatch_intervals_pck,
    "smoothnet_pose_toolkit": _smoothnet_pose_toolkit,
}
CLAIM_TABLES = tuple(_TABLES)


# --- measuring --------------------------------------------------------------------------------------------------------


def weight_file(row: ClaimRow) -> Path | None:
    """The row's weight file in POSEWORKS_WEIGHTS, or None.

    Raises:
        ConfigError: the variable names something that is no folder.
    """
    return next((path for place in row.places if (path := find_weights(place)) is not None), None)


def load_row(row: ClaimRow, path: Path) -> Network:
    """The network of a row's weight file.

    Raises:
        CheckpointError: the file is damaged, or its sizes are not those of the variant.
    """
    options: dict[str, Any] = {}
    sizes = dict(row.published.sizes)
    if row.interval is not None:
        options = {"interval": row.interval, "q": row.q, "cross_attention": sizes["cross_attention"]}
        sizes |= {"interval": row.interval, "q": row.q}
    network = load(path, **options)
    # The toolkits' other sizes are known from their classes' defaults alone, dropout from no file.
    stated = {"window", "output", "channels", "interval", "q"} if row.published.origin != "paper" else set(sizes)
    found = network.config.model_dump()
    wrong = [
        f"{name} {found.get(name)} instead of {sizes[name]}"
        for name in sorted(stated & set(sizes) - {"dropout"})
        if found.get(name) != sizes[name]
    ]
    if wrong:
        raise CheckpointError(f"{path}: not {row.variant}: {', '.join(wrong)}.")
    return network


def measure_row(row: ClaimRow, sequences: Sequence[PublishedSequence], network: WindowNetwork | None) -> list[Row]:
    """All measures of a row; without a network both values are the input's, over the same frames.

    SMPL rows give the angle between rotations alone: the joints and vertices of their claims need the licensed body.
    """
    if network is None:
        network = _Identity(row.window, row.stride)
    elif row.table == "smoothnet_pose_toolkit":
        network = _RootAside(network, 3)
    return evaluate_published(network, sequences, row.data, row.stride)


class _Identity:
    """Changes nothing, with windows as another network has them."""

    def __init__(self, window: int, stride: int) -> None:
        self.window, self.stride = window, stride
        self.reads = torch.ones(window, dtype=torch.bool)

    def run_windows(self, x: Tensor) -> Tensor:
        """A copy."""
        return x.clone()


class _RootAside:
    """The pose toolkit's way: the root, which comes first and is zero, does not go through the network."""

    def __init__(self, network: WindowNetwork, channels: int) -> None:
        self.network, self.channels = network, channels
        self.window, self.stride, self.reads = network.window, network.stride, network.reads

    def run_windows(self, x: Tensor) -> Tensor:
        """Windows (N, W, C) whose first channels are unchanged."""
        rest = self.network.run_windows(x[..., self.channels :].contiguous())
        return torch.cat([x[..., : self.channels], rest], dim=-1)
