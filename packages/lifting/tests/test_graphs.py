"""Masks, graphs and partitions against their description."""

from __future__ import annotations

import numpy as np
import pytest

from poseworks.lifting.blocks import block_plan
from poseworks.lifting.graphs import (
    GRAPH_0,
    PARTITIONS,
    adjacency,
    edges,
    mask,
    published_relation,
    random_graph,
    rescaled_laplacian,
    within,
)

COUNTS = {1: 57, 2: 111, 3: 175, 4: 237, 5: 273, 6: 289, 9: 289}  # measured on the published code


@pytest.mark.parametrize(("knn", "nonzero"), COUNTS.items())
def test_as_many_blocks_as_the_published_mask(knn: int, nonzero: int) -> None:
    near = mask("locally_connected", GRAPH_0, knn)
    assert int(near.sum()) == nonzero
    assert set(np.unique(near)) <= {0, 1}
    np.testing.assert_array_equal(near, near.T)
    np.testing.assert_array_equal(mask("locally_connected_learnable", GRAPH_0, knn), near)


def test_the_mask_reaches_as_far_as_a_walk_along_the_graph() -> None:
    for joint in range(17):
        reached = {joint}
        for knn in (1, 2, 3, 4):
            reached |= {other for each in reached for other in GRAPH_0[each]}
            assert set(np.flatnonzero(mask("locally_connected", GRAPH_0, knn)[joint])) == reached


def test_the_normalised_masks() -> None:
    near = within(adjacency(GRAPH_0), 3)
    rows = mask("row_normalised", GRAPH_0, 3).T
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(rows != 0, near != 0)
    both = mask("symmetric", GRAPH_0, 3)
    degree = near.sum(axis=1)
    np.testing.assert_allclose(both, np.diag(degree**-0.5) @ near @ np.diag(degree**-0.5), rtol=1e-6)
    assert np.linalg.eigvalsh(both).max() == pytest.approx(1, abs=1e-6)
    assert mask("ones", GRAPH_0, 3).all()


def test_the_laplacian_is_normalised_and_rescaled() -> None:
    lengths = np.random.default_rng(0).uniform(0.1, 0.5, len(edges(GRAPH_0)))
    found = rescaled_laplacian(GRAPH_0, list(lengths))
    weight = np.zeros((17, 17))
    for (a, b), length in zip(edges(GRAPH_0), lengths, strict=True):
        weight[a, b] = weight[b, a] = np.exp(-((length / (lengths.mean() + lengths.std())) ** 2))
    d = np.diag(weight.sum(axis=0) ** -0.5)
    laplacian = np.eye(17) - d @ weight @ d
    np.testing.assert_allclose(found, 2 * laplacian / 2 - np.eye(17), atol=1e-6)
    values = np.linalg.eigvalsh(found)
    assert values.min() == pytest.approx(-1, abs=1e-6)
    assert values.max() <= 1


def test_a_random_graph_has_20_edges_and_follows_its_seed() -> None:
    graph = random_graph(17, 20, np.random.default_rng(4))
    assert len(edges(graph)) == 20
    assert all(joint in graph[other] for joint, near in enumerate(graph) for other in near)
    one, same, other = (mask("random", GRAPH_0, 2, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert (np.diag(one) == 1).all()


def test_the_published_relation_has_an_edge_too_many() -> None:
    relation = published_relation()
    assert set(np.flatnonzero(relation[:, 0])) == {0, 1, 4, 7, 16}
    np.testing.assert_allclose(relation[:, 0].max(), 0.2)
    assert set(np.flatnonzero(relation[:, 16])) == {0, 15, 16}
    np.testing.assert_allclose(relation.sum(axis=0), 1, rtol=1e-6)


def test_partitions_group_limbs() -> None:
    assert {len(groups) for groups in PARTITIONS.values()} == {17}
    assert [joint for joint, group in enumerate(PARTITIONS[1]) if group == 2] == [4, 5, 6]
    assert [joint for joint, group in enumerate(PARTITIONS[2]) if group == 1] == [7]


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_covers_each_block_once_and_no_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pattern = rng.random((7, 7)) < rng.uniform(0.1, 1)
    plan = block_plan(pattern)
    assert sorted(plan.order) == list(range(7))
    covered = np.zeros((7, 7), dtype=int)
    for r in plan.rectangles:
        covered[r.top : r.bottom, r.left : r.right] += 1
        assert r.area == (r.bottom - r.top) * (r.right - r.left)
    np.testing.assert_array_equal(covered, pattern[np.ix_(plan.order, plan.order)])


def test_plans_of_the_published_graph_are_short() -> None:
    lengths = {knn: len(block_plan(mask("locally_connected", GRAPH_0, knn)).rectangles) for knn in range(1, 7)}
    assert lengths[3] <= 22
    assert lengths[6] == 1
