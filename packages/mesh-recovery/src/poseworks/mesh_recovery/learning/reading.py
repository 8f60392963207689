"""Batches for training: several data sets mixed by ratio, read in parallel workers, the same for any number of them.

Every random number of batch n follows from (seed, process, n), so that a resumed run reads what it would have read.
Each person is one draw: a data set by its ratio, then one of its rows, all alike. An epoch is as long as the largest
set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from pydantic import BaseModel, Field, NonNegativeInt, field_validator
from torch.utils.data import DataLoader, Dataset

from poseworks.core.data_folders import data_roots, where_looked
from poseworks.core.errors import ConfigError, DataError, PoseworksError
from poseworks.core.training import Place, epoch_steps
from poseworks.core.training.random import derived_seed
from poseworks.mesh_recovery.crops import Preparation
from poseworks.mesh_recovery.learning.augmentation import Augmentation
from poseworks.mesh_recovery.learning.batches import Batch
from poseworks.mesh_recovery.learning.image_data import ImageData, read_image_data
from poseworks.mesh_recovery.learning.samples import PartLabels, Sampler

_STREAM = 77  # so that batches draw other numbers than what else is seeded by (seed, process, step)


class DataSetSettings(BaseModel, frozen=True, extra="forbid"):
    """One of the data sets of a training.

    Attributes:
        name: by which augmentations name it.
        file: HumanData or SPIN's npz, in a folder of data or in its ``preprocessed_datasets``, as toolboxes have it.
        folder: of its pictures, in a folder of data or in its ``datasets``; None: the file's own.
        ratio: share of the samples, among all ratios.
        unlabelled: share of its people, its last rows, of whom the keypoints alone are used.
    """

    name: str
    file: str
    folder: str | None = None
    ratio: float = Field(1.0, gt=0)
    unlabelled: float = Field(0.0, ge=0, le=1)


class DataSettings(BaseModel, frozen=True, extra="forbid"):
    """What a training reads.

    Attributes:
        convention: of the joints, one of `poseworks.core.keypoint_conventions`.
        sets: that are mixed.
        augmentation: of their samples.
        workers: processes that read; 0: none beside the one that trains.
    """

    convention: str
    sets: tuple[DataSetSettings, ...]
    augmentation: Augmentation = Augmentation()
    workers: NonNegativeInt = 0

    @field_validator("sets")
    @classmethod
    def _named_apart(cls, sets: tuple[DataSetSettings, ...]) -> tuple[DataSetSettings, ...]:
        names = [each.name for each in sets]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"expected one or more data sets, each of another name, got {', '.join(names) or 'none'}")
        return sets

    @property
    def ratios(self) -> tuple[float, ...]:
        """Of the sets."""
        return tuple(each.ratio for each in self.sets)


def find_data(settings: DataSettings, data: str | os.PathLike[str] | None = None) -> tuple[ImageData, ...]:
    """The data sets of a training.

    Args:
        settings: which.
        data: folders in which to look, separated as in PATH; None: those of POSEWORKS_DATA.

    Raises:
        DataError: files or folders are not there; lists all of them.
        FormatError: a file is damaged.
    """
    roots = data_roots(data)
    found: list[tuple[DataSetSettings, Path, Path]] = []
    missing = []
    for each in settings.sets:
        file = _first(roots, each.file, "preprocessed_datasets", each.name)
        folder = None if each.folder is None else _first(roots, each.folder, "datasets")
        if file is None or not file.is_file():
            missing.append(each.file)
        elif each.folder is not None and (folder is None or not folder.is_dir()):
            missing.append(f"folder {each.folder}")
        else:
            found.append((each, file, folder or file.parent))
    if missing:
        raise DataError(
            f"training data: {', '.join(missing)}: not found in {where_looked(roots)}. Name the folder that holds them "
            "with --data or POSEWORKS_DATA; their licences want you to get them from their makers."
        )
    return tuple(
        read_image_data(file, folder, settings.convention, each.name).unlabelled(each.unlabelled)
        for each, file, folder in found
    )


def _first(roots: Sequence[Path], name: str, *below: str) -> Path | None:
    """What is called `name` in the first root, or in folders of a root, that has it."""
    places = (place / name for root in roots for place in (root, *(root / folder for folder in below)))
    return next((place for place in places if place.exists()), None)


@dataclass(frozen=True)
class Mix:
    """How people are drawn from data sets.

    Attributes:
        sizes: of the sets.
        ratios: of the sets, in any unit.

    Raises:
        ConfigError: not a ratio a set, or one that is not above 0.
    """

    sizes: tuple[int, ...]
    ratios: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.sizes) != len(self.ratios) or not all(ratio > 0 for ratio in self.ratios):
            raise ConfigError(f"ratios: expected {len(self.sizes)} numbers above 0, got {list(self.ratios)}.")

    def draw(self, count: int, rng: Generator) -> list[tuple[int, int]]:
        """Data set and index of so many people."""
        shares = np.array(self.ratios) / sum(self.ratios)
        numbers = rng.choice(len(self.sizes), count, p=shares)
        indices = rng.integers(np.array(self.sizes)[numbers])
        return list(zip(numbers.tolist(), indices.tolist(), strict=True))

    def epoch_steps(self, batch_size: int, here: Place) -> int:
        """Steps of an epoch, which is as long as the largest set."""
        return epoch_steps(max(self.sizes), batch_size, here)


class BatchReader:
    """`reader.batch(step)`: the batches of a training, read ahead by workers where there are some.

    A `with` block ends the workers.
    """

    def __init__(
        self,
        data: Sequence[ImageData],
        settings: DataSettings,
        preparation: Preparation,
        *,
        batch_size: int,
        seed: int,
        here: Place = Place(0, 1),  # noqa: B008 (frozen)
        parts: PartLabels | None = None,
    ) -> None:
        """Batches of `data`, which are those that the settings name.

        Raises:
            ConfigError: an augmentation is for a set that is not there, or batches of another size than 1 or more.
            DataError: the file of cut-outs is not there or cannot be read.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size: expected 1 or more, got {batch_size}.")
        self.mix = Mix(tuple(len(each) for each in data), settings.ratios)
        sampler = Sampler(data, preparation, settings.augmentation, parts)
        self._steps = _Steps(sampler, self.mix, batch_size, (seed, here.rank))
        self._workers = settings.workers
        self._ahead: Iterator[Batch | PoseworksError] | None = None
        self._next = -1

    def batch(self, step: int) -> Batch:
        """The batch of a step; the next ones are read meanwhile.

        Raises:
            DataError: a picture is not there or cannot be decoded, or a box lies outside of it.
        """
        if not self._workers:
            read = self._steps[step]
        else:
            if self._ahead is None or step != self._next:
                self._ahead = iter(
                    DataLoader(
                        self._steps, batch_size=None, sampler=range(step, 1 << 62), num_workers=self._workers,
                        collate_fn=_as_it_is,
                    )
                )  # fmt: skip
            read = next(self._ahead)
            self._next = step + 1
        if isinstance(read, PoseworksError):
            raise read
        return read

    def close(self) -> None:
        """Ends the workers."""
        self._ahead = None

    def __enter__(self) -> BatchReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Steps(Dataset[Batch | PoseworksError]):
    """Batch n of a run; an error is handed back, as workers would bury its message in a traceback."""

    def __init__(self, sampler: Sampler, mix: Mix, batch_size: int, seed: tuple[int, ...]) -> None:
        self.sampler, self.mix, self.batch_size, self.seed = sampler, mix, batch_size, seed

    def __getitem__(self, step: int) -> Batch | PoseworksError:
        rng = np.random.default_rng(derived_seed(*self.seed, step, _STREAM))
        try:
            return self.sampler.batch(self.mix.draw(self.batch_size, rng), rng)
        except PoseworksError as error:
            return error


def _as_it_is(read: Any) -> Any:
    return read


def in_order(sampler: Sampler, batch_size: int) -> Iterator[Batch]:
    """Every person of the sampler's sets once, in their order: for validation, not augmented if the sampler does not.

    Raises:
        DataError: a picture is not there or cannot be decoded, or a box lies outside of it.
    """
    picks = [(number, index) for number, data in enumerate(sampler.data) for index in range(len(data))]
    rng = np.random.default_rng(0)
    for start in range(0, len(picks), batch_size):
        yield sampler.batch(picks[start : start + batch_size], rng)
