"""From a 2D track to 3D motion: skeleton, gaps, windows, size and place around any lifting network.

Left and right that the detector exchanged are put back first, if asked. Then each person alone, in this order: joints
are brought to h36m17; those below the asked confidence are taken as missing, short gaps bridged; frames that show too
little of the person are left out and cut the track into pieces; each piece goes through the network in windows that
overlap and are blended; its answer is turned into the axes of the camera. A stated height or bone makes metres of it,
one factor for the whole track; a camera places the root in front of it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import nn

from poseworks.core import PoseSequence, history_entry
from poseworks.core.body_size import STANDARD_HEIGHT_M
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError
from poseworks.core.gaps import bridge_confidence, bridge_gaps, runs
from poseworks.core.image_keypoints import in_pixels
from poseworks.core.notes import Notes
from poseworks.core.poses import Unit
from poseworks.core.skeletons import H36M_17
from poseworks.core.swaps import repair_swaps
from poseworks.core.windows import apply_windows
from poseworks.lifting.body_scale import check_sizes, metres_per_unit, steady_size
from poseworks.lifting.input_forms import Preparation, prepare
from poseworks.lifting.keypoints import h36m_keypoints, refuse_what_cannot_be_lifted
from poseworks.lifting.plausibility import note_posture, note_sides
from poseworks.lifting.resampling import at_rate, back_to_rate
from poseworks.lifting.root_path import fit_root_path
from poseworks.lifting.settings import LiftSettings, checked_settings
from poseworks.lifting.windows import CHANNELS, LiftingWindows

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEAST_JOINTS = 9
"""Joints of 17 that a frame must show for the forms ray and box; fewer tell no pose. The form image needs all."""

_RATE_TOLERANCE = 0.2
_FRAMES_AT_ONCE = 8192


@dataclass(frozen=True)
class Lifted:
    """What came out: the 3D poses, and sentences that a reader has to know.

    Attributes:
        keypoints: the 2D that was lifted, h36m17 in pixels, gaps bridged.
    """

    poses: PoseSequence
    notes: tuple[str, ...]
    keypoints: PoseSequence


def lift(
    poses: PoseSequence,
    network: nn.Module | str | os.PathLike[str],
    *,
    flip: bool = True,
    overlap: float = 0.5,
    height: float | None = None,
    bones: Mapping[str, float] | None = None,
    camera: Pinhole | None = None,
    focal: float | None = None,
    max_gap_s: float = 0.5,
    advance: Callable[[float], None] | None = None,
) -> PoseSequence:
    """3D poses of the same people and frames: h36m17, in camera axes (x right, y down, z away).

    Without `height` and `bones` the unit is ``normalised``: `history` says what 1.0 is. Without a camera positions are
    relative to the root (frame ``root``); with one the root's path in front of it is fitted (frame ``camera``).

    Args:
        poses: 2D, in pixels of an image of known size (or shares of it), any skeleton that h36m17 can be made from.
        network: from `load`, or what `load` takes.
        flip, overlap, height, bones, max_gap_s: as in `LiftSettings`.
        camera: intrinsics in pixels.
        focal: the focal length in pixels alone, of a camera with its principal point in the middle of the image.
        advance: called with the share of the work (their sum is 1) that has just been done.

    Raises:
        DataError, SkeletonError, ConfigError: as `lift_people`.
    """
    name = None if isinstance(network, nn.Module) else os.fspath(network)
    if not isinstance(network, nn.Module):
        from poseworks.lifting.loading import load

        network = load(network)
    settings = checked_settings(flip=flip, overlap=overlap, height=height, bones=dict(bones or {}), max_gap_s=max_gap_s)
    return lift_people(
        poses, network, settings, camera=camera_of(poses, camera, focal), model=name, advance=advance
    ).poses


def camera_of(poses: PoseSequence, camera: Pinhole | None, focal: float | None) -> Pinhole | None:
    """The camera that is stated, if any.

    Raises:
        ConfigError: it is stated twice, or the image size that a focal length needs is not known.
    """
    if focal is None:
        return camera
    if camera is not None:
        raise ConfigError("focal: the camera states it already. Leave one of the two out.")
    if poses.image_size is None:
        raise ConfigError("focal: needs the size of the image, which the poses do not state: --image-size 1920x1080.")
    return Pinhole.from_focal(focal, poses.image_size)


def lift_people(
    poses: PoseSequence,
    network: nn.Module,
    settings: LiftSettings | None = None,
    *,
    camera: Pinhole | None = None,
    model: str | None = None,
    advance: Callable[[float], None] | None = None,
) -> Lifted:
    """As `lift`, with the notes.

    Args:
        poses: 2D, in pixels or shares of an image.
        network: an LCN or an EHGFormer from `load`.
        settings: None: the defaults.
        camera: intrinsics; for weights of the forms ray and box, and to place the root.
        model: name of the weights, for the history.
        advance: called with the share of the work (their sum is 1) that has just been done.

    Raises:
        DataError: no keypoints of an image, not of a known size, in another unit than stated, or of nobody.
        SkeletonError: h36m17 cannot be made from the joints.
        ConfigError: settings that exclude each other, or weights that need a focal length.
    """
    settings = settings or LiftSettings()
    check_sizes(settings.height, settings.bones)
    notes = Notes(poses)
    notes.assumed()
    poses, assumed_size = _with_image_size(poses, network, camera, notes)
    refuse_what_cannot_be_lifted(poses)
    if settings.unswap:
        if settings.latency_frames is not None:
            raise ConfigError(
                "unswap: it compares the frames of the whole clip, which a latency forbids. Drop one of the two."
            )
        repaired = repair_swaps(poses)
        poses = repaired.poses
        notes.exchanged(repaired.changed)
    notes.uneven("lifted")
    keypoints = h36m_keypoints(poses)
    work = _Work(poses, keypoints, network, settings, camera, notes, advance or _ignore)
    work.note_assumptions()
    results = [work.lift_person(person) for person in range(poses.num_people)]
    metric = settings.height is not None or bool(settings.bones)
    unit: Unit = "m" if metric else "normalised"
    entry = history_entry(
        "lift",
        "poseworks-lifting",
        {
            **settings.model_dump(mode="json"),
            "network": _config(network),
            "form": work.preparation.form,
            "camera": None if camera is None else {name: getattr(camera, name) for name in ("fx", "fy", "cx", "cy")},
            "root": "fixed: positions are relative to the pelvis" if camera is None else "fitted: in camera axes",
            "one_unit": _one_unit(work.preparation, metric, camera is not None),
            "assumed_image_size": assumed_size,
            "metres_per_unit": [result.scale for result in results] if metric else None,
        },
        model or (getattr(network, "source", "") or type(network).__name__),
        getattr(network, "sha256", "") or None,
    )
    lifted = keypoints.replace(
        positions=_stacked([result.joints for result in results], (*keypoints.positions.shape[1:3], 3)),
        confidence=_stacked([result.confidence for result in results], keypoints.confidence.shape[1:]),
        unit=unit,
        frame="root" if camera is None else "camera",
        image_size=None,
    ).with_step(entry)
    shown = keypoints.replace(positions=_stacked([result.pixels for result in results], keypoints.positions.shape[1:]))
    return Lifted(lifted, notes.sentences(), shown)


def _with_image_size(
    poses: PoseSequence, network: nn.Module, camera: Pinhole | None, notes: Notes
) -> tuple[PoseSequence, tuple[int, int] | None]:
    """The poses with a size of the image where they state none and the weights can do with a rough one, and that size.

    Detectors' files rarely state it. The forms ray and box need it only to stand for a camera that is not known, and
    not at all beside one that is; the form image cannot do without.
    """
    rough = getattr(getattr(network, "preparation", None), "form", "image") != "image"
    if not rough or poses.image_size is not None or poses.unit != "px" or poses.frame != "image" or poses.num_dims != 2:
        return poses, None
    points = poses.positions[poses.observed]
    if not len(points):
        return poses, None
    width, height = (max(1, math.ceil(value)) for value in points.max(axis=0))
    if camera is None:
        notes.add(
            f"the size of the image is not stated: {width} x {height} pixels, which just hold the keypoints, were "
            "assumed (state it: --image-size 1920x1080)"
        )
    return poses.replace(image_size=(width, height)), None if camera is not None else (width, height)


@dataclass(frozen=True)
class _Person:
    """One person, lifted.

    Attributes:
        joints: (T, 17, 3); NaN in frames that were not lifted.
        confidence: (T, 17) of the keypoints; 0 where the network made up what was not seen.
        pixels: (T, 17, 2) what was lifted.
        scale: metres that 1 of the network's unit was, if they were asked for.
    """

    joints: Array
    confidence: NDArray[np.float32]
    pixels: Array
    scale: float | None


@dataclass(frozen=True)
class _Work:
    """One call of `lift_people`: what stays the same from person to person."""

    poses: PoseSequence
    keypoints: PoseSequence
    network: nn.Module
    settings: LiftSettings
    camera: Pinhole | None
    notes: Notes
    advance: Callable[[float], None]

    @property
    def preparation(self) -> Preparation:
        """What the weights expect."""
        found = getattr(self.network, "preparation", None)
        if not isinstance(found, Preparation):
            raise ConfigError(f"network: a {type(self.network).__name__} does not lift. Load an LCN or an EHGFormer.")
        return found

    @property
    def window(self) -> int:
        """Frames that the network sees at once."""
        return LiftingWindows(self.network, flip=False, overlap=0).window

    def resampled_from(self) -> float | None:
        """The rate at which the network sees frames, where it is another one than theirs; None: theirs."""
        trained, fps = self.preparation.fps, self.poses.fps
        if trained is None or self.window == 1 or abs(fps / trained - 1) <= _RATE_TOLERANCE:
            return None
        return None if self.settings.latency_frames is not None else trained

    def note_assumptions(self) -> None:
        """What is taken for granted: heights, a focal length, and a frame rate that the weights were not made for."""
        settings, people, focal = self.settings, self.poses.num_people, self.preparation.assumed_focal
        if people > 1 and (settings.height is not None or settings.bones):
            self.notes.add(f"all {people} people were taken to be as large as stated; lift them alone with --person")
        if self.preparation.form != "image" and self.camera is None and focal is not None:
            self.notes.add(
                f"the focal length is not known: {focal:g} times the longer side of the image was assumed (state it: "
                "--focal PIXELS, or --camera FILE)"
            )
        trained, fps = self.preparation.fps, self.poses.fps
        if trained is None or self.window == 1 or abs(fps / trained - 1) <= _RATE_TOLERANCE:
            return
        both = f"the poses have {fps:g} frames per second and the weights were made at {trained:g}"
        if self.resampled_from() is None:
            self.notes.add(f"{both}: with a latency they see motion {fps / trained:.2g} times as slow as in training")
        else:
            self.notes.add(f"{both}: keypoints were resampled to {trained:g} for the network, and its joints back")

    def lift_person(self, person: int) -> _Person:
        """Everything about one row of the poses."""
        settings, camera = self.settings, self.camera
        observed = self._observed(person)
        bridged = bridge_gaps(observed, self._longest_gap())
        filled = bridged.filled
        pixels = bridged.values
        if self.window == 1:  # what is not seen at all is not lifted from where it might have been
            unseen = ~seen_joints(observed).any(axis=1)
            pixels[unseen], filled[unseen] = np.nan, False
        self.notes.bridged(person, filled)
        note_posture(self.notes, person, pixels, self.keypoints.image_size)
        usable = enough(pixels, self.preparation)
        self._note_missing(person, pixels, usable)
        joints = np.full((*pixels.shape[:2], 3), np.nan)
        confidence = bridge_confidence(self.keypoints.confidence[person], filled)
        confidence[~np.isfinite(pixels).all(axis=-1)] = 0
        share = 1 / self.poses.num_people
        pieces = runs(usable)
        total = sum(stop - start for start, stop in pieces)
        for start, stop in pieces:
            part = share * (stop - start) / total
            joints[start:stop] = self._lift_piece(pixels[start:stop], confidence[start:stop], part)
        if not pieces:
            self.advance(share)
            return _Person(joints, confidence, pixels, None)
        note_sides(self.notes, person, in_pixels(self.poses), pixels, joints)
        scale = None
        if self.preparation.form == "image" and (settings.height or settings.bones or camera):
            joints = steady_size(joints, self.poses.fps) * STANDARD_HEIGHT_M
        if settings.height is not None or settings.bones:
            scale = metres_per_unit(joints, settings.height, settings.bones)
            joints *= scale
            scale = scale if np.isfinite(scale) else None  # of a person in one point
        if camera is not None:
            root = fit_root_path(joints, pixels, confidence.astype(np.float64), camera, self.poses.fps)
            joints += root[:, None]
        return _Person(joints, confidence, pixels, scale)

    def _observed(self, person: int) -> Array:
        """Pixels (T, 17, 2) with NaN for what was not observed well enough."""
        pixels = self.keypoints.positions[person].astype(np.float64)
        unsure = self.keypoints.confidence[person] < self.settings.min_confidence
        self.notes.unsure(person, int((unsure & np.isfinite(pixels).all(axis=-1)).sum()))
        pixels[unsure] = np.nan
        return np.asarray(pixels)

    def _longest_gap(self) -> int:
        """Frames of the longest gap that is bridged."""
        if self.settings.latency_frames is not None:
            return 0
        return int(self.settings.max_gap_s * self.poses.fps + 1e-6)

    def _note_missing(self, person: int, pixels: Array, usable: Flags) -> None:
        """What was left out, and what the network had to make up."""
        who = self.notes.name(person)
        seen = seen_joints(pixels)
        if not usable.any():
            needed = "all joints" if self.preparation.form == "image" else f"at least {LEAST_JOINTS} joints"
            self.notes.add(f"{who}: no frame shows {needed} of h36m17: not lifted")
            return
        partial = int((seen.any(axis=1) & ~usable).sum())
        if partial:
            self.notes.add(f"{who}: {_frames(partial)} with too few joints, not lifted")
        unseen = int((~seen.any(axis=1)).sum())
        if unseen:
            self.notes.add(f"{who}: not seen in {_frames(unseen)}, which stay empty")
        made_up = int((~seen[usable]).sum())
        if made_up:
            self.notes.add(f"{who}: joints not seen: {made_up}; their 3D positions are guesses, with confidence 0")

    def _lift_piece(self, pixels: Array, confidence: NDArray[np.float32], share: float) -> Array:
        """Root-relative joints (n, 17, 3) in camera axes of one piece, which is a `share` of the work."""
        rate = self.resampled_from()
        if rate is None:
            return self._lift_frames(pixels, confidence, share)
        fps = self.poses.fps
        seen, sure = at_rate(pixels, fps, rate), at_rate(confidence[..., None].astype(np.float64), fps, rate)[..., 0]
        usable = enough(seen, self.preparation)
        joints = np.full((len(seen), *pixels.shape[1:2], 3), np.nan)
        for start, stop in runs(usable):
            part = self._lift_frames(seen[start:stop], sure[start:stop], share * (stop - start) / int(usable.sum()))
            joints[start:stop] = part
        return back_to_rate(joints, len(pixels), fps, rate)

    def _lift_frames(self, pixels: Array, confidence: NDArray[Any], share: float) -> Array:
        """As `_lift_piece`, at the rate at which the frames are."""
        latency = self.settings.latency_frames
        overlap = self.settings.overlap if latency is None else 1 - 1e-6  # a stream takes a window at every frame
        windows = LiftingWindows(self.network, flip=self.settings.flip, overlap=overlap)
        expected = max(1, 1 + -(-(len(pixels) - windows.window) // windows.stride))
        windows.done = lambda count: self.advance(share * count / expected)
        blocks = list(self._prepared(pixels, confidence))
        x = torch.cat([prepared.x for prepared in blocks]).reshape(len(pixels), CHANNELS)
        y = apply_windows(
            windows,
            x,
            stride=windows.stride,
            short="whole",
            look_ahead=latency,
            blend="ramp",
            chunk_frames=windows.chunk_frames,
        ).reshape(len(pixels), -1, 3)
        parts, begin = [], 0
        for prepared in blocks:
            parts.append(prepared.restore(y[begin : begin + len(prepared.x)].numpy()))
            begin += len(prepared.x)
        return np.concatenate(parts)

    def _prepared(self, pixels: Array, confidence: NDArray[Any]) -> Iterator[Any]:
        """The input in blocks of frames, so that memory does not grow with the clip."""
        size = self.keypoints.image_size
        assert size is not None  # refuse_what_cannot_be_lifted
        for begin in range(0, len(pixels), _FRAMES_AT_ONCE):
            part = slice(begin, begin + _FRAMES_AT_ONCE)
            yield prepare(self.preparation, pixels[part], confidence[part], size, self.camera)


def seen_joints(pixels: Array) -> Flags:
    """(T, J) joints of pixels (T, J, 2) that are not missing."""
    return np.asarray(np.isfinite(pixels).all(axis=-1))


def enough(pixels: Array, preparation: Preparation) -> Flags:
    """(T,) frames of pixels (T, 17, 2) that show as many joints as the weights need."""
    least = H36M_17.num_joints if preparation.form == "image" else LEAST_JOINTS
    return np.asarray(seen_joints(pixels).sum(axis=1) >= least)


def _one_unit(preparation: Preparation, metric: bool, placed: bool) -> str:
    """What 1.0 of the result is, in words."""
    if metric:
        return "one metre"
    if preparation.form != "image" or placed:
        height = (
            "a person as tall as those of the training data" if preparation.form != "image" else "a person of 1.70 m"
        )
        return f"one metre, were this {height}"
    return "half the width of the image at the distance of the person"


def _config(network: nn.Module) -> Any:
    config = getattr(network, "config", None)
    return config.model_dump(mode="json") if isinstance(config, BaseModel) else type(network).__name__


def _stacked(parts: list[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.stack([np.asarray(part, dtype=np.float32).reshape(shape) for part in parts])


def _frames(count: int) -> str:
    return f"{count} frame{'s' if count > 1 else ''}"


def _ignore(share: float) -> None:
    """Nobody watches."""
