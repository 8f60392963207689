"""A body by name or from a user's file."""

from __future__ import annotations

import os

from poseworks.core.body_models.free import free_body
from poseworks.core.body_models.smpl import SMPL
from poseworks.core.errors import ConfigError


def load_body(source: str | os.PathLike[str], *, num_betas: int = 10) -> SMPL:
    """The body that `source` names, on the CPU, in float32.

    Args:
        source: ``free``: the body that comes with the package.
        num_betas: how many shape directions to keep.

    Raises:
        ConfigError: another source, or the body has fewer directions.
    """
    if os.fspath(source) == "free":
        return SMPL(free_body(), num_betas)
    raise ConfigError(f"body: expected 'free', got {os.fspath(source)!r}.")
