"""The task that trains SPIN: an HMR that is taught by labels and by the bodies that are fitted in the loop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from poseworks.core.body_models import pose_prior
from poseworks.core.errors import ConfigError
from poseworks.core.rotations import matrix_to_axis_angle, six_d_to_matrix
from poseworks.core.training import TrainResult
from poseworks.mesh_recovery.hmr import HMR, BodyParameters
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.body_losses import FoundBody, KnownBodies
from poseworks.mesh_recovery.learning.fit_loop import FitLoop
from poseworks.mesh_recovery.learning.fits import FitStore
from poseworks.mesh_recovery.learning.recipes import SPINRecipe
from poseworks.mesh_recovery.learning.starting import find_file
from poseworks.mesh_recovery.learning.tasks import ParameterTask
from poseworks.mesh_recovery.spin import SPIN


class SPINTask(ParameterTask[HMR]):
    """`SPINRecipe` on its data."""

    def __init__(self, recipe: SPINRecipe, data: str | os.PathLike[str] | None) -> None:
        """Raises as `PictureTask` does, and as those who read the prior and the fits."""
        self.own = recipe
        super().__init__(recipe, data)
        if recipe.losses.adversary:
            raise ConfigError(f"{recipe.name}: losses.adversary: SPIN has no adversary. Leave it out.")
        free = recipe.network.body == "free"
        prior = pose_prior("free" if free else find_file(recipe.prior, data))
        regressor = self.network.regressor
        mean = matrix_to_axis_angle(six_d_to_matrix(regressor.mean_pose.reshape(-1, 6), "columns"))
        self.store = FitStore({each.name: each.file_rows for each in self.sets}, mean)
        if recipe.static_fits is not None:
            found = self.store.read(find_file(recipe.static_fits, data))
            rest = ", ".join(name for name in self.store.names if name not in found)
            self.start_notes.append(
                f"fits of {', '.join(found) or 'no data set'} come from {recipe.static_fits}"
                + (f"; those of {rest} start from the mean pose" if rest else "")
            )
        self.loop = FitLoop(self.body.named, prior, self.store, recipe.fits)

    def build(self) -> SPIN:
        """A SPIN."""
        return SPIN(self.own.network)

    def known_bodies(self, found: FoundBody, batch: Batch) -> tuple[KnownBodies, dict[str, Tensor]]:
        """Labels where there are some, else fits that are good enough."""
        return self.loop(BodyParameters(found.rotations, found.betas, found.camera), batch)

    def state(self) -> dict[str, Any]:
        """The fits."""
        return self.store.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on with the fits of a checkpoint."""
        self.store.restore(state)

    def save_more(self, folder: Path, run: TrainResult) -> None:
        """The fits, in the layout in which a next run may start from them."""
        self.store.write(folder / "fits")
