"""What a training starts from: the body, the network with new or given weights, the poses that an adversary knows."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from poseworks.core.body_models import JointRegressor, load_body, read_extra_regressor
from poseworks.core.data_folders import data_roots, where_looked
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.formats.human_data import read_human_data
from poseworks.core.keypoint_conventions import joints_of
from poseworks.core.rotations import axis_angle_to_matrix
from poseworks.mesh_recovery.graphcmr import GraphCMR
from poseworks.mesh_recovery.graphormer import Graphormer
from poseworks.mesh_recovery.hmr import HMR
from poseworks.mesh_recovery.learning.body_losses import NamedBody
from poseworks.mesh_recovery.learning.recipes import Recipe
from poseworks.mesh_recovery.loading import load
from poseworks.mesh_recovery.meshes import BodyMesh, body_mesh
from poseworks.mesh_recovery.pare import PARE
from poseworks.mesh_recovery.starting_weights import load_backbone, start_from_mean

Data = str | os.PathLike[str] | None
PictureNetwork = HMR | PARE | GraphCMR | Graphormer  # SPIN is an HMR
Made = TypeVar("Made", bound=PictureNetwork)

_SHOWN = 4  # names of tensors that a note lists


def find_file(name: str, data: Data) -> Path:
    """A file or folder of this name in the first folder of data that has it.

    Raises:
        DataError: none has; says where it was looked for.
    """
    roots = data_roots(data)
    found = next((root / name for root in roots if (root / name).exists()), None)
    if found is None:
        raise DataError(
            f"{name}: not found in {where_looked(roots)}. Name the folder that holds it with --data or POSEWORKS_DATA."
        )
    return found


def training_mesh(recipe: Recipe, data: Data) -> BodyMesh:
    """The body with its mesh at three resolutions, for networks on a mesh; raises as `find_file` and `body_mesh`."""
    if recipe.network.body == "free":
        return body_mesh(None, "free")
    body = find_file(recipe.files.body, data)
    return body_mesh(find_file(recipe.files.mesh, data), body)


def training_body(recipe: Recipe, data: Data) -> NamedBody:
    """The body that losses are computed on, its joints under the names of the recipe's data.

    Raises:
        DataError: a file is not there. FormatError: it is another.
    """
    names = joints_of(recipe.data.convention)
    if recipe.network.body == "free":
        return NamedBody(load_body("free"), names)
    body = load_body(find_file(recipe.files.body, data))
    regressors: list[JointRegressor] = []
    if recipe.files.extra_joints is not None:
        regressors.append(read_extra_regressor(find_file(recipe.files.extra_joints, data), 9))
    return NamedBody(body, names, regressors)


def started(recipe: Recipe, build: Callable[[], Made], data: Data) -> tuple[Made, list[str]]:
    """A network with the weights that the recipe's seed and files give, and sentences on what came from files.

    Raises:
        DataError: a file is not there. CheckpointError: it is of another network.
        ConfigError: the file of the network is one of other sizes, or a variant asks for a file that is not stated.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        network = build()
    network.preparation = network.preparation.model_copy(update={"size": recipe.size})
    if recipe.chosen_network is not None:
        if recipe.variant.coco and recipe.chosen_network == recipe.start.network:
            raise ConfigError(
                f"{recipe.name}: variant.coco has no effect: start.network names one network for all variants. "
                "Put {variant} into its name."
            )
        return network, [_fill(network, recipe.chosen_network, recipe, data)]
    notes = []
    if recipe.variant.coco and recipe.start.coco is None:
        raise ConfigError(f"{recipe.name}: variant.coco needs start.coco, a file of a backbone for body keypoints.")
    if recipe.chosen_backbone is not None:
        notes.append(_fill_backbone(network, find_file(recipe.chosen_backbone, data)))
    else:
        notes.append("the backbone starts from random weights")
    if recipe.start.mean_parameters is not None:
        if not isinstance(network, HMR):
            raise ConfigError(f"{recipe.name}: start.mean_parameters is of HMR and SPIN alone. Leave it out.")
        start_from_mean(network.regressor, find_file(recipe.start.mean_parameters, data))
    return network, notes


def _fill(network: PictureNetwork, source: str, recipe: Recipe, data: Data) -> str:
    """All weights from a network of the same sizes, in place."""
    path = find_file(source, data)
    given: dict[str, Any] = {}
    if recipe.kind in ("graphcmr", "graphormer") and recipe.network.body == "smpl":
        given = {"mesh": find_file(recipe.files.mesh, data), "body": find_file(recipe.files.body, data)}
    other = load(path, **given)
    theirs, ours = other.state_dict(), network.state_dict()
    if {n: x.shape for n, x in theirs.items()} != {n: x.shape for n, x in ours.items()}:
        raise ConfigError(
            f"start.network: {source} is a {type(other).__name__} of other sizes than the recipe's network."
        )
    network.load_state_dict(theirs)
    return f"starts from {source}"


def _fill_backbone(network: PictureNetwork, file: Path) -> str:
    report = load_backbone(network.backbone, file)
    random = ", ".join(report.random[:_SHOWN]) + (", ..." if len(report.random) > _SHOWN else "")
    stays = f"; {len(report.random)} stay random: {random}" if report.random else "; none stays random"
    return f"the backbone starts from {file.name}: {report.loaded} tensors{stays}"


def captured_poses(name: str, data: Data) -> tuple[Tensor, Tensor]:
    """Rotations (N, 24, 3, 3) and betas (N, 10) of the people of a HumanData file.

    Raises:
        DataError: it is not there, or holds no bodies. FormatError: it is damaged.
    """
    path = find_file(name, data)
    smpl = read_human_data(path).smpl
    if not {"body_pose", "betas"} <= set(smpl):
        raise DataError(f"{path}: no bodies for the adversary: smpl with body_pose and betas is missing.")
    pose = np.array(smpl["body_pose"], np.float32).reshape(-1, 23, 3)
    root = np.zeros((len(pose), 1, 3), np.float32)  # the adversary does not look at it
    rotations = axis_angle_to_matrix(torch.from_numpy(np.concatenate([root, pose], axis=1)))
    return rotations, torch.from_numpy(np.array(smpl["betas"], np.float32)[:, :10])
