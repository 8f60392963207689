"""Which joints belong together, as data: the neighbours of LCN, its masks, and the partitions of EHGFormer. NumPy only.

Joints are in the order of `h36m17` (`poseworks.core.H36M_17`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseworks.core.skeletons import H36M_17

Array = NDArray[np.float32]
Neighbours = tuple[tuple[int, ...], ...]
MaskType = Literal[
    "locally_connected",
    "locally_connected_learnable",
    "row_normalised",
    "symmetric",
    "laplacian",
    "ones",
    "random",
]

# LCN's graph 0, the only one it was published with: the limbs, and the spine joined to both shoulders.
GRAPH_0: Neighbours = (
    (1, 4, 7), (0, 7, 2), (1, 3), (2,), (0, 7, 5), (4, 6), (5,),
    (1, 0, 4, 14, 8, 11), (7, 9, 11, 14), (8, 10), (9,),
    (8, 7, 12), (11, 13), (12,), (8, 7, 15), (14, 16), (15,),
)  # fmt: skip

# EHGFormer's groups. 1: torso, right leg, left leg, head, left arm, right arm. 2: lower body, belly, upper body.
PARTITIONS: dict[int, tuple[int, ...]] = {
    1: (0, 1, 1, 1, 2, 2, 2, 0, 0, 3, 3, 4, 4, 4, 5, 5, 5),
    2: (0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2),
}

_RANDOM_EDGES = 20


def adjacency(neighbours: Neighbours) -> Array:
    """(J, J) ones where two joints are neighbours, and on the diagonal."""
    matrix = np.eye(len(neighbours), dtype=np.float32)
    for joint, near in enumerate(neighbours):
        matrix[joint, list(near)] = 1
    return matrix


def within(matrix: Array, knn: int) -> Array:
    """(J, J) ones where a joint is reached in `knn` steps or fewer, given ones on the diagonal of `matrix`."""
    reached: Array = (np.linalg.matrix_power(matrix.astype(np.float64), knn) != 0).astype(np.float32)
    return reached


def random_graph(joints: int, edges: int, rng: np.random.Generator) -> Neighbours:
    """A simple graph with this number of edges, all such graphs equally likely."""
    rows, columns = np.triu_indices(joints, 1)
    drawn = rng.choice(len(rows), size=min(edges, len(rows)), replace=False)
    pairs = [(int(rows[edge]), int(columns[edge])) for edge in drawn]
    return tuple(
        tuple(sorted([b for a, b in pairs if a == joint] + [a for a, b in pairs if b == joint]))
        for joint in range(joints)
    )


def mask(
    mask_type: MaskType,
    neighbours: Neighbours,
    knn: int,
    *,
    lengths: Sequence[float] | None = None,
    seed: int = 0,
) -> Array:
    """(J, J) indexed [input joint, output joint]: what each block of a locally connected weight is multiplied by.

    With A the ones of `within`: ``locally_connected`` and the start of ``locally_connected_learnable``: A^T;
    ``row_normalised``: A over its row sums, transposed; ``symmetric``: D^-1/2 A D^-1/2; ``laplacian``: see
    `rescaled_laplacian` (knn does not enter); ``ones``: all ones; ``random``: A of a random graph of 20 edges.

    Args:
        lengths: for ``laplacian``, mean lengths of the edges in the order of `edges`.
        seed: for ``random``.
    """
    if mask_type == "laplacian":
        return rescaled_laplacian(neighbours, lengths or ()).T.copy()
    if mask_type == "ones":
        return np.ones((len(neighbours), len(neighbours)), dtype=np.float32)
    if mask_type == "random":
        neighbours = random_graph(len(neighbours), _RANDOM_EDGES, np.random.default_rng(seed))
    near = within(adjacency(neighbours), knn)
    if mask_type == "row_normalised":
        near = near / near.sum(axis=1, keepdims=True)
    if mask_type == "symmetric":
        root = np.sqrt(near.sum(axis=1))
        near = near / root[:, None] / root[None, :]
    return near.T.copy()


def edges(neighbours: Neighbours) -> tuple[tuple[int, int], ...]:
    """Each pair of neighbours once, in the order in which the lists name them first."""
    found: list[tuple[int, int]] = []
    for joint, near in enumerate(neighbours):
        found += [(joint, other) for other in near if (other, joint) not in found]
    return tuple(found)


def rescaled_laplacian(neighbours: Neighbours, lengths: Sequence[float]) -> Array:
    """(J, J) normalised Laplacian less the identity: -D^-1/2 W D^-1/2, with weights that fall off with limb length.

    W = exp(-(length / (mean + standard deviation of the lengths))^2) on the edges, zero elsewhere and on the diagonal.
    The original's eigenvalue bound is 2, so that rescaling to [-1, 1] takes the identity away again.
    """
    length = np.asarray(lengths, dtype=np.float64)
    weight = np.exp(-np.square(length / (length.mean() + length.std())))
    matrix = np.zeros((len(neighbours), len(neighbours)))
    for (a, b), value in zip(edges(neighbours), weight, strict=True):
        matrix[a, b] = matrix[b, a] = value
    degree = matrix.sum(axis=0)
    root = np.sqrt(np.where(degree > 0, degree, 1))
    return (-matrix / root[:, None] / root[None, :]).astype(np.float32)


def published_relation(skeleton_parents: Sequence[int] = H36M_17.parents) -> Array:
    """(J, J) start of EHGFormer's joint-to-joint bias: the tree with self-loops over its column sums.

    As published the root's missing parent, -1, is taken as the last joint: so there is an edge 0-16 too many.
    Checkpoints overwrite the bias; the edge is kept for training runs that start as the original's did.
    """
    joints = len(skeleton_parents)
    matrix = np.eye(joints, dtype=np.float32)
    for joint, parent in enumerate(skeleton_parents):
        matrix[joint, parent] = matrix[parent, joint] = 1
    shared: Array = matrix / matrix.sum(axis=0, keepdims=True)
    return shared
