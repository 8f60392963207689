"""A recording or poses through a chain of steps, as a folder: poses before and after, in 3D, actions, a page of all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from poseworks.core import PoseSequence, write_poses
from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.formats.body_npz import write_body_motion
from poseworks.core.progress import progress
from poseworks.core.video import open_video
from poseworks.keypoints import DetectSettings, find_people
from poseworks.pipeline.output import Target, Writer, names_of
from poseworks.pipeline.pages import run_report
from poseworks.pipeline.previews import Recording, shown_video
from poseworks.pipeline.runners import Runner
from poseworks.pipeline.sparse import sampled_every
from poseworks.pipeline.steps import ChainConfig, build, chain_for, default_chain, prepared
from poseworks.pipeline.stretches import Done, run_steps
from poseworks.skeleton_action.timeline import Timeline, write_timelines
from poseworks.temporal.harm import HarmReport

WORLD = "poses3d.world.npz"


@dataclass(frozen=True)
class RunResult:
    """What a run made.

    Attributes:
        files: path of each file written, by what it is: ``poses``, ``smooth``, ``lifted``, ``lifted_smooth`` where the
            chain goes on after lifting, ``actions`` where any were looked for, ``body`` where any were fitted,
            ``report``, and ``world`` and ``glb`` if asked for.
        before, after: the poses as they came, and after the steps that left them 2D (3D ones: after all steps).
        harm: what these steps did to the motion; left and right put back, and frames filled, are no change of it. None
            where there were none.
        lifted: the 3D poses at the end of the chain; None where nothing was lifted.
        lifted_harm: what steps after lifting did to the motion; None where there were none.
        timelines: of actions, one a person; None where none were looked for.
        body: the bodies that were fitted; None where none were.
        body_figures: how well they fit, of each person, as JSON can hold them.
        notes: sentences that a reader has to know.
    """

    files: dict[str, Path]
    before: PoseSequence
    after: PoseSequence
    harm: HarmReport | None
    lifted: PoseSequence | None
    lifted_harm: HarmReport | None
    timelines: tuple[Timeline, ...] | None
    body: BodyMotion | None
    body_figures: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]


def run_chain(
    poses: PoseSequence,
    folder: str | os.PathLike[str],
    chain: ChainConfig | None = None,
    *,
    video: str | os.PathLike[str] | None = None,
    glb: bool = False,
    title: str | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    quiet: bool = True,
) -> RunResult:
    """The poses after every step of `chain`, in `folder`: ``poses2d.npz``, ``poses2d.smooth.npz`` (3D: ``poses3d``),
    lifted ones as ``poses3d.npz`` (``poses3d.smooth.npz`` after further steps), and ``report.html``.

    Where the history says that only every N-th frame was looked at, the frames between are filled before a step
    smooths, whatever the chain.

    Args:
        poses: what a detector or a capture gave.
        folder: made if it is not there; of an existing one only these files are touched.
        chain: None: left and right put back, then smoothing by the general weights, or by those made for every
            N-th frame, then 2D poses lifted, if they are such as can be.
        video: the recording that 2D poses in pixels belong to; it becomes part of the report.
        glb: also write the bodies of a step that fits them as ``body.glb``.
        title: heading of the report; None: by the video's name.
        overwrite: replace these files where they exist.
        device: where networks run.
        quiet: no progress on stderr.

    Raises:
        ConfigError: a file exists and `overwrite` is false; settings that do not fit.
        DataError: the poses, the video or the folder cannot be used.
        CheckpointError: the weights of a step cannot be read.
    """
    chain = prepared(chain or chain_for(poses), sampled_every(poses.history))
    target = Target(Path(folder), _names(poses.num_dims, chain, glb), overwrite)
    target.check()
    recording = None
    if video is not None:
        if not Path(video).exists():
            raise DataError(f"{video}: there is no such video file.")
        with open_video(video) as opened:  # what is no recording is refused before any work
            pictures = opened.info.container == "folder"
        recording = Recording(Path(video), poses.fps if pictures else None)
    runners = _build(chain, device)
    title = title or ("Motion" if video is None else Path(video).name)
    return _Run(chain, runners, target, recording, title, quiet).finish(poses)


def run_recording(
    recording: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    settings: DetectSettings | None = None,
    chain: ChainConfig | None = None,
    *,
    world: bool = False,
    glb: bool = False,
    title: str | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    quiet: bool = True,
) -> RunResult:
    """The people in a recording, found, smoothed and lifted: the files of `run_chain`, the recording in the report.

    Args:
        recording: a video file, a folder of pictures, or one picture.
        folder: made if it is not there; of an existing one only the files of the result are touched.
        settings: who is looked for, and how often; None: everybody, in every frame.
        chain: None: smoothing by the general weights, or by those made for every N-th frame, and lifting.
        world: also write the network's own 3D guess, ``poses3d.world.npz``; its history says what it is.
        glb: also write the bodies of a step that fits them as ``body.glb``.
        title: heading of the report; None: by the recording's name.
        overwrite: replace these files where they exist.
        device: where the networks of the chain run; people are found on the CPU.
        quiet: no progress on stderr.

    Raises:
        ConfigError: a file exists and `overwrite` is false; settings that do not fit.
        DataError: the recording or the folder cannot be used, or nobody is in the recording.
        CheckpointError: the weights of a detector or a step cannot be read.
    """
    settings = settings or DetectSettings()
    chain = prepared(chain or default_chain(settings.every, unswap=False), settings.every)
    names = _names(2, chain, glb) | ({"world": WORLD} if world else {})
    target = Target(Path(folder), names, overwrite)
    target.check()
    with open_video(recording, fps=settings.fps) as video:
        frames = video.info.stated_frames
    with ThreadPoolExecutor(1) as pool, progress(frames, "detect", quiet=quiet) as advance:
        # Torch takes seconds to import: meanwhile the detector, which does without, looks for people.
        building = pool.submit(_build, chain, device)

        def listen(n: float = 1, note: str = "") -> None:
            if building.done():
                building.result()  # what is wrong with the chain need not wait for the end of the recording
            advance(n, note)

        found = find_people(recording, settings, advance=listen)
        runners = building.result()
    if world and found.world is None:
        raise ConfigError("--world: this detector gives no 3D. Drop it, or use the detector blazepose.")
    path = Path(recording)
    run = _Run(chain, runners, target, Recording(path, settings.fps), title or path.name, quiet)
    return run.finish(found.poses, found.world if world else None, found.notes)


def _names(dims: int, chain: ChainConfig, glb: bool) -> dict[str, str]:
    """Names of the files that a chain makes.

    Raises:
        ConfigError: bodies are to be written that no step fits.
    """
    if glb and not chain.fits:
        raise ConfigError("--glb: no step of the chain fits bodies. Add one of kind fit, or leave --glb out.")
    return names_of(dims, lifted=chain.lifts, recognized=chain.recognizes, fitted=chain.fits, glb=glb)


def _build(chain: ChainConfig, device: str) -> list[Runner]:
    """What runs each step."""
    return [build(step, device) for step in chain.steps]


@dataclass(frozen=True)
class _Run:
    """What is done to poses, once all of it has been checked."""

    chain: ChainConfig
    runners: Sequence[Runner]
    target: Target
    recording: Recording | None
    title: str
    quiet: bool

    def finish(
        self, poses: PoseSequence, world: PoseSequence | None = None, found_notes: Sequence[str] = ()
    ) -> RunResult:
        """The poses through all steps, and the files."""
        steps = zip(self.chain.steps, self.runners, strict=True)
        done = run_steps(poses, steps, lambda name: progress(1.0, name, quiet=self.quiet))
        notes = [*found_notes, *done.notes]
        with shown_video(self.recording, quiet=self.quiet) as (video, more):
            notes += more
            report = run_report(done, title=self.title, notes=notes, video=video)
            files = self.target.write(_writers(done, world, "glb" in self.target.names), report)
        flat, *lifted = done.stretches
        return RunResult(
            files,
            flat.before,
            flat.after,
            flat.harm,
            lifted[0].after if lifted else None,
            lifted[0].harm if lifted else None,
            done.timelines,
            done.bodies.fitted.motion if done.bodies else None,
            done.bodies.fitted.figures if done.bodies else (),
            tuple(notes),
        )


def _writers(done: Done, world: PoseSequence | None, glb: bool) -> dict[str, Writer]:
    """What writes each file, by what it is: of a stretch the poses before, and those after it if it did anything."""
    poses = {} if world is None else {"world": world}
    for stretch, (before, after) in zip(
        done.stretches, (("poses", "smooth"), ("lifted", "lifted_smooth")), strict=False
    ):
        poses[before] = stretch.before
        if stretch.harm is not None:
            poses[after] = stretch.after
    writers: dict[str, Writer] = {what: partial(write_poses, sequence) for what, sequence in poses.items()}
    if done.timelines is not None:
        writers["actions"] = partial(write_timelines, done.timelines)
    if done.bodies is not None:
        motion = done.bodies.fitted.motion
        writers["body"] = partial(write_body_motion, motion)
        if glb:
            from poseworks.core.formats.gltf import write_gltf

            writers["glb"] = partial(write_gltf, motion, done.bodies.body)
    return writers
