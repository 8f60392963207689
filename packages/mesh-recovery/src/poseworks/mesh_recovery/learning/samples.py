"""From people in pictures to batches: crops, and what is known about the people turned and mirrored with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from poseworks.core.errors import ConfigError
from poseworks.core.keypoint_conventions import flip_pairs
from poseworks.mesh_recovery.crops import Preparation, normalised, turn_joints
from poseworks.mesh_recovery.learning.augmentation import NOT_AUGMENTED, Augmentation, Augmenter, Cropped
from poseworks.mesh_recovery.learning.batches import Batch, augmented_pose
from poseworks.mesh_recovery.learning.image_data import ImageData


class PartLabels(Protocol):
    """Makes the part labels of a batch that has none: (B, H, W) int64, as `Batch.parts`."""

    def __call__(self, batch: Batch) -> Tensor:
        """Of each person of the batch."""
        ...


class Sampler:
    """Makes batches of named rows of several data sets."""

    def __init__(
        self,
        data: Sequence[ImageData],
        preparation: Preparation,
        augmentation: Augmentation = NOT_AUGMENTED,
        parts: PartLabels | None = None,
    ) -> None:
        """Batches of `data`, cropped as `preparation` says.

        Raises:
            ConfigError: no data, sets of different joints, or an augmentation is for a set that is not there.
            DataError: the file of cut-outs is not there or cannot be read.
        """
        conventions = {each.convention for each in data}
        if len(conventions) != 1:
            raise ConfigError(f"data sets: expected one convention for all, got {', '.join(sorted(conventions))}.")
        self.data, self.parts = tuple(data), parts
        self._augmenter = Augmenter(augmentation, preparation, [each.name for each in data])
        self._partners = torch.arange(len(data[0].joint_names))
        for left, right in flip_pairs(data[0].convention):
            self._partners[left], self._partners[right] = right, left

    def batch(self, picks: Sequence[tuple[int, int]], rng: Generator) -> Batch:
        """A batch of these people.

        Args:
            picks: of each the number of its data set and its index in it.
            rng: all randomness; what a person gets depends on those before it as well.

        Raises:
            DataError: a picture is not there or cannot be decoded, or a box lies outside of it.
        """
        crops = [self._crop(self.data[number], number, index, rng) for number, index in picks]
        fields = {
            name: torch.stack([getattr(self.data[number], name)[index] for number, index in picks])
            for name in ("keypoints", "joints", "pose", "betas", "has_body", "rows")
        }
        flipped = torch.tensor([each.flipped for each in crops])
        rotation = torch.tensor([each.rotation_deg for each in crops], dtype=torch.float32)
        matrix = torch.from_numpy(np.stack([each.matrix for each in crops])).float()
        batch = Batch(
            images=torch.stack([normalised(each.image) for each in crops]),
            keypoints=self._keypoints(fields["keypoints"], flipped, matrix),
            joints=self._joints(fields["joints"], flipped, rotation),
            pose=augmented_pose(fields["pose"], flipped, rotation),
            betas=fields["betas"],
            has_body=fields["has_body"],
            data_set=torch.tensor([number for number, _ in picks]),
            item=fields["rows"],
            flipped=flipped,
            rotation_deg=rotation,
            crop=matrix,
            parts=None,
            joint_names=self.data[0].joint_names,
        )
        return batch if self.parts is None else batch.with_parts(self.parts(batch))

    def _crop(self, data: ImageData, number: int, index: int, rng: Generator) -> Cropped:
        return self._augmenter(data.image(index), data.squares[index].numpy(), data.known(index), number, rng)

    def _keypoints(self, keypoints: Tensor, flipped: Tensor, matrix: Tensor) -> Tensor:
        """Pixels of pictures -> -1 to 1 in the crops, as the network's preparation has it."""
        keypoints = self._exchanged(keypoints, flipped)
        moved = keypoints[..., :2] @ matrix[..., :2].mT + matrix[:, None, :, 2]
        preparation = self._augmenter.preparation
        last = preparation.size - 1 if preparation.crop == "affine" else preparation.size
        known = keypoints[..., 2:] > 0
        return torch.cat([torch.where(known, 2 * moved / last - 1, 0.0), keypoints[..., 2:]], dim=-1)

    def _joints(self, joints: Tensor, flipped: Tensor, rotation_deg: Tensor) -> Tensor:
        """Mirrored about x = 0 where wanted, then turned; what is unknown stays 0."""
        joints = self._exchanged(joints, flipped)
        signs = torch.ones(len(joints), 1, 3)
        signs[flipped, :, 0] = -1
        places = turn_joints(joints[..., :3] * signs, rotation_deg)
        return torch.cat([places, joints[..., 3:]], dim=-1)

    def _exchanged(self, x: Tensor, flipped: Tensor) -> Tensor:
        """(B, J, C) with left and right exchanged where flipped."""
        return torch.where(flipped[:, None, None], x[:, self._partners], x)
