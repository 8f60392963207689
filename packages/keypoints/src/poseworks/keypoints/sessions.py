"""The networks: which files there are, and running one with onnxruntime. Nothing is ever fetched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.files import sha256

if TYPE_CHECKING:
    import onnxruntime

HERE = Path(__file__).parent / "networks"


def check_threads(threads: int) -> None:
    """Nothing, unless `threads` is no number that this machine has cores for.

    Raises:
        ConfigError: it is below 1, or more than there are cores.
    """
    cores = os.cpu_count() or 1
    if not 1 <= threads <= cores:
        raise ConfigError(f"threads: expected 1 to {cores}, as this machine has {cores} cores, got {threads}.")


class Network:
    """One ONNX file, opened when it is first run."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        check_threads(threads)
        self.path, self.threads = path, threads

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        return sha256(self.path)

    @cached_property
    def session(self) -> onnxruntime.InferenceSession:
        """Of onnxruntime, on the CPU.

        Raises:
            CheckpointError: the file is no network.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes share no base below it
            raise CheckpointError(
                f"{self.path}: onnxruntime cannot open it ({str(error).splitlines()[0]}). Expected a pose network as "
                "ONNX; get the file again, or make it anew: poseworks-keypoints convert."
            ) from error

    def run(self, image: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, Any]:
        """Its outputs by name, for one image (H, W, 3)."""
        return dict(zip(outputs, self.session.run(list(outputs), {"image": image[None]}), strict=True))
