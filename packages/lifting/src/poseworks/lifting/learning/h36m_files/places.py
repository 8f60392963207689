"""What the files are called, how large they may be, and where they are looked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from poseworks.core.data_folders import data_roots, where_looked
from poseworks.core.errors import DataError

Split = Literal["train", "test"]

MAX_BYTES = 1 << 35
LCN_FILES: Mapping[Split, str] = {"train": "h36m_train.pkl", "test": "h36m_test.pkl"}
DETECTED_FILE = "h36m_sh_dt_ft.pkl"
EHGFORMER_FILE = "h36m_sh_conf_cam_source_final.pkl"
# Where they lie under a folder of POSEWORKS_DATA: as published, or directly in h36m/.
LCN_PLACES = ("h36m", "h36m/dataset", "dataset", ".")
# The training script looks beside its sliced clips, the distillation script one level up.
_SOURCE_PLACES = ("motion3d/H36M-SH/Mixste_Style_v2", "motion3d/H36M-SH")
EHGFORMER_PLACES = (
    *(f"{base}{place}" for base in ("h36m/data/", "h36m/", "data/", "") for place in _SOURCE_PLACES), "h36m", "."
)  # fmt: skip


def find_lcn(data: str | os.PathLike[str] | None = None, files: Iterable[str] = tuple(LCN_FILES.values())) -> Path:
    """The folder that holds LCN's `files`.

    Args:
        data: one or more folders as in POSEWORKS_DATA (separated as in PATH); None: that variable.

    Raises:
        DataError: no folder has them all; says what to put where.
    """
    wanted = list(files)
    roots = data_roots(data)
    for root in roots:
        for place in LCN_PLACES:
            if all((root / place / name).is_file() for name in wanted):
                return root / place
    raise _not_present("LCN", wanted, LCN_PLACES[:2], roots)


def find_ehgformer(data: str | os.PathLike[str] | None = None) -> Path:
    """EHGFormer's source file, at either of the two places where the published scripts look for it.

    Args:
        data: the file, or one or more folders as in POSEWORKS_DATA; None: that variable.

    Raises:
        DataError: it is not there (says where to put it), or two places hold different ones.
    """
    roots = data_roots(data)
    if len(roots) == 1 and roots[0].is_file():
        return roots[0]
    for root in roots:
        found = [path for place in EHGFORMER_PLACES if (path := root / place / EHGFORMER_FILE).is_file()]
        others = [path for path in found[1:] if path.stat().st_size != found[0].stat().st_size]
        if others:
            raise DataError(
                f"{found[0]} and {others[0]} differ in size. The training script reads the first, the distillation "
                "script the second. Remove one, or give the file itself with --data."
            )
        if found:
            return found[0]
    raise _not_present("EHGFormer", [EHGFORMER_FILE], ("h36m", "h36m/motion3d/H36M-SH"), roots)


def _not_present(method: str, files: Sequence[str], places: Sequence[str], roots: Sequence[Path]) -> DataError:
    return DataError(
        f"Human3.6M as {method} reads it is not present. Put {' and '.join(files)} into {' or '.join(places)} of a "
        f"folder that POSEWORKS_DATA or --data names; looked in {where_looked(roots)}. The files come from the authors "
        f"of {method}; `poseworks-lifting build` makes them from 3D data of your own, or a synthetic sample."
    )
