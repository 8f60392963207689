"""The shared helpers: values that anyone can make again, damage, and people walking."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core.metrics import bone_length_spread
from poseworks.core.skeletons import SKELETONS
from poseworks.core.testing import fill, mutations, reference_cases, seeded_input, value_of, walking_poses

HERE = Path(__file__).parent


def test_values_never_change() -> None:
    """Digests taken with the generator that the reference vectors were made with."""
    shapes = {
        "a.weight": (4, 3, 2),
        "bn.running_var": (5,),
        "bn.running_mean": (5,),
        "x.bias": (7,),
        "cell.in_proj_bias": (6,),
        "norm.weight": (3,),
        "bn.num_batches_tracked": (),
    }
    digest = hashlib.sha256(b"".join(array.tobytes() for array in fill(shapes).values())).hexdigest()
    assert digest == "b9e798820f46d4869ca1bb37ab0b555ef31369da26bf2428e6c2fce857408d6b"
    assert (
        hashlib.sha256(seeded_input("x", (5, 4), 0.3).tobytes()).hexdigest()
        == "a2048b1a5145e91248eaccdc14c73dcb4446dc2f7a496aabad217eec6ce47e27"
    )
    assert value_of("bn.num_batches_tracked", ()).dtype == np.int64


def test_reference_cases(tmp_path: Path) -> None:
    manifest = {
        "config": {"width": 4},
        "state_dict": [["layer.weight", [2, 3]]],
        "input": {"x": {"seeded_input": ["case:x", [2, 3], 0.5]}, "z": ["seeded_input", "z", [2], 1.0], "y": "x + 1"},
        "outputs": {"x": [1], "out": [2]},
        "expected": {"error": 0.5},
    }
    (tmp_path / "case.json").write_text(json.dumps(manifest))
    np.savez(tmp_path / "case.npz", x=np.zeros(1), out=np.ones(2), stored=np.ones(3))
    (case,) = reference_cases(tmp_path, "ca*")
    assert case.name == "case"
    assert case.config == {"width": 4}
    assert case.expected == {"error": 0.5}
    assert set(case.inputs) == {"x", "z", "stored"}
    assert torch.equal(case.inputs["x"], torch.from_numpy(seeded_input("case:x", (2, 3), 0.5)))
    assert torch.equal(case.inputs["z"], torch.from_numpy(seeded_input("z", (2,))))
    assert {name: tuple(value.shape) for name, value in case.outputs.items()} == {"x": (1,), "out": (2,)}
    state = case.state_dict()
    state["layer.weight"].zero_()
    assert torch.equal(case.state_dict()["layer.weight"], torch.from_numpy(value_of("layer.weight", (2, 3))))
    with pytest.raises(FileNotFoundError, match="no reference case matches nothing"):
        reference_cases(tmp_path, "nothing*")


@pytest.mark.parametrize("data", [b"x", b"\0" * 50, bytes(range(256)) * 20])
def test_mutations_differ_and_repeat(data: bytes) -> None:
    made = list(mutations(data, np.random.default_rng(0), 60))
    assert len(made) == 60
    assert all(damaged != data for damaged in made)
    assert made == list(mutations(data, np.random.default_rng(0), 60))
    if len(data) > 1000:
        assert {np.sign(len(damaged) - len(data)) for damaged in made} == {-1, 0, 1}
        assert len(set(made)) > 55
    with pytest.raises(ValueError, match="empty"):
        next(mutations(b"", np.random.default_rng(0)))


@pytest.mark.parametrize("name", SKELETONS)
def test_walkers_are_people(name: str) -> None:
    """Rigid limbs, feet on the ground, the left side on the left, a pace a person walks at."""
    skeleton = SKELETONS[name]
    walk = walking_poses(90, 2, skeleton=skeleton, rng=np.random.default_rng(0))
    limbs = [
        (skeleton.index(f"left_{a}"), skeleton.index(f"left_{b}"))
        for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
    ]
    assert bone_length_spread(walk.positions, limbs).max() < 1e-5
    assert -0.05 < walk.positions[..., 2].min() < 0.2
    assert 1.4 < np.ptp(walk.positions[:, :, :, 2]) < 1.9
    assert (walk.positions[:, :, limbs[0][0], 0] > walk.positions[:, :, skeleton.index("right_hip"), 0]).all()
    speed = np.diff(walk.positions.mean(axis=2)[..., 1], axis=1).mean(axis=1) * 30
    assert ((speed > 0.8) & (speed < 1.5)).all()


def test_walkers_in_the_image_with_noise_and_gaps() -> None:
    clean = walking_poses(50, dims=2, rng=np.random.default_rng(0))
    assert (clean.unit, clean.frame, clean.image_size) == ("px", "image", (1280, 720))
    assert clean.positions.min() > 0
    assert (clean.positions < np.array([1280, 720])).all()
    noisy = walking_poses(50, dims=2, rng=np.random.default_rng(0), noise=2.0, missing=0.1)
    gone = ~noisy.observed
    assert 0.05 < gone.mean() < 0.15
    assert (noisy.confidence[gone] == 0).all()
    assert np.nanstd(noisy.positions - clean.positions) == pytest.approx(2.0, rel=0.1)
    again = walking_poses(50, dims=2, rng=np.random.default_rng(0), noise=2.0, missing=0.1)
    np.testing.assert_array_equal(noisy.positions, again.positions)


def test_a_case_may_scale_its_tensors_and_have_one_nameless_input(tmp_path: Path) -> None:
    manifest = {
        "state_dict": [["a", [2, 3]], ["b", [3]]],
        "scale": {"a": 0.05},
        "input": {"seeded_input": ["case:x", [2, 3], 0.5]},
    }
    (tmp_path / "case.json").write_text(json.dumps(manifest))
    case = reference_cases(tmp_path)[0]
    tensors = case.state_dict()
    np.testing.assert_array_equal(tensors["a"], value_of("a", (2, 3)) * np.float32(0.05))
    np.testing.assert_array_equal(tensors["b"], value_of("b", (3,)))
    np.testing.assert_array_equal(case.inputs["input"], seeded_input("case:x", (2, 3), 0.5))
