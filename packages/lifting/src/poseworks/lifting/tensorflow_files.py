"""TensorFlow checkpoints of LCN, read by TensorFlow itself, which only `convert` asks for.

A checkpoint is a few files of one name: ``model-7799.index`` (names, shapes), ``model-7799.data-00000-of-00001`` (the
numbers) and ``model-7799.meta`` (the graph, not needed); ``checkpoint`` beside them names the last one written. No code
in them is run: the graph is not read.
"""

from __future__ import annotations

import hashlib
import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from poseworks.core.checkpoints import Checkpoint
from poseworks.core.errors import CheckpointError, ConfigError

_PARTS = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")


def tensorflow_prefix(path: str | os.PathLike[str]) -> Path | None:
    """What the names of a TensorFlow checkpoint's files begin with; None where there is no such checkpoint.

    Args:
        path: a folder with a checkpoint, one of its files, or what their names begin with.

    Raises:
        CheckpointError: the folder holds several and does not say which is the last; or there is no .index.
    """
    given = Path(path)
    if given.is_dir():
        found = sorted(file.with_suffix("") for file in given.glob("*.index"))
        if len(found) < 2:
            return found[0] if found else None
        last = [prefix for prefix in found if prefix.name == _last_written(given)]
        if not last:
            names = ", ".join(prefix.name for prefix in found)
            raise CheckpointError(f"{path}: holds several TensorFlow checkpoints: {names}. State one: {found[-1]}.")
        return last[0]
    prefix = given.with_name(_PARTS.sub("", given.name)) if given.name else given
    if prefix.with_name(f"{prefix.name}.index").is_file():
        return prefix
    if prefix != given and given.is_file():
        raise CheckpointError(f"{path}: a part of a TensorFlow checkpoint, whose {prefix.name}.index is not beside it.")
    return None


def _last_written(folder: Path) -> str | None:
    """The name in the file ``checkpoint``; its folder may be that of another machine."""
    try:
        text = (folder / "checkpoint").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    named = re.search(r'^model_checkpoint_path:\s*"([^"]+)"', text, re.MULTILINE)
    return re.split(r"[/\\]", named[1])[-1] if named else None


def read_tensorflow(path: str | os.PathLike[str]) -> Checkpoint:
    """The variables of a TensorFlow checkpoint. Its SHA-256 is that of .index and .data, one after another.

    Args:
        path: as of `tensorflow_prefix`.

    Raises:
        ConfigError: TensorFlow is not installed. CheckpointError: no such checkpoint, or it is damaged.
    """
    prefix = tensorflow_prefix(path)
    if prefix is None:
        raise CheckpointError(
            f"{path}: no TensorFlow checkpoint: expected a folder with NAME.index and NAME.data-... ."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else it greets on stderr
    try:
        tensorflow: Any = import_module("tensorflow")
    except ImportError as error:
        raise ConfigError(
            f"{path}: a TensorFlow checkpoint, and TensorFlow is not installed. Install poseworks-lifting[tensorflow], "
            "or save the variables under their names elsewhere: numpy.savez('variables.npz', **variables)."
        ) from error
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        arrays = {name: np.asarray(reader.get_tensor(name)) for name in sorted(reader.get_variable_to_shape_map())}
    except Exception as error:  # TensorFlow raises a dozen kinds
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: damaged, or no TensorFlow checkpoint ({reason}). Copy it again.") from error
    numbers = {name: array for name, array in arrays.items() if array.dtype.kind in "fiub"}
    broken = [name for name, array in numbers.items() if not np.isfinite(array).all()]
    if broken:
        raise CheckpointError(f"{path}: {', '.join(broken)}: holds NaN or infinity.")
    return Checkpoint(
        tensors={name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in numbers.items()},
        extras={},
        dropped=tuple(f"{name} (not numbers)" for name in arrays if name not in numbers),
        source=str(path),
        sha256=_digest(prefix),
        kind="tensorflow",
    )


def tensorflow_facts(file: Path, prefix: Path) -> dict[str, Any]:
    """What can be said without TensorFlow."""
    return {
        "file": file,
        "what": "checkpoint",
        "kind": "tensorflow",
        "name": prefix.name,
        "sha256": _digest(prefix),
        "next": f"poseworks-lifting convert {file} -o lcn/ --knn 3",
    }


def _digest(prefix: Path) -> str:
    """SHA-256 of .index and .data files, one after another."""
    digest = hashlib.sha256()
    for file in (prefix.with_name(f"{prefix.name}.index"), *sorted(prefix.parent.glob(f"{prefix.name}.data-*"))):
        try:
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise CheckpointError(f"{file}: cannot be read ({error.strerror}).") from error
    return digest.hexdigest()
