"""A body by name or from a user's file."""

from __future__ import annotations

import os
from pathlib import Path

from poseworks.core.body_models.data import Gender
from poseworks.core.body_models.files import find_body, read_body
from poseworks.core.body_models.free import free_body
from poseworks.core.body_models.smpl import SMPL
from poseworks.core.errors import ConfigError


def load_body(source: str | os.PathLike[str], *, gender: Gender | None = None, num_betas: int = 10) -> SMPL:
    """The body that `source` names, on the CPU, in float32.

    Args:
        source: ``free``: the body that comes with the package; else SMPL's file (.pkl or .npz, under any name), or a
            folder with such files.
        gender: which file of a folder, or which the file is; None: as the file's name tells, else neutral.
        num_betas: how many shape directions to keep.

    Raises:
        FormatError: the file holds something else; the message says what.
        DataError: there is no such file or folder, or none of this gender in the folder; with where to get it.
        ConfigError: the body has fewer directions, or another gender.
    """
    if os.fspath(source) == "free":
        if gender not in (None, "neutral"):
            raise ConfigError(f"gender: the free body has one shape space for all, got {gender}. Leave it out.")
        return SMPL(free_body(), num_betas)
    path = Path(source)
    return SMPL(read_body(find_body(path, gender or "neutral") if path.is_dir() else path, gender), num_betas)
