"""The recipes: the study's table, their switches, and what they take over from a base."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from poseworks.core.errors import ConfigError
from poseworks.mesh_recovery.learning.losses import Term
from poseworks.mesh_recovery.learning.recipes import RECIPES, read_recipe, shipped_recipes

FOLDER = Path(str(resources.files("poseworks.mesh_recovery.learning"))) / "recipes"
METHODS = {  # PA-MPJPE on 3DPW as published, in mm
    "hmr_r50": (64.55, 58.20, 51.80, 51.66),
    "spin_r50": (59.20, 57.08, 51.54, 50.69),
    "graphcmr_r50": (70.51, 67.20, 61.74, 60.26),
    "pare_w32": (61.99, 61.13, 59.98, 51.66),
    "graphormer_w48": (63.18, 63.47, 59.66, 58.82),
}
ENDINGS = {"": {}, "_l1": {"l1"}, "_l1_coco": {"l1", "coco"}, "_l1_coco_aug": {"l1", "coco", "aug"}}
ROWS = [(method, ending) for method in METHODS for ending in ENDINGS]


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_is_called_as_its_file(name: str) -> None:
    recipe = read_recipe(f"{name}.toml")
    assert recipe.name == name
    assert recipe.about
    assert (recipe.network.body == "free") == name.startswith("rendered-")


@pytest.mark.parametrize(("method", "ending"), ROWS)
def test_a_row_of_the_study_is_its_base_and_switches(method: str, ending: str) -> None:
    recipe = read_recipe(method + ending)
    switches = {name for name, on in recipe.variant if on}
    assert switches == set(ENDINGS[ending])
    assert f"{METHODS[method][list(ENDINGS).index(ending)]:.2f} mm" in recipe.about
    assert len((FOLDER / f"{method}{ending}.toml").read_text().splitlines()) <= 4
    normal = read_recipe(method)
    shared = {"name", "about", "variant"}
    assert recipe.model_dump(exclude=shared) == normal.model_dump(exclude=shared)


@pytest.mark.parametrize("method", METHODS)
def test_what_each_switch_changes(method: str) -> None:
    normal = read_recipe(method)
    l1, coco, aug = (read_recipe(method, (f"variant.{switch}=true",)) for switch in ("l1", "coco", "aug"))
    kinds = {term.kind for _, term in l1.chosen_losses if isinstance(term, Term)}
    assert kinds == {"l1"}
    assert normal.chosen_losses == normal.losses
    starts = [(recipe.chosen_backbone, recipe.chosen_network) for recipe in (normal, coco, l1)]
    if method == "spin_r50":  # from the HMR of the same variant
        assert [network for _, network in starts] == [f"pretrained/hmr_r50{ending}" for ending in ("", "_coco", "_l1")]
    else:
        assert starts == [(normal.start.imagenet, None), (normal.start.coco, None), (normal.start.imagenet, None)]
        assert None not in (normal.start.imagenet, normal.start.coco)
    before, after = (recipe.chosen_data.augmentation for recipe in (normal, aug))
    assert (before.channel_noise, after.channel_noise) == (0.4, 0.2)
    assert before.self_mixing is None
    assert after.self_mixing is not None
    assert after.self_mixing.data_sets == ("h36m",)
    assert after.rotation_probability == before.rotation_probability
    assert aug.chosen_data.sets == normal.data.sets


def test_ratios_and_weights_of_hmr_are_the_published_ones() -> None:
    recipe = read_recipe("hmr_r50")
    assert recipe.data.ratios == (0.35, 0.15, 0.1, 0.1, 0.1, 0.2)
    weights = {name: term.weight for name, term in recipe.losses if isinstance(term, Term)}
    assert weights == {"joints": 100, "keypoints": 10, "vertices": 2, "pose": 3, "betas": 0.02}
    assert recipe.losses.adversary == 1
    assert recipe.training.learning_rate == 2.5e-4


def test_the_first_stage_of_pare_learns_parts_behind_cut_outs() -> None:
    recipe = read_recipe("pare_w32_stage1")
    assert (recipe.losses.parts, recipe.losses.keypoints.weight, recipe.losses.joints.weight) == (60, 300, 300)
    assert recipe.losses.keypoints.kind == "mse"
    assert recipe.data.augmentation.occlusion is not None
    assert [each.name for each in recipe.data.sets] == ["eft_coco"]


def test_a_fault_names_field_and_choice() -> None:
    with pytest.raises(ConfigError, match=r"hmr_r50.toml: .*variant.l2: no such field \(known: l1, coco, aug\)"):
        RECIPES.read("hmr_r50", ("variant.l2=true",))
    with pytest.raises(ConfigError, match="size: input should be a multiple of 32"):
        RECIPES.read("hmr_r50", ("size=100",))
