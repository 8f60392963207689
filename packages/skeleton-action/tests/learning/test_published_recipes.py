"""Recipes of the published tables: all of them are read, and say what the reference says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from numpy.testing import assert_allclose

from poseworks.core.errors import ConfigError
from poseworks.core.training import learning_rate_at
from poseworks.skeleton_action.learning.published_recipes import PublishedActions
from poseworks.skeleton_action.learning.recipes import read_recipe, shipped_recipes

REFERENCE = Path(__file__).parents[1] / "reference"
# Reference, section 7: what each code line claims for joint, limb, and both together.
CLAIMS = {
    "slowonly_r50_u48_240e_gym_{}": ("mmaction 0.x", 93.7, 94.0, 94.3),
    "slowonly_r50_u48_240e_ntu60_xsub_{}": ("mmaction 0.x", 93.7, 93.4, 94.1),
    "slowonly_r50_u48_240e_ntu120_xsub_{}": ("mmaction 0.x", 86.3, 85.7, 86.9),
    "slowonly_r50_gym_{}": ("pyskl", 93.8, 93.8, 94.1),
    "slowonly_r50_ntu60_xsub_{}": ("pyskl", 93.7, 93.4, 94.1),
    "slowonly_r50_ntu60_xview_{}": ("pyskl", 96.5, 96.0, 96.9),
    "slowonly_r50_ntu120_xsub_{}": ("pyskl", 85.9, 85.9, 86.7),
    "slowonly_r50_ntu120_xset_{}": ("pyskl", 89.7, 89.7, 90.3),
    "slowonly_r50_346_k400_{}": ("pyskl", 47.3, 46.9, 49.1),
    "slowonly_r50_463_k400_{}": ("pyskl", 46.6, 45.7, 47.7),
    "c3d_light_ntu60_xsub_{}": ("pyskl", 92.7, 92.6, 93.3),
    "x3d_shallow_ntu60_xsub_{}": ("pyskl", 92.1, 91.6, 92.4),
    "c3d_light_gym_{}": ("pyskl", 91.8, 91.2, 92.1),
    "x3d_shallow_gym_{}": ("pyskl", 91.4, 90.0, 91.8),
}
SINGLE = {
    "slowonly_kinetics400_pretrained_r50_u48_120e_ucf101_split1_keypoint": 87.0,
    "slowonly_kinetics400_pretrained_r50_u48_120e_hmdb51_split1_keypoint": 69.3,
    "slowonly_r50_ucf101_k400p_s1_joint": 86.9,
    "slowonly_r50_hmdb51_k400p_s1_joint": 69.4,
    "slowonly_r50_diving48_joint": 54.5,
}


def published(name: str) -> PublishedActions:
    recipe = read_recipe(name)
    assert isinstance(recipe, PublishedActions)
    return recipe


def test_every_row_of_the_published_tables_has_a_recipe() -> None:
    left = set(shipped_recipes())
    for pattern, (source, *percents, fused) in CLAIMS.items():
        joint = "keypoint" if "u48" in pattern else "joint"
        for word, percent in zip((joint, "limb"), percents, strict=True):
            recipe = published(pattern.format(word))
            (claim,) = (one for one in recipe.claims if one.source == source)
            assert (claim.percent, claim.fused_percent) == (percent, fused)
            assert claim.measure == ("mean_class_accuracy" if recipe.data.set == "gym" else "top_k_accuracy")
            left.remove(recipe.name)
    for name, percent in SINGLE.items():
        assert published(name).claims[0].percent == percent
        left.remove(name)
    assert all(read_recipe(name).kind == "own_actions" or published(name).data.set == "own" for name in left)


def test_recipes_train_as_published() -> None:
    for name in shipped_recipes():
        recipe = read_recipe(name)
        if not isinstance(recipe, PublishedActions) or recipe.data.set == "own":
            continue
        training, pretrained = recipe.training, recipe.begin_with is not None
        assert (training.optimizer, training.momentum, training.clip_norm) == ("sgd", 0.9, 40)
        assert recipe.passes == (120 if pretrained else 240)
        if pretrained:
            assert (training.learning_rate, recipe.lr_batch, recipe.lr_drops) == (0.01, 128, (9, 11))
            assert (recipe.train_size, recipe.test_size) == (48, 56)
        else:
            assert training.learning_rate == pytest.approx(0.2 * recipe.lr_batch / 128)
            assert training.schedule == "cosine"
        slow = recipe.data.set in ("k400", "diving48") or recipe.data.set == "hmdb51"
        assert training.weight_decay == (1e-4 if slow else 3e-4)
        assert recipe.preparation().size == recipe.test_size


def test_the_joint_recipe_of_pyskl_for_ntu120_draws_limbs_in_its_own_order() -> None:
    recipe = published("slowonly_r50_ntu120_xsub_joint")
    assert recipe.stream == "limb"
    assert recipe.layout.limbs[:3] == ((0, 1), (0, 2), (1, 3))
    # Reference, section 1: left and right limbs of the default order.
    left, right = (0, 2, 4, 5, 6, 10, 11, 12), (1, 3, 7, 8, 9, 13, 14, 15)
    flip = recipe.layout.limb_flip.tolist()
    assert {flip[a] for a in left} == set(right)
    assert flip[16] == 16
    assert (recipe.repeated_classes[0].first, recipe.repeated_classes[0].times) == (60, 2)


def test_the_rate_falls_as_published() -> None:
    for row in json.loads((REFERENCE / "cosine_lr.json").read_text())["rows"]:
        settings = published("slowonly_r50_u48_240e_gym_limb").training.model_copy(
            update={"epochs": None, "steps": row["total_iters"], "learning_rate": row["base_lr"]}
        )
        assert_allclose(learning_rate_at(row["iter"], settings), row["lr"], rtol=1e-12)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.keep='best'", "found by validation; allow it with validation = true"),
        ("lr_drops=[9]", "lr_drops: need training.schedule = 'constant'"),
        ("network.in_channels=16", "network.in_channels: expected 17, one a joint"),
        ("data.set='kinetics'", r"data\.set"),
        ("validate=true", r"no such field \(did you mean validation\?\)"),
    ],
)
def test_faults_of_recipes_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_recipe("slowonly_r50_u48_240e_gym_keypoint.toml", [override])


def test_other_joints_are_data() -> None:
    name = "slowonly_r50_u48_240e_gym_limb"
    hand = ["skeleton='custom'", "joint_names=['root', 'left_tip', 'right_tip']", "limbs=[[0, 1], [0, 2]]"]
    recipe = read_recipe(name, [*hand, "network.in_channels=2"])
    assert isinstance(recipe, PublishedActions)
    assert recipe.preparation().layout.limb_flip.tolist() == [1, 0]
    halpe = read_recipe("slowonly_r50_u48_240e_gym_keypoint", ["skeleton='halpe26'", "network.in_channels=26"])
    assert isinstance(halpe, PublishedActions)
    assert halpe.layout.num_joints == 26
    for overrides, message in (
        (hand, r"network\.in_channels: expected 2, one a limb"),
        ([*hand[:2], "limbs=[[0, 1]]"], "no mirror image among the others"),
        (["limbs=[[0, 99]]"], "limbs: expected pairs of joints from 0 to 16"),
        (["skeleton='coco18'"], r"skeleton: expected custom or one of .*coco17"),
        (hand[1:], r"joint_names: belong to skeleton = 'custom'"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_recipe(name, overrides)


def test_length_is_stated_in_epochs(small_recipe: Path) -> None:
    small_recipe.write_text(small_recipe.read_text().replace("epochs = 3", "steps = 3"))
    with pytest.raises(ConfigError, match=r"training\.epochs: missing"):
        read_recipe(small_recipe)
