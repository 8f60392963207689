"""Networks of reduced size, trained from random weights on rendered pictures of the free body.

Two data sets are drawn: people in poses of cmu17's training clips, and people in poses of its validation clips, of
other subjects. (Its test clips are of people who climb.) Errors are of 14 joints in 3D, on the second set, beside the
best that one fixed pose does for all pictures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
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

VARIANTS = {
    "Normal": "{}",
    "L1": "{l1 = true}",
    "L1+COCO": "{l1 = true, coco = true}",
    "L1+COCO+Aug": "{l1 = true, coco = true, aug = true}",
}
EVERY = 8  # th frame of a clip
KEYPOINTS_ALONE = ("joints", "vertices", "pose", "betas")  # losses that are left out
# People who are seen from the front, so that a short training gets somewhere.
CAMERA = RenderSettings(
    size=96, fill=(0.8, 0.9), facing_deg=25, pitch_deg=(0, 10), roll_deg=0, shape=0.5, mixed=0, unseen=False
)
SETS: tuple[tuple[str, Split, int], ...] = (("train", "train", 5000), ("test", "val", 400))
# Steps, and whose backbone it starts from (SPIN: whose whole network, as published); None: random weights.
METHODS: dict[str, tuple[int, str | None]] = {
    "hmr": (4000, None),
    "spin": (500, "hmr"),
    "graphcmr": (2200, "hmr"),
    "pare": (3000, None),
    "graphormer": (1500, "pare"),
}
CHAINS = (("hmr", "spin", "graphcmr"), ("pare", "graphormer"))  # each after the one before, beside the other chain
VARIANT_STEPS = 300


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
    for seed, (name, split, count) in enumerate(SETS, start=1):
        poses = poses_of(split, quick)
        write_rendered(folder / name, 40 if quick else count, poses, settings=CAMERA, seed=seed, workers=2)


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


def trained_row(
    folder: Path, name: str, what: str, steps: int, overrides: Sequence[str], begins: str, quick: bool
) -> list[Cell]:
    """A training, and a line on what came of it."""
    length = [f"training.steps={3 if quick else steps}", "training.warmup_steps=50"]
    trained = train_recipe(
        name, folder / "runs" / what, data=folder, overrides=(*overrides, *length), overwrite=True, quiet=True
    )
    minutes = trained.run.seconds / 60
    parameters = sum(parameter.numel() for parameter in trained.network.parameters())
    values = trained.run.validation
    return [what, begins, parameters / 1e6, trained.run.steps, values["pa_mpjpe_mm"], values["mpjpe_mm"], minutes]


def method_row(folder: Path, method: str, quick: bool) -> list[Cell]:
    """A method in the variant Normal."""
    steps, begins = METHODS[method]
    model = f"runs/{begins}/model"
    if begins is None:
        start = []
    elif method == "spin":  # which is trained already, and goes on gently
        start = [f"start.network={model}", "training.learning_rate=2e-4"]
    else:
        start = [f"start.imagenet={model}/model.safetensors"]
    shown = "random weights" if begins is None else f"{begins}'s {'weights' if method == 'spin' else 'backbone'}"
    return trained_row(folder, f"rendered-{method}", method, steps, start, shown, quick)


def chain_rows(chain: Sequence[str], folder: Path, quick: bool) -> list[list[Cell]]:
    """Methods, each of which may start from those before it."""
    return [method_row(folder, method, quick) for method in chain]


def variant_rows(folder: Path, quick: bool) -> list[list[Cell]]:
    """The four variants of HMR, as long as each other; COCO's backbone was trained for keypoints alone before."""
    off = [f"losses.{name}.weight=0" for name in KEYPOINTS_ALONE]
    keypoints = (*off, "losses.adversary=0", "losses.keypoints.weight=10", "losses.camera=1")
    trained_row(folder, "rendered-hmr", "keypoints", VARIANT_STEPS, keypoints, "random weights", quick)
    rows = []
    for variant, switches in VARIANTS.items():
        start = ["start.coco=runs/keypoints/model/model.safetensors", f"variant={switches}"]
        begins = "keypoints' backbone" if "coco" in switches else "random weights"
        rows.append(trained_row(folder, "rendered-hmr", f"hmr {variant}", VARIANT_STEPS, start, begins, quick))
    return rows


def rendered_training(quick: bool) -> Table:
    """The five methods, and the four variants of HMR: two trainings at a time, of one thread each."""
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(2, get_context("spawn"), torch.set_num_threads, (1,)) as pool,
    ):
        folder = Path(name)
        draw(folder, quick)
        pa, plain = errors_of_mean_pose(folder)
        parts = [pool.submit(chain_rows, chain, folder, quick) for chain in CHAINS]
        parts.append(pool.submit(variant_rows, folder, quick))
        trained = [row for part in parts for row in part.result()]
    return table([["mean pose", None, None, None, pa, plain, None], *trained], quick)


def table(rows: list[list[Cell]], quick: bool) -> Table:
    """The rows with what a reader must know."""
    return Table(
        "mesh_training",
        "Networks of reduced size after a short training: people in poses that they did not see",
        ("network", "starts from", "M parameters", "steps", "PA-MPJPE mm", "MPJPE mm", "minutes"),
        rows,
        [
            describe(measure_machine(threads=1, seconds=0.3 if quick else 2.0)),
            (
                "5,000 rendered pictures of the free body to train on, 400 to test with, seen within 25 degrees of "
                "the front, 64 px; poses of cmu17's training and validation clips; 14 joints; recipes rendered-METHOD"
            ),
            "mean pose: the best single answer to all pictures, from the joints of the training pictures",
            "COCO: a backbone that was trained for keypoints alone, as long as the variants",
            "the variants are short: they are run, not compared",
            "how far each loop gets in some minutes of a core, two at a time; no measure of the methods",
        ],
    )


MEASURES = (rendered_training,)
