"""TensorFlow checkpoints of LCN, read by TensorFlow itself, which only `convert` asks for.

It runs in a process of its own: TensorFlow and torch in one process can end it, each with its own copy of LLVM.

A checkpoint is a few files of one name: ``model-7799.index`` (names, shapes), ``model-7799.data-00000-of-00001`` (the
numbers) and ``model-7799.meta`` (the graph, not needed); ``checkpoint`` beside them names the last one written. No code
in them is run: the graph is not read.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from poseworks.core.checkpoints import Checkpoint
from poseworks.core.errors import CheckpointError, ConfigError

_NO_NUMBERS = "no numbers: "
_READER = f"""
import sys
import numpy
import tensorflow
reader = tensorflow.train.load_checkpoint(sys.argv[1])
arrays = {{}}
for name in reader.get_variable_to_shape_map():
    array = numpy.asarray(reader.get_tensor(name))
    numbers = array.dtype.kind in "fiub"
    arrays[name if numbers else {_NO_NUMBERS!r} + name] = array if numbers else numpy.zeros(0)
numpy.savez(sys.argv[2], **arrays)
"""
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
    if find_spec("tensorflow") is None:
        raise ConfigError(
            f"{path}: a TensorFlow checkpoint, and TensorFlow is not installed. Install poseworks-lifting[tensorflow], "
            "or save the variables under their names elsewhere: numpy.savez('variables.npz', **variables)."
        )
    with tempfile.TemporaryDirectory(prefix="poseworks-") as folder:
        found = Path(folder) / "variables.npz"
        done = subprocess.run(
            [sys.executable, "-P", "-c", _READER, str(prefix), str(found)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise CheckpointError(f"{path}: damaged, or no TensorFlow checkpoint ({reason}). Copy it again.")
        with np.load(found, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in sorted(archive)}
    skipped = [name.removeprefix(_NO_NUMBERS) for name in arrays if name.startswith(_NO_NUMBERS)]
    numbers = {name: array for name, array in arrays.items() if not name.startswith(_NO_NUMBERS)}
    broken = [name for name, array in numbers.items() if not np.isfinite(array).all()]
    if broken:
        raise CheckpointError(f"{path}: {', '.join(broken)}: holds NaN or infinity.")
    return Checkpoint(
        tensors={name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in numbers.items()},
        extras={},
        dropped=tuple(f"{name} (not numbers)" for name in skipped),
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
