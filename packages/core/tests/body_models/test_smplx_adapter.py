"""Bodies of `smplx` beside ours, on the synthetic body; without the package (extra ``smplx``) these are skipped."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.body_models import SMPL, SmplxBody
from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.testing_bodies import body_arrays, synthetic_body


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    smplx = pytest.importorskip("smplx")
    path: Path = tmp_path_factory.mktemp("bodies") / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(body_arrays(synthetic_body())))
    return smplx.SMPL(str(path), batch_size=1)


@pytest.fixture(scope="module")
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    betas = torch.randn(2, 3, 10, generator=generator)
    return betas, 0.5 * torch.randn(2, 3, 24, 3, generator=generator), betas[..., :3]


def test_our_forward_pass_equals_theirs(theirs: Any, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    adapted, ours = SmplxBody(theirs), SMPL(synthetic_body())
    found, expected = ours(*inputs), adapted(*inputs)
    assert_close(found.vertices, expected.vertices, rtol=1e-5, atol=1e-5)
    assert_close(found.joints, expected.joints, rtol=1e-5, atol=1e-5)
    betas = inputs[0]
    assert_close(ours.rest_joints(betas), adapted.rest_joints(betas), rtol=1e-5, atol=1e-5)
    assert_close(ours.rest_vertices(betas), adapted.rest_vertices(betas), rtol=1e-5, atol=1e-5)
    assert_close(ours.joints(*inputs), adapted.joints(*inputs), rtol=1e-5, atol=1e-5)
    assert_close(adapted.v_template, ours.v_template, rtol=0, atol=1e-7)
    assert adapted.faces.tolist() == ours.faces.tolist()
    assert (adapted.info.name, adapted.num_betas, adapted.num_vertices) == ("smpl", 10, 6890)


def test_it_moves_with_the_adapter_and_is_not_stored(theirs: Any) -> None:
    adapted = SmplxBody(theirs)
    assert adapted.state_dict() == {}
    assert adapted.double().v_template.dtype == torch.float64
    assert adapted.float().v_template.dtype == torch.float32
    with pytest.raises(ShapeError, match="unflatten"):
        adapted(torch.zeros(10), torch.zeros(72))


class Fingers(torch.nn.Module):
    """What the adapter sees of an SMPL-X body of `smplx`: it returns what it is given."""

    num_betas, gender, faces_tensor = 10, "female", torch.zeros(1, 3, dtype=torch.int64)

    def __init__(self) -> None:
        super().__init__()
        self.v_template = torch.zeros(10475, 3)
        for part, size in (("left_hand_pose", 6), ("right_hand_pose", 6), ("expression", 10)):
            setattr(self, part, torch.zeros(1, size))
        for part in ("jaw_pose", "leye_pose", "reye_pose"):
            setattr(self, part, torch.zeros(1, 3))

    def name(self) -> str:
        return "SMPL-X"

    def forward(self, **given: Tensor) -> Any:
        self.given = given
        joints = torch.arange(127.0)[None, :, None].expand(len(given["transl"]), -1, 3)
        return type("Output", (), {"vertices": self.v_template[None].expand(len(joints), -1, -1), "joints": joints})


def test_a_body_with_fingers_takes_the_24_joints() -> None:
    model = Fingers()
    body = SmplxBody(model)
    pose = 0.1 * torch.arange(2 * 24 * 3.0).reshape(2, 24, 3) / 72
    posed = body(torch.ones(4), pose)
    assert model.given["body_pose"].shape == (2, 63)
    assert_close(model.given["body_pose"], pose[:, 1:22].flatten(1), rtol=1e-4, atol=1e-6)
    assert model.given["betas"].tolist() == [[1.0] * 4 + [0.0] * 6] * 2
    assert model.given["expression"].shape == (2, 10)
    assert posed.joints[0, :, 0].tolist() == [*range(22), 28, 43, *range(55, 76)]
    assert (body.info.name, body.info.gender) == ("smplx", "female")
    with pytest.raises(ConfigError, match="defined on SMPL's body"):
        body.info.expect_smpl("3DPW")


def test_other_objects_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"expected a body of smplx \(SMPL, SMPL\+H, SMPL-X\), got Linear"):
        SmplxBody(torch.nn.Linear(1, 1))
