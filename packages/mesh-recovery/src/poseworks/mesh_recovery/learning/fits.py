"""The best body found so far for every picture of the data sets, as SPIN keeps them (Kolotouros et al. 2019, sec. 3.3).

Fits are kept for pictures as they lie on disk: what a batch shows mirrored and turned is undone when a fit comes in,
and done when it goes out.

A file of them, `NAME_fits.npy`, is a float array (n, 82) in the data set's order: 24 axis-angles in radians, the first
in camera axes, then 10 betas.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from poseworks.core.errors import CheckpointError, ConfigError, FormatError, ShapeError
from poseworks.core.files import atomic_path
from poseworks.core.formats.reading import read_npy
from poseworks.core.shapes import expect_shape
from poseworks.mesh_recovery.learning.batches import Batch, augmented_pose, original_pose

POSE, BETAS = 72, 10


class FitStore:
    """A pose and betas for every item of the data sets that are mixed, in their order."""

    def __init__(self, sizes: Mapping[str, int], pose: Tensor) -> None:
        """One and the same pose for all, and betas 0.

        Args:
            sizes: number of items by data set, in the order in which batches count the sets.
            pose: (24, 3) axis-angles, the first in camera axes.

        Raises:
            ShapeError: another shape.
            ConfigError: no data set, or an empty one.
        """
        expect_shape("pose", pose, "J=24 C=3")
        if not sizes or min(sizes.values()) < 1:
            raise ConfigError(f"fits: expected data sets with items, got {dict(sizes)}.")
        self.names = tuple(sizes)
        self._sizes = torch.tensor(list(sizes.values()))
        self._starts = self._sizes.cumsum(0) - self._sizes
        first = torch.cat((pose.detach().flatten().cpu().float(), torch.zeros(BETAS)))
        self._fits = first.expand(int(self._sizes.sum()), -1).clone()

    def read(self, folder: str | os.PathLike[str]) -> tuple[str, ...]:
        """Takes the fits of all data sets that have a file `NAME_fits.npy` in the folder; returns their names.

        Raises:
            FormatError: a file holds something else, or fits of another number of items.
        """
        found = [name for name in self.names if _file(folder, name).is_file()]
        for name in found:
            self._rows(name).copy_(torch.from_numpy(_read(_file(folder, name), len(self._rows(name)))))
        return tuple(found)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Writes a file for each data set; the folder is made."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name in self.names:
            with atomic_path(_file(folder, name)) as path, path.open("wb") as stream:
                np.save(stream, self._rows(name).numpy())

    def of(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, 24, 3) poses, mirrored and turned as the batch shows its people, and (B, 10) betas.

        Raises:
            ShapeError: the batch names an item that is not there.
        """
        fits = self._fits[self._places(batch)].to(batch.pose.device)
        pose = fits[:, :POSE].reshape(-1, 24, 3)
        return augmented_pose(pose, batch.flipped, batch.rotation_deg), fits[:, POSE:]

    def keep(self, batch: Batch, better: Tensor, pose: Tensor, betas: Tensor, loss: Tensor) -> None:
        """Puts new fits in the place of the old ones, in all processes of a run.

        Of several for one item, the one of the lowest loss stays.

        Args:
            batch: whose people they are.
            better: (B,) bool: which of them to keep.
            pose: (B, 24, 3), as the batch shows the people.
            betas: (B, 10).
            loss: (B,).

        Raises:
            ShapeError: other shapes, or the batch names an item that is not there.
        """
        size = len(batch)
        expect_shape("better", better, f"B={size}")
        expect_shape("betas", betas, f"B={size} K={BETAS}")
        expect_shape("loss", loss, f"B={size}")
        fits = torch.cat((original_pose(pose, batch.flipped, batch.rotation_deg).flatten(1), betas), dim=1)
        places = self._places(batch).to(fits.device)
        # In float64 the place of an item is exact, so that one tensor holds all that other processes need.
        news = torch.cat((torch.where(better, places, -1)[:, None].double(), loss[:, None].double(), fits), dim=1)
        news = _from_all(news.detach()).cpu()
        news = news[news[:, 0] >= 0]
        news = news[news[:, 1].argsort(stable=True)]
        _, first = np.unique(news[:, 0].numpy(), return_index=True)  # the first of each item has its lowest loss
        chosen = news[torch.from_numpy(first)]
        self._fits[chosen[:, 0].long()] = chosen[:, 2:].float()

    def state(self) -> dict[str, Tensor]:
        """What a run needs to go on."""
        return {"fits": self._fits}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to a `state`.

        Raises:
            CheckpointError: it is of other data sets.
        """
        if state["fits"].shape != self._fits.shape:
            raise CheckpointError(
                f"fits: the checkpoint has those of {len(state['fits'])} items, the data sets hold {len(self._fits)}. "
                "Resume with the data that the run was begun with."
            )
        self._fits = state["fits"].clone()

    def _rows(self, name: str) -> Tensor:
        number = self.names.index(name)
        start = int(self._starts[number])
        return self._fits[start : start + int(self._sizes[number])]

    def _places(self, batch: Batch) -> Tensor:
        """(B,) rows of the table."""
        sets, items = batch.data_set.cpu(), batch.item.cpu()
        known = (sets >= 0) & (sets < len(self.names))
        known &= (items >= 0) & (items < self._sizes[torch.where(known, sets, 0)])
        if not bool(known.all()):
            row = int((~known).nonzero()[0])
            held = ", ".join(f"{name} {size}" for name, size in zip(self.names, self._sizes.tolist(), strict=True))
            raise ShapeError(
                f"batch: item {int(items[row])} of data set {int(sets[row])} is not among the fits ({held})."
            )
        return self._starts[sets] + items


def _from_all(rows: Tensor) -> Tensor:
    """(P B, C): the rows (B, C) of every process of a run, in their order."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    gathered = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, rows.contiguous())
    return torch.cat(gathered)


def _file(folder: str | os.PathLike[str], name: str) -> Path:
    return Path(folder) / f"{name}_fits.npy"


def _read(path: Path, count: int) -> NDArray[np.float32]:
    """(count, 82) of a file."""
    array = read_npy(path)
    if array.shape != (count, POSE + BETAS) or array.dtype.kind != "f":
        raise FormatError(
            f"{path}: expected floats ({count}, {POSE + BETAS}), the pose and betas of each item of the data set, got "
            f"{array.dtype} {array.shape}. Fits belong to the very file of a data set that they were made from."
        )
    faulty = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if faulty.size:
        raise FormatError(f"{path}: {faulty.size} of {count} fits are not finite, the first in row {faulty[0]}.")
    return array.astype(np.float32)
