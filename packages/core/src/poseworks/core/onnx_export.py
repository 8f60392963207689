"""ONNX files, compared with torch before they appear, and a JSON file beside each that says how to use it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.files import atomic_path, refuse_existing

SIDECAR_FORMAT = "poseworks.onnx/1"


@dataclass(frozen=True)
class ExportReport:
    """What was exported and how it was verified.

    Attributes:
        sizes: the dynamic axes at which ONNX and torch were compared; the first is the export size.
        largest_difference: between the two, over all sizes and outputs, absolute.
        opset: of the file.
    """

    path: Path
    sidecar: Path
    sizes: tuple[dict[str, int], ...]
    largest_difference: float
    opset: int
    size_bytes: int


def export_verified(
    network: nn.Module,
    path: str | os.PathLike[str],
    *,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]],
    other_sizes: Sequence[Mapping[str, int]],
    sidecar: Mapping[str, Any],
    largest_sizes: Mapping[str, int] | None = None,
    tolerance: float = 1e-4,
    overwrite: bool = False,
) -> ExportReport:
    """A single ONNX file, compared with torch by onnxruntime at the export size and at two other sizes or more.

    Args:
        inputs: examples by name, in the order of `forward`; dynamic axes of size 2 or more (torch fixes 0 and 1).
        outputs: names of what `forward` returns.
        dynamic_axes: input name -> axis -> name of the size, e.g. ``{"x": {0: "batch", 1: "channels"}}``.
        other_sizes: at least two, each a value for every dynamic name, e.g. ``{"batch": 1, "channels": 51}``.
        largest_sizes: of the dynamic names that have a bound.
        sidecar: what a user must do before and after the network; goes into the JSON file beside `path`.
        tolerance: largest difference allowed, relative to 1 + the largest output.
    Raises:
        ConfigError: not ``.onnx``, sizes that do not fit, an existing output, or the extra ``onnx`` is not installed.
        CheckpointError: ONNX and torch disagree; nothing is written.
    """
    target, beside = Path(path), Path(path).with_suffix(".json")
    if target.suffix != ".onnx":
        raise ConfigError(f"{target}: expected a name that ends in .onnx.")
    refuse_existing(target, overwrite)
    refuse_existing(beside, overwrite)
    names = sorted({name for axes in dynamic_axes.values() for name in axes.values()})
    if len(other_sizes) < 2 or any(sorted(sizes) != names for sizes in other_sizes):
        raise ConfigError(f"other_sizes: expected at least two, each with {', '.join(names)}.")
    _check_installed()
    here = {name: inputs[x].shape[axis] for x, axes in dynamic_axes.items() for axis, name in axes.items()}
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with atomic_path(target) as new, atomic_path(beside) as note:
            with _quiet():
                _export(network, new, inputs, outputs, dynamic_axes, largest_sizes or {})
            sizes = (here, *(dict(other) for other in other_sizes))
            difference = max(
                _compare(network, new, _resized(inputs, dynamic_axes, size), outputs, tolerance, size, str(target))
                for size in sizes
            )
            report = ExportReport(target, beside, sizes, difference, _opset(new), new.stat().st_size)
            note.write_text(_note(report, inputs, outputs, dynamic_axes, sidecar), encoding="utf-8")
    finally:
        for module, was_training in training.items():
            module.training = was_training
    return report


def write_int8(source: Path, target: Path) -> None:
    """A copy of an ONNX file with matrices of 8-bit integers, a scale a column; activations are quantised as they come.

    The first and the last matrix stay as they are: they are small, and what enters and leaves a network is where 8 bits
    are felt most. Integers are unsigned, since the sums of signed ones overflow on older processors.

    Raises:
        ConfigError: the extra ``onnx`` is not installed. DataError: it cannot be written.
    """
    _check_installed()
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(str(source))
    del model.graph.value_info[:]  # the quantiser turns matrices over, and then stumbles over their old shapes
    matrices = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    products = [
        node.name
        for node in model.graph.node
        if node.op_type in ("MatMul", "Gemm") and matrices.intersection(node.input)
    ]
    ends = [*products[:1], *products[-1:]]
    with atomic_path(target) as new, _quiet():
        quantize_dynamic(
            model,
            new,
            weight_type=QuantType.QUInt8,
            per_channel=True,
            nodes_to_exclude=[*ends, *(f"{name}_MatMul" for name in ends)],  # what it calls a Gemm
        )


def open_onnx(path: str | os.PathLike[str]) -> Any:
    """An onnxruntime session on one core of the CPU, without remarks on stderr."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])


def _check_installed() -> None:
    try:
        for name in ("onnx", "onnxscript", "onnxruntime"):
            import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"ONNX export needs {error.name}, which is not installed. Install poseworks-core[onnx]."
        ) from error


def _export(
    network: nn.Module,
    path: Path,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]],
    largest: Mapping[str, int],
) -> None:
    dims = {
        name: torch.export.Dim(name, max=largest.get(name)) for axes in dynamic_axes.values() for name in axes.values()
    }
    shapes = tuple({axis: dims[name] for axis, name in dynamic_axes.get(x, {}).items()} for x in inputs)
    program = torch.onnx.export(
        network,
        tuple(inputs.values()),
        dynamo=True,
        dynamic_shapes=shapes,
        input_names=list(inputs),
        output_names=list(outputs),
        verbose=False,
    )
    if program is None:
        raise ConfigError("torch.onnx.export gave no program: torch 2.6 or newer is needed.")
    program.save(str(path), external_data=False)


def _resized(
    inputs: Mapping[str, Tensor], dynamic_axes: Mapping[str, Mapping[int, str]], sizes: Mapping[str, int]
) -> dict[str, Tensor]:
    """Random inputs of other sizes, of the scale of the examples."""
    generator = torch.Generator().manual_seed(sum(sizes.values()))
    made = {}
    for name, example in inputs.items():
        shape = list(example.shape)
        for axis, size in dynamic_axes.get(name, {}).items():
            shape[axis] = sizes[size]
        scale = example.float().std().nan_to_num(1.0) or 1.0
        made[name] = (torch.randn(shape, generator=generator) * scale + example.float().mean()).to(example.dtype)
    return made


@torch.no_grad()
def _compare(
    network: nn.Module,
    path: Path,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    tolerance: float,
    sizes: Mapping[str, int],
    label: str,
) -> float:
    """Largest difference between the file and torch for these inputs."""
    session = open_onnx(path)
    expected = network(*inputs.values())
    expected = [expected] if isinstance(expected, Tensor) else list(expected)
    found = session.run(list(outputs), {name: x.numpy() for name, x in inputs.items()})
    largest = 0.0
    for name, ours, theirs in zip(outputs, expected, found, strict=True):
        same = ours.shape == theirs.shape
        difference = float(np.abs(ours.numpy() - theirs).max(initial=0.0)) if same else float("inf")
        if not difference <= tolerance * (1 + float(ours.abs().max())):
            raise CheckpointError(
                f"{label}: ONNX and torch differ by {difference:.3g} in {name} at {dict(sizes)}; nothing was written."
            )
        largest = max(largest, difference)
    return largest


def _opset(path: Path) -> int:
    import onnx

    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    return next(int(entry.version) for entry in model.opset_import if entry.domain in {"", "ai.onnx"})


def _note(
    report: ExportReport,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]],
    sidecar: Mapping[str, Any],
) -> str:
    """The text of the JSON file."""
    axes = {
        name: [dynamic_axes.get(name, {}).get(axis, size) for axis, size in enumerate(x.shape)]
        for name, x in inputs.items()
    }
    content = {
        "format": SIDECAR_FORMAT,
        "inputs": [{"name": name, "shape": axes[name], "dtype": str(x.dtype)[6:]} for name, x in inputs.items()],
        "outputs": list(outputs),
        "opset": report.opset,
        "verified": {"sizes": report.sizes, "largest_difference": report.largest_difference},
        **sidecar,
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's chatter off stdout and stderr."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
