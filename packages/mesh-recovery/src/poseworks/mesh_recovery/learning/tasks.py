"""The tasks that train the networks: a batch is read, the network answers, its losses are put together.

HMR's adversary learns first, from bodies that the network has just found and bodies of motion capture; then it judges
those found. GraphCMR's second network sees the vertices of the first, but sends nothing back to it. A Graphormer gets
its template with some of the tokens hidden.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from poseworks.core.errors import ConfigError
from poseworks.core.keypoint_conventions import joints_of
from poseworks.core.metrics import mpjpe, pa_mpjpe
from poseworks.core.training import Adversary, TrainSettings, place
from poseworks.mesh_recovery.discriminator import Discriminator
from poseworks.mesh_recovery.graphcmr import GraphCMR, MeshAndBody
from poseworks.mesh_recovery.graphormer import Graphormer, Mesh, draw_masks
from poseworks.mesh_recovery.hmr import HMR
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.body_losses import (
    EVALUATED_24,
    FoundBody,
    KnownBodies,
    MeshTargets,
    graphcmr_losses,
    graphormer_losses,
    known_bodies,
    parameter_losses,
    weighted_sum,
)
from poseworks.mesh_recovery.learning.losses import HIPS, taken_for_real_loss, told_apart_loss
from poseworks.mesh_recovery.learning.parts import RenderedParts
from poseworks.mesh_recovery.learning.reading import BatchReader, find_data, in_order
from poseworks.mesh_recovery.learning.recipes import (
    GraphCMRRecipe,
    GraphormerRecipe,
    HMRRecipe,
    PARERecipe,
    Recipe,
)
from poseworks.mesh_recovery.learning.samples import PartLabels, Sampler
from poseworks.mesh_recovery.learning.starting import (
    PictureNetwork,
    captured_poses,
    started,
    training_body,
    training_mesh,
)
from poseworks.mesh_recovery.meshes import BodyMesh, SparseMap
from poseworks.mesh_recovery.pare import PARE

_LARGEST_MAP, _SMALLEST_MAP = 4, 32  # pixels of the picture that a place of an HRNet's map stands for

Data = str | os.PathLike[str] | None
AnyNetwork = TypeVar("AnyNetwork", bound=PictureNetwork)
AnyParametric = TypeVar("AnyParametric", HMR, PARE)
AnyFound = TypeVar("AnyFound", bound=NamedTuple)


class PictureTask(ABC, Generic[AnyNetwork]):
    """What training has in common, whatever the network: batches, the sum of losses, joints that are measured."""

    network: AnyNetwork
    adversary: Adversary | None = None

    def __init__(self, recipe: Recipe, data: Data) -> None:
        """The task of a recipe on the data in some folders.

        Raises:
            ConfigError, DataError, FormatError, CheckpointError: about files and settings, as those who read them say.
        """
        self.recipe = recipe
        self.losses = recipe.chosen_losses
        self.sets = find_data(recipe.chosen_data, data)
        self.tests = () if recipe.validation is None else find_data(recipe.validation, data)
        _expect_body(recipe, {each.name: each.body for each in (*self.sets, *self.tests)})
        self.body = training_body(recipe, data)
        self.network, self.start_notes = started(recipe, self.build, data)
        self.reader = BatchReader(
            self.sets, recipe.chosen_data, self.network.preparation, batch_size=recipe.training.batch_size,
            seed=recipe.training.seed, here=place(), parts=self.part_labels(),
        )  # fmt: skip

    @abstractmethod
    def build(self) -> AnyNetwork:
        """The network of the recipe, with new weights."""

    @abstractmethod
    def parts(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The losses of a batch by name, unweighted, and figures that are only logged."""

    @abstractmethod
    def joints(self, images: Tensor) -> Tensor:
        """(B, J, 3) that the network finds, for the validation."""

    def part_labels(self) -> PartLabels | None:
        """What labels the pixels of a batch; None: nothing does."""
        return None

    @property
    def device(self) -> torch.device:
        """Of the network."""
        return next(self.network.parameters()).device

    def settings(self) -> TrainSettings:
        """The recipe's training; an epoch is as long as the largest data set, and ends in a validation."""
        training = self.recipe.training
        steps = self.reader.mix.epoch_steps(training.batch_size, place())
        changes = {"steps_per_epoch": training.steps_per_epoch or steps}
        if self.tests and training.validate_every is None:
            changes["validate_every"] = changes["steps_per_epoch"]
        return training.model_copy(update=changes)

    def depends_on(self) -> dict[str, Any]:
        """The number of people in each data set, and what the backbone came from."""
        return {"people": {each.name: len(each) for each in self.sets}, "start": self.start_notes}

    def notes(self) -> list[str]:
        """What the weights start from, and what of the data is left out."""
        return [*self.start_notes, *(note for each in (*self.sets, *self.tests) for note in each.notes)]

    def step_loss(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The weighted sum of the losses of a batch, and each of them unweighted."""
        device = self.device
        self.body.to(device)
        if self.recipe.backbone_norms == "eval":
            _keep_norms(self.network.backbone)
        parts = self.parts(self.reader.batch(step).to(device), generator)
        with torch.autocast(device.type, enabled=False):
            return {"loss": weighted_sum(parts, self.losses), **parts}

    def validate(self) -> dict[str, float]:
        """Over the people of the validation sets whose 14 joints are known, in mm: after Procrustes, about the hips."""
        if not self.tests:
            return {}
        self.body.to(self.device)
        aligned, centred = [], []
        sampler = Sampler(self.tests, self.network.preparation)
        for batch in in_order(sampler, self.recipe.training.batch_size):
            chosen = [batch.joint_names.index(name) for name in EVALUATED_24]
            target = batch.joints[:, chosen]
            whole = (target[..., 3] > 0).all(dim=1)
            found = self.joints(batch.images.to(self.device)).float().cpu()[:, chosen][whole]
            aligned.append(pa_mpjpe(found, target[whole][..., :3]).flatten())
            centred.append(
                mpjpe(found, target[whole][..., :3], root=[EVALUATED_24.index(hip) for hip in HIPS]).flatten()
            )
        return {
            "pa_mpjpe_mm": 1000 * float(torch.cat(aligned).mean()),
            "mpjpe_mm": 1000 * float(torch.cat(centred).mean()),
        }

    def finished(self) -> AnyNetwork:
        """The network itself; readers end."""
        self.reader.close()
        return self.network


class ParameterTask(PictureTask[AnyParametric]):
    """Networks that give the parameters of a body: PARE, and what HMR and SPIN are made of."""

    def parts(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """See `parameter_losses`; with an adversary, what it says."""
        found = self.network(batch.images)
        with torch.autocast(batch.images.device.type, enabled=False):
            found = _in_float(found)
            known, figures = self.known_bodies(found, batch)
            preparation = self.network.preparation
            parts = parameter_losses(found, batch, self.body, self.losses, preparation, known)
            return parts | figures | self.judged(found, generator)

    def known_bodies(self, found: FoundBody, batch: Batch) -> tuple[KnownBodies, dict[str, Tensor]]:
        """The bodies that are to be found, and figures for the log: here those of the batch, and none."""
        return known_bodies(batch), {}

    def judged(self, found: FoundBody, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses that are not of the batch: here none."""
        return {}

    def joints(self, images: Tensor) -> Tensor:
        """(B, J, 3) of the body that is found."""
        found = _in_float(self.network(images))
        return self.body.joints(found.rotations, found.betas)


class HMRTask(ParameterTask[HMR]):
    """`HMRRecipe` on its data."""

    def __init__(self, recipe: HMRRecipe, data: Data) -> None:
        self.own = recipe
        super().__init__(recipe, data)
        if recipe.adversary is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(recipe.training.seed + 1)
                judge = Discriminator(recipe.adversary.network)
            self.adversary = Adversary(judge, recipe.adversary.learning_rate)
            self.captured = captured_poses(recipe.adversary.motion, data)
        elif recipe.losses.adversary:
            raise ConfigError(f"{recipe.name}: losses.adversary needs the table adversary, with its motion.")

    def build(self) -> HMR:
        """An HMR."""
        return HMR(self.own.network)

    def judged(self, found: FoundBody, generator: torch.Generator) -> dict[str, Tensor]:
        """The adversary learns to tell these bodies from captured ones, then says what it takes them for."""
        if self.adversary is None:
            return {}
        drawn = torch.randint(len(self.captured[0]), (len(found.betas),), generator=generator)
        rotations, betas = (x[drawn].to(found.betas.device) for x in self.captured)
        judge = self.adversary.network
        told_apart = told_apart_loss(judge(rotations, betas), judge(found.rotations.detach(), found.betas.detach()))
        self.adversary.update(told_apart)
        with self.adversary.frozen():
            fooled = taken_for_real_loss(judge(found.rotations, found.betas))
        return {"adversary": fooled, "adversary_own": told_apart.detach()}


class PARETask(ParameterTask[PARE]):
    """`PARERecipe` on its data."""

    def __init__(self, recipe: PARERecipe, data: Data) -> None:
        self.own, self.data = recipe, data
        super().__init__(recipe, data)

    def build(self) -> PARE:
        """A PARE."""
        return PARE(self.own.network)

    def part_labels(self) -> RenderedParts | None:
        """Parts in the size of the network's map, where the recipe has a loss for them."""
        if not self.losses.parts:
            return None
        preparation = self.network.preparation
        names = joints_of(self.recipe.data.convention)
        scale = _SMALLEST_MAP if self.own.network.backbone.features == "downsampled" else _LARGEST_MAP
        body = training_body(self.recipe, self.data).body  # its own: labels are drawn on the CPU, whatever trains
        return RenderedParts(body, preparation.size // scale, preparation, names)


class _MeshTask(PictureTask[AnyNetwork]):
    """Networks that give a mesh."""

    mesh: BodyMesh

    def joints(self, images: Tensor) -> Tensor:
        """(B, J, 3) of the full mesh."""
        return self.body.of_mesh(self.network(images).vertices.float())


class GraphCMRTask(_MeshTask[GraphCMR]):
    """`GraphCMRRecipe` on its data."""

    def __init__(self, recipe: GraphCMRRecipe, data: Data) -> None:
        self.own, self.mesh = recipe, training_mesh(recipe, data)
        super().__init__(recipe, data)

    def build(self) -> GraphCMR:
        """A GraphCMR."""
        network = GraphCMR(self.own.network, self.mesh)
        if self.own.initial == "inputs":
            network.graph.start_by_inputs()
        return network

    def parts(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """See `graphcmr_losses`."""
        network = self.network
        vertices, camera = network.mesh(batch.images)
        with torch.autocast(batch.images.device.type, enabled=False):
            vertices, camera = vertices.float(), camera.float()
            second = network.regressor
            body = (None, None) if second is None else second(vertices.detach(), network.reference)
            found = MeshAndBody(vertices, network.up(vertices), camera, *body)
            return graphcmr_losses(found, batch, self.body, self.losses, network.preparation)


class GraphormerTask(_MeshTask[Graphormer]):
    """`GraphormerRecipe` on its data."""

    def __init__(self, recipe: GraphormerRecipe, data: Data) -> None:
        self.own, self.mesh = recipe, training_mesh(recipe, data)
        super().__init__(recipe, data)
        levels = self.mesh.levels
        self.targets = MeshTargets(self.body, [SparseMap(levels.down(0)), SparseMap(levels.down(1))])

    def build(self) -> Graphormer:
        """A Graphormer."""
        return Graphormer(self.own.network, self.mesh)

    def parts(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """See `graphormer_losses`."""
        device = batch.images.device
        masked = draw_masks(len(batch), self.own.network.vertices[-1], generator, self.own.masked).to(device)
        found: Mesh = self.network(batch.images, masked=masked)
        with torch.autocast(device.type, enabled=False):
            targets: MeshTargets = self.targets.to(device)
            return graphormer_losses(_in_float(found), batch, targets, self.losses, self.network.preparation)


def _expect_body(recipe: Recipe, bodies: Mapping[str, str]) -> None:
    """Nothing, if all data sets are of the body of the network.

    Raises:
        ConfigError: betas and joints of SMPL and of the free body do not mean the same.
    """
    wrong = [f"{name} ({body})" for name, body in bodies.items() if body != recipe.network.body]
    if wrong:
        raise ConfigError(
            f"{recipe.name}: the network is of the body {recipe.network.body}, but {', '.join(wrong)}. "
            "Set network.body to that of the data."
        )


def _keep_norms(network: nn.Module) -> None:
    """Its batch norms use the statistics that they have, and keep them."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def _in_float(found: AnyFound) -> AnyFound:
    """The answer of a network in float32, whatever precision it was computed in."""
    return found._replace(**{name: x.float() for name, x in found._asdict().items() if isinstance(x, Tensor)})
