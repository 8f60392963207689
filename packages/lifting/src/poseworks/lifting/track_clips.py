"""One person's track as clips that a network takes at once: for attention maps, and to measure what int8 loses.

Unlike in `lift`, clips do not overlap, and frames are taken at the rate at which they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from poseworks.core import PoseSequence
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.gaps import bridge_confidence, bridge_gaps, runs
from poseworks.lifting.input_forms import Preparation, Prepared, prepare
from poseworks.lifting.keypoints import h36m_keypoints

_MAX_GAP_S = 0.5  # as `lift` does by default


@dataclass(frozen=True)
class TrackClip:
    """Frames of a track, prepared for a network; `first_frame` is the number of the first one in the track."""

    first_frame: int
    prepared: Prepared


def track_clips(
    poses: PoseSequence,
    network: nn.Module,
    longest: int,
    *,
    frames: tuple[int, int] | None = None,
    camera: Pinhole | None = None,
) -> list[TrackClip]:
    """Every stretch of the track in which the person is seen well enough, cut into clips of `longest` frames at most.

    Args:
        poses: 2D keypoints of one person, as `lift` takes them; gaps of half a second are bridged.
        network: an LCN or an EHGFormer.
        longest: frames that the network takes at once.
        frames: first frame and the one after the last: one clip, all of whose frames must be usable.
        camera: for weights that need a focal length.

    Raises:
        DataError, SkeletonError: as `lift`; there is more than one person, or no frame shows enough of them.
        ConfigError: the frames are not in the track, or too many; or the weights need a focal length.
    """
    from poseworks.lifting.lifter import enough

    if poses.num_people != 1:
        raise DataError(f"poses: {poses.num_people} people, expected one. Choose with --person.")
    keypoints = h36m_keypoints(poses)
    bridged = bridge_gaps(keypoints.positions[0].astype(np.float64), int(_MAX_GAP_S * poses.fps + 1e-6))
    confidence = bridge_confidence(keypoints.confidence[0], bridged.filled)
    preparation = getattr(network, "preparation", None)
    if not isinstance(preparation, Preparation):
        raise ConfigError(f"network: a {type(network).__name__} does not lift. Load an LCN or an EHGFormer.")
    usable = enough(bridged.values, preparation)
    size = keypoints.image_size
    assert size is not None  # h36m_keypoints
    pieces = runs(usable) if frames is None else (_checked(frames, usable, longest),)
    if not pieces:
        raise DataError("poses: no frame shows enough of the person. Give a track with more of the joints.")
    return [
        TrackClip(begin, prepare(preparation, bridged.values[part], confidence[part], size, camera))
        for start, stop in pieces
        for begin in range(start, stop, longest)
        for part in (slice(begin, min(begin + longest, stop)),)
    ]


def _checked(frames: tuple[int, int], usable: np.ndarray, longest: int) -> tuple[int, int]:
    """The same frames, if they are there and usable."""
    first, end = frames
    if not 0 <= first < end <= len(usable):
        raise ConfigError(f"frames: {first}:{end}: expected FIRST:END within the track, which is 0:{len(usable)}.")
    if end - first > longest:
        raise ConfigError(f"frames: {first}:{end} are {end - first}, and this network takes {longest} at once.")
    missing = np.flatnonzero(~usable[first:end])
    if len(missing):
        raise ConfigError(f"frames: frame {first + missing[0]} shows too few joints of the person. Choose others.")
    return first, end
