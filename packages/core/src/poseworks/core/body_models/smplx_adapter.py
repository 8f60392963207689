"""Bodies of the package `smplx` (SMPL, SMPL-H, SMPL-X) in the form of ours.

    import smplx
    body = SmplxBody(smplx.create("models", model_type="smplx"))
    posed = body(betas, pose, transl)  # as load_body(...) does

The package comes with the extra ``smplx``. Its licence is not commercial, code included; nothing here needs it, and
this module does not import it: the caller makes the body. Bodies with fingers take SMPL's 24 joints too: their fingers,
jaw and eyes stay at rest, and as SMPL's two hand joints they give the first joints of the middle fingers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from poseworks.core.body_models.data import JOINT_NAMES, SMPL_PARENTS, BodyInfo
from poseworks.core.body_models.smpl import PosedBody, flat_inputs, with_lead
from poseworks.core.errors import ConfigError
from poseworks.core.rotations import matrix_to_axis_angle

# By the package's name of a model: joints of the tree, body joints after the root, SMPL's hands, other parts at rest.
_KINDS = {
    "SMPL": (24, 23, (22, 23), ()),
    "SMPL+H": (52, 21, (25, 40), ("left_hand_pose", "right_hand_pose")),
    "SMPL-X": (
        55, 21, (28, 43),
        ("left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose", "expression"),
    ),
}  # fmt: skip


class SmplxBody(nn.Module):
    """A body object of `smplx` that is called as ours is: `body(betas, pose, transl)` -> vertices and joints.

    Attributes:
        info: which body it is.
        faces: (F, 3) int64 triangles.
        joint_names: 45, in core's vocabulary; parents: of the first 24.

    Raises:
        ConfigError: the object is none of SMPL, SMPL-H and SMPL-X.
    """

    joint_names: tuple[str, ...] = JOINT_NAMES
    parents: tuple[int, ...] = SMPL_PARENTS

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        named: Any = getattr(model, "name", None)
        name = named() if callable(named) else type(model).__name__
        if name not in _KINDS:
            raise ConfigError(f"model: expected a body of smplx ({', '.join(_KINDS)}), got {name}.")
        tree, self._body_joints, hands, self._resting = _KINDS[name]
        self._joints = [*range(22), *hands, *range(tree, tree + 21)]
        # In a list, so that a network that holds this body does not store its licensed tensors.
        self._model: list[Any] = [model]
        gender = str(getattr(model, "gender", "neutral"))
        self.info = BodyInfo(
            name.lower().replace("+", "").replace("-", ""),
            "male" if gender == "male" else "female" if gender == "female" else "neutral",
            f"smplx.{type(model).__name__}",
            "licence of smplx: not commercial",
        )
        self.faces = torch.as_tensor(model.faces_tensor, dtype=torch.int64)

    @property
    def v_template(self) -> Tensor:
        """(V, 3) mean shape."""
        template: Tensor = self._model[0].v_template
        return template

    @property
    def num_betas(self) -> int:
        """The most betas that it takes."""
        return int(self._model[0].num_betas)

    @property
    def num_vertices(self) -> int:
        """V."""
        return len(self.v_template)

    def forward(self, betas: Tensor, pose: Tensor, transl: Tensor | None = None) -> PosedBody:
        """Vertices and joints; arguments and errors as those of `SMPL.forward`."""
        betas, rotations, transl, lead = flat_inputs(betas, pose, transl, self.num_betas, self.v_template.dtype)
        count = len(rotations)
        vectors = matrix_to_axis_angle(rotations)
        model = self._model[0]
        still = {part: betas.new_zeros(count, getattr(model, part).shape[1]) for part in self._resting}
        posed = model(
            betas=pad(betas, (0, self.num_betas - betas.shape[1])).expand(count, -1),
            global_orient=vectors[:, 0],
            body_pose=vectors[:, 1 : 1 + self._body_joints].flatten(1),
            transl=betas.new_zeros(count, 3) if transl is None else transl.squeeze(1),
            **still,
        )
        return PosedBody(with_lead(posed.vertices, lead), with_lead(posed.joints[:, self._joints], lead))

    def joints(self, betas: Tensor, pose: Tensor, transl: Tensor | None = None) -> Tensor:
        """(..., 45, 3) joints alone."""
        return self(betas, pose, transl).joints  # type: ignore[no-any-return]

    def rest_vertices(self, betas: Tensor) -> Tensor:
        """(..., V, 3) vertices in T-pose of (..., K) betas."""
        return self(betas, betas.new_zeros(24, 3)).vertices  # type: ignore[no-any-return]

    def rest_joints(self, betas: Tensor) -> Tensor:
        """(..., 24, 3) joints in T-pose of (..., K) betas."""
        return self.joints(betas, betas.new_zeros(24, 3))[..., :24, :]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SmplxBody:
        """Moves and converts the body that is held, too."""
        self._model[0]._apply(fn, recurse)
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call,no-any-return]
