"""Networks of reduced size, trained from random weights on rendered pictures of the free body.

Two data sets are drawn: people in poses of cmu17's training clips, and people in poses of its validation clips, of
other subjects. (Its test clips are of people who climb.) Errors are of 14 joints in 3D, on the second set, beside the
best that one fixed pose does for all pictures.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.common import DATA, Cell, Table, describe, measure_machine
from poseworks.core.metrics import mpjpe, pa_mpjpe, similarity_align
from poseworks.core.motion_data import Split, read_clips
from poseworks.core.poses import PoseSequence
from poseworks.mesh_recovery.fitting.poses_3d import fit_3d
from poseworks.mesh_recovery.learning.body_losses import EVALUATED_24
from poseworks.mesh_recovery.learning.image_data import read_image_data
from poseworks.mesh_recovery.learning.losses import HIPS
from poseworks.mesh_recovery.learning.people import RenderSettings, world_poses
from poseworks.mesh_recovery.learning.rendered import FILE, write_rendered
from poseworks.mesh_recovery.learning.training import train_recipe

METHODS = ("hmr", "spin", "graphcmr", "pare", "graphormer")
VARIANTS = {
    "L1": "{l1 = true}",
    "L1+COCO": "{l1 = true, coco = true}",
    "L1+COCO+Aug": "{l1 = true, coco = true, aug = true}",
}
EVERY = 8  # th frame of a clip
KEYPOINTS_ALONE = ("joints", "vertices", "pose", "betas")  # losses that are left out
CAMERA = RenderSettings(size=96, fill=(0.7, 0.9), facing_deg=60)  # so that a short training gets somewhere
SETS: tuple[tuple[str, Split, int, float], ...] = (("train", "train", 6000, 0.25), ("test", "val", 500, 0.0))


def poses_of(split: Split, quick: bool) -> NDArray[np.float64]:
    """(N, 24, 3): bodies fitted to every so-many-th frame of the clips of a split."""
    poses = []
    for clip in read_clips(DATA / "cmu17.npz", split)[: 4 if quick else None]:
        names = clip.skeleton.joint_names
        sequence = PoseSequence(
            positions=clip.positions[None, ::EVERY], joint_names=names, skeleton=clip.skeleton.name,
            fps=clip.fps / EVERY, unit="m", frame="world",
        )  # fmt: skip
        poses.append(world_poses(fit_3d(sequence, "free").motion))
    return np.concatenate(poses)


def draw(folder: Path, quick: bool) -> None:
    """The two data sets, where the recipes look for them."""
    for seed, (name, split, count, mixed) in enumerate(SETS, start=1):
        settings = CAMERA.model_copy(update={"mixed": mixed})
        poses = poses_of(split, quick)
        write_rendered(folder / name, 40 if quick else count, poses, settings=settings, seed=seed, workers=2)


def joints_of(folder: Path) -> Tensor:
    """(N, 14, 3) of a data set."""
    data = read_image_data(folder / FILE, folder, "smpl_24")
    chosen = [data.joint_names.index(name) for name in EVALUATED_24]
    return data.joints[:, chosen, :3]


def mean_pose(joints: Tensor, rounds: int = 10) -> Tensor:
    """(1, 14, 3): the pose to which all come nearest, each turned, moved and scaled (Gower 1975)."""
    mean = joints[:1]
    for _ in range(rounds):
        aligned = similarity_align(joints, mean.expand_as(joints))
        mean = aligned.mean(dim=0, keepdim=True)
    return mean


def errors_of_mean_pose(folder: Path) -> tuple[float, float]:
    """PA-MPJPE of the mean pose, and MPJPE of the mean of the joints about the hips, in mm."""
    train, test = joints_of(folder / "train"), joints_of(folder / "test")
    hips = [EVALUATED_24.index(hip) for hip in HIPS]
    aligned = pa_mpjpe(mean_pose(train).expand_as(test), test).mean()
    centre = (train - train[:, hips].mean(dim=1, keepdim=True)).mean(dim=0).expand_as(test)
    return 1000 * float(aligned), 1000 * float(mpjpe(centre, test, root=hips).mean())


def trained_row(folder: Path, name: str, what: str, overrides: Sequence[str], quick: bool) -> list[Cell]:
    """A training, and a line on what came of it."""
    short = ("training.steps=3", "training.batch_size=4", "training.warmup_steps=0") if quick else ()
    started = time.process_time()
    trained = train_recipe(
        name, folder / "runs" / what, data=folder, overrides=(*overrides, *short), overwrite=True, quiet=True
    )
    minutes = (time.process_time() - started) / 60
    parameters = sum(parameter.numel() for parameter in trained.network.parameters())
    values = trained.run.validation
    return [what, parameters / 1e6, trained.run.steps, values["pa_mpjpe_mm"], values["mpjpe_mm"], minutes]


def begin_with_keypoints(folder: Path, quick: bool) -> str:
    """An override that names a backbone trained for keypoints alone: what a COCO-pose file is to the study."""
    off = [f"losses.{name}.weight=0" for name in KEYPOINTS_ALONE]
    overrides = (*off, "losses.adversary=0", "losses.keypoints.weight=10", "losses.camera=1")
    trained_row(folder, "rendered-hmr", "keypoints", overrides, quick)
    return "start.coco=runs/keypoints/model/model.safetensors"


def rendered_training(quick: bool) -> Table:
    """The five methods, and the four variants of HMR."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder, quick)
        pa, plain = errors_of_mean_pose(folder)
        rows: list[list[Cell]] = [["mean pose", None, None, pa, plain, None]]
        rows += [trained_row(folder, f"rendered-{method}", method, (), quick) for method in METHODS]
        start = begin_with_keypoints(folder, quick)
        rows += [
            trained_row(folder, "rendered-hmr", f"hmr {variant}", (f"variant={switches}", start), quick)
            for variant, switches in VARIANTS.items()
        ]
    return Table(
        "mesh_training",
        "Networks of reduced size after a short training from random weights: people in poses that it did not see",
        ("network", "M parameters", "steps", "PA-MPJPE mm", "MPJPE mm", "CPU minutes"),
        rows,
        [
            describe(measure_machine(threads=1, seconds=0.3 if quick else 2.0)),
            (
                "6,000 rendered pictures of the free body to train on, 500 to test with, seen within 60 degrees of "
                "the front, 64 px; poses of cmu17's training and validation clips; 14 joints; recipes rendered-METHOD"
            ),
            "mean pose: the best single answer to all pictures, from the joints of the training pictures",
            "hmr alone is the variant Normal; COCO: a backbone that was trained for keypoints alone, as long",
            "a proof that each loop learns; no measure of the methods, which this data and these sizes do not give",
        ],
    )


MEASURES = (rendered_training,)
