"""Attention maps of an EHGFormer on a clip of a track, as arrays and as figures.

``block-N.npz``, one a block (loaded with ``allow_pickle=False``); rows are queries, columns keys, each row sums to 1:

    spatial      (T, H, 17, 17) float32, joint to joint, of each frame and head
    group        (T, H, 17, 17) float32, as group_meaning says; not there in a network without group blocks
    temporal     (17, H, T, T) float32, frame to frame, of each joint and head
    joint_names  (17,)          heads (H,)          frames (T,): numbers of the track's frames
    groups       (17,): the group of each joint     group_meaning: what rows and columns of `group` are
    format, block, model, model_sha256

``spatial.svg``, ``group.svg``, ``temporal.svg``: a row of maps a block, a column a head.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import ConfigError
from poseworks.core.files import atomic_folder
from poseworks.core.skeletons import H36M_17
from poseworks.lifting.attention_figures import Axis, attention_figure

if TYPE_CHECKING:
    from torch import Tensor, nn

    from poseworks.core.cameras import Pinhole
    from poseworks.core.poses import PoseSequence
    from poseworks.lifting.ehgformer import EHGFormer

Maps = NDArray[np.float32]
FORMAT = "poseworks.attention/1"
_JOINTS = H36M_17.joint_names
_SCRAMBLED = (
    "slots, not joints: the published head split mixes joints and channels, so that no row or column is one joint"
)
_ORDINARY = "rows are joints; a column is the feature of that joint's group, the same for all joints of a group"


@dataclass(frozen=True)
class BlockAttention:
    """The maps of one block on a clip; rows are queries, columns keys.

    Attributes:
        heads: H numbers of heads.
        frames: T numbers of the track's frames.
        spatial: (T, H, 17, 17), joint to joint.
        group: (T, H, 17, 17), joint to group, or None without a group block; `group_meaning` says how to read it.
        temporal: (17, H, T, T), frame to frame.
        groups: the group of each joint.
        model, model_sha256: where the weights came from, and the SHA-256 of their file.
    """

    block: int
    heads: tuple[int, ...]
    frames: tuple[int, ...]
    spatial: Maps
    group: Maps | None
    temporal: Maps
    groups: tuple[int, ...]
    group_meaning: str
    model: str = ""
    model_sha256: str = ""


def clip_attention(
    network: EHGFormer, x: Tensor, *, block: int | None = None, head: int | None = None, first_frame: int = 0
) -> Iterator[BlockAttention]:
    """The maps of each block in turn, as they are computed.

    Args:
        network: in eval mode.
        x: (T, 17, 3) input of the network, T up to its window.
        block, head: only this one; default: all.
        first_frame: the number that the first frame of the clip has in the track.

    Raises:
        ConfigError: there is no such block or head. ShapeError: `x` is no clip that the network takes.
    """
    c = network.config
    blocks, heads = _chosen("block", block, c.blocks), _chosen("head", head, c.heads)
    return _maps(network, x, blocks, heads, first_frame)


def track_attention(
    poses: PoseSequence,
    network: nn.Module,
    *,
    frames: tuple[int, int] | None = None,
    block: int | None = None,
    head: int | None = None,
    camera: Pinhole | None = None,
) -> Iterator[BlockAttention]:
    """As `clip_attention`, of a clip of one person's track.

    Args:
        poses: 2D keypoints of one person, as `lift` takes them.
        network: an EHGFormer from `load`.
        frames: first frame and the one after the last; default: the first that show enough of the person, as many as
            the network takes.
        camera: for weights that need a focal length.

    Raises:
        ConfigError: the network has no attention, there are no such frames, blocks or heads, or a focal length lacks.
        DataError, SkeletonError: as `lift`; or there is more than one person.
    """
    from poseworks.lifting.ehgformer import EHGFormer
    from poseworks.lifting.track_clips import track_clips

    if not isinstance(network, EHGFormer):
        raise ConfigError(f"network: a {type(network).__name__} has no attention. Take an EHGFormer.")
    clip = track_clips(poses, network, network.window, frames=frames, camera=camera)[0]
    return clip_attention(network, clip.prepared.x, block=block, head=head, first_frame=clip.first_frame)


def _maps(
    network: EHGFormer, x: Tensor, blocks: tuple[int, ...], heads: tuple[int, ...], first_frame: int
) -> Iterator[BlockAttention]:
    from poseworks.lifting.ehgformer import OrdinaryEHGFormer

    for number in blocks:
        maps = network.attention_maps(x[None], number)
        spatial, group, temporal = (
            None if part is None else part[0][:, list(heads)].numpy(force=True)
            for part in (maps.joints, maps.groups, maps.time)
        )
        assert spatial is not None
        assert temporal is not None
        frames = tuple(range(first_frame, first_frame + len(x)))
        yield BlockAttention(
            number,
            heads,
            frames,
            spatial,
            group,
            temporal,
            groups=network.config.groups,
            group_meaning=_ORDINARY if isinstance(network, OrdinaryEHGFormer) else _SCRAMBLED,
            model=network.source,
            model_sha256=network.sha256,
        )


def _chosen(name: str, number: int | None, count: int) -> tuple[int, ...]:
    if number is None:
        return tuple(range(count))
    if not 0 <= number < count:
        raise ConfigError(f"{name}: {number}, but this network has {count}, numbered from 0 to {count - 1}.")
    return (number,)


def write_attention(
    maps: Iterable[BlockAttention],
    folder: str | os.PathLike[str],
    *,
    frame: int | None = None,
    joint: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Writes arrays and figures, as the top of this file describes them; returns their paths.

    Args:
        maps: of `clip_attention`; one block is held at a time.
        folder: appears as a whole, or not at all.
        frame: show the spatial and group maps of this frame of the track; default: their mean over the clip.
        joint: show the temporal maps of this joint; default: their mean over joints.
        overwrite: replace an existing folder.

    Raises:
        ConfigError: the folder exists; the frame is not in the clip, or there is no such joint.
        DataError: it cannot be written.
    """
    if joint is not None and joint not in _JOINTS:
        raise ConfigError(f"joint: {joint!r} is none of {', '.join(_JOINTS)}.")
    shown: dict[str, list[Maps]] = {"spatial": [], "group": [], "temporal": []}
    blocks: list[int] = []
    with atomic_folder(folder, overwrite) as new:
        for one in maps:
            _write_arrays(one, new / f"block-{one.block}.npz")
            blocks.append(one.block)
            place = None if frame is None else _place(frame, one.frames)
            shown["spatial"].append(_one_or_mean(one.spatial, place))
            if one.group is not None:
                shown["group"].append(_one_or_mean(one.group, place))
            shown["temporal"].append(_one_or_mean(one.temporal, None if joint is None else _JOINTS.index(joint)))
        for kind, rows in shown.items():
            if rows:
                text = attention_figure(
                    np.stack(rows),
                    row_names=[f"block {number}" for number in blocks],
                    column_names=[f"head {number}" for number in one.heads],
                    **_labels(kind, one, frame, joint),
                )
                (new / f"{kind}.svg").write_text(text, encoding="utf-8")
        names = sorted(file.name for file in new.iterdir())
    return [Path(folder) / name for name in names]


def _write_arrays(maps: BlockAttention, path: Path) -> None:
    arrays: dict[str, Any] = {
        "format": FORMAT,
        "block": maps.block,
        "heads": np.array(maps.heads),
        "frames": np.array(maps.frames),
        "joint_names": np.array(_JOINTS),
        "groups": np.array(maps.groups),
        "group_meaning": maps.group_meaning,
        "model": maps.model,
        "model_sha256": maps.model_sha256,
        "spatial": maps.spatial,
        "temporal": maps.temporal,
    }
    if maps.group is not None:
        arrays["group"] = maps.group
    np.savez_compressed(path, **arrays)


def _place(frame: int, frames: Sequence[int]) -> int:
    if frame not in frames:
        raise ConfigError(f"frame: {frame} is not in the clip, whose frames are {frames[0]} to {frames[-1]}.")
    return frames.index(frame)


def _one_or_mean(maps: Maps, place: int | None) -> Maps:
    """(N, H, L, L) -> (H, L, L)."""
    return np.asarray(maps.mean(axis=0, dtype=np.float64) if place is None else maps[place], dtype=np.float32)


def _labels(kind: str, maps: BlockAttention, frame: int | None, joint: str | None) -> dict[str, Any]:
    """Title, note and axes of a figure."""
    clip = f"frames {maps.frames[0]} to {maps.frames[-1]}"
    joints = Axis("joints", list(enumerate(_JOINTS)))
    of = f"mean over {clip}" if frame is None else f"frame {frame}"
    title, note, queries, keys = f"Spatial attention, joint to joint: {of}", "", joints, joints
    if kind == "temporal":
        of = f"mean over joints, {clip}" if joint is None else f"{joint}, {clip}"
        title = f"Temporal attention, frame to frame: {of}"
        queries = keys = Axis("frames", _frame_ticks(maps.frames))
    elif kind == "group":
        note = f"{maps.group_meaning[0].upper()}{maps.group_meaning[1:]}."
        if maps.group_meaning == _ORDINARY:
            title = f"Group attention, joint to group: {of}"
            named = [f"group {group} ({joint})" for group, joint in zip(maps.groups, _JOINTS, strict=True)]
            keys = Axis("groups", list(enumerate(named)))
        else:
            title = f"Group attention, slot to slot: {of}"
            queries = keys = Axis("slots", [(slot, str(slot)) for slot in range(0, len(_JOINTS), 2)])
    return {"title": title, "note": note, "queries": queries, "keys": keys}


def _frame_ticks(frames: Sequence[int]) -> list[tuple[int, str]]:
    """At round numbers: every 50 frames in the published length, closer in shorter clips."""
    step = next((step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if len(frames) / step <= 10), 1000)
    return [(place, str(frame)) for place, frame in enumerate(frames) if frame % step == 0]
