"""What a published .tflite file holds: tensors, constants and operators, read by the format's schema."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import CheckpointError, DataError

MAGIC = b"TFL3"  # at byte 4

Array = NDArray[Any]
Shape = tuple[int, ...]

_SETTINGS = {
    "ADD": "AddOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DENSIFY": None,
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "DEQUANTIZE": None,
    "LOGISTIC": None,
    "MAX_POOL_2D": "Pool2DOptions",
    "PAD": None,
    "RESHAPE": None,
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
}
"""Known operators, and the table that holds the settings of each."""

_DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 9: np.int8}
_DENSE = 0  # the number of the format of a dimension
_LARGEST = 2**31  # bytes: flatbuffers' own limit


@dataclass(frozen=True)
class Operator:
    """A step of a network: its kind, the tensors that it reads (-1: left out) and makes, and its table of settings."""

    kind: str
    inputs: tuple[int, ...]
    output: int
    settings: Any


@dataclass(frozen=True)
class LiteNetwork:
    """What a .tflite file holds; tensors are numbered.

    Attributes:
        shapes: of all tensors.
        constants: values of those that are stored, filled with zeros where they are stored sparse.
        operators: in the order in which they run.
        image: the tensor that is the input, (1, H, W, 3).
        outputs: the tensors that are the outputs.
    """

    shapes: list[Shape]
    constants: dict[int, Array]
    operators: list[Operator]
    image: int
    outputs: tuple[int, ...]


def read_bytes(source: Path) -> bytes:
    """The bytes of a .tflite file."""
    try:
        size = source.stat().st_size
        with source.open("rb") as stream:
            head = stream.read(8)
            if head[4:] != MAGIC or size > _LARGEST:
                raise CheckpointError(
                    f"{source}: is no TensorFlow Lite file. Expected a published network such as "
                    "pose_landmark_heavy.tflite."
                )
            return head + stream.read()
    except OSError as error:
        raise DataError(f"{source}: cannot be read ({error.strerror or type(error).__name__}).") from error


def read_network(data: bytes) -> LiteNetwork:
    """The network in the bytes of a .tflite file.

    Raises:
        CheckpointError: operators or types of numbers that are not known here.
        Exception: of any kind where the bytes are damaged.
    """
    import tflite

    model = tflite.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    shapes = [tuple(tensor.ShapeAsNumpy().tolist()) if tensor.ShapeLength() else () for tensor in tensors]
    constants = {}
    for number, (tensor, shape) in enumerate(zip(tensors, shapes, strict=True)):
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength():
            constants[number] = _stored(tensor, shape, buffer.DataAsNumpy().tobytes())
    steps = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    kinds = [_kind(model.OperatorCodes(step.OpcodeIndex())) for step in steps]
    unknown = sorted(set(kinds) - set(_SETTINGS))
    if unknown:
        raise CheckpointError(
            f"has operators that are not known here: {', '.join(unknown)}. Expected a pose network of BlazePose: "
            f"{', '.join(_SETTINGS)}."
        )
    operators = [
        Operator(kind, tuple(step.InputsAsNumpy().tolist()), int(step.Outputs(0)), _settings(kind, step))
        for kind, step in zip(kinds, steps, strict=True)
    ]
    return LiteNetwork(shapes, constants, operators, int(graph.Inputs(0)), tuple(graph.OutputsAsNumpy().tolist()))


def _stored(tensor: Any, shape: Shape, data: bytes) -> Array:
    """The values of a constant."""
    if tensor.Type() not in _DTYPES:
        raise CheckpointError(f"has weights of a type that is not known here (number {tensor.Type()}).")
    values: Array = np.frombuffer(data, _DTYPES[tensor.Type()])
    sparsity = tensor.Sparsity()
    return values.reshape(shape) if sparsity is None else _dense(values, shape, sparsity)


def _dense(values: Array, shape: Shape, sparsity: Any) -> Array:
    """An array whose zeros were left out.

    It was cut into blocks, as further dimensions behind its own, and is stored dimension by dimension in the order of
    traversal: each is dense, or lists for every place in the one before which places follow (TensorFlow Lite's
    schema, SparsityParameters).
    """
    order = sparsity.TraversalOrderAsNumpy().tolist()
    blocks = sparsity.BlockMapAsNumpy().tolist() if sparsity.BlockMapLength() else []
    dimensions = [sparsity.DimMetadata(i) for i in range(sparsity.DimMetadataLength())]
    rank = len(shape)
    places = np.zeros((1, 0), np.int64)  # a row for each place, a column for each dimension until now
    for dimension in dimensions:
        if dimension.Format() == _DENSE:
            ticks = np.arange(dimension.DenseSize())
            counts = np.full(len(places), len(ticks))
            following = np.tile(ticks, len(places))
        else:
            counts = np.diff(_indices(dimension.ArraySegmentsType(), dimension.ArraySegments()))
            following = _indices(dimension.ArrayIndicesType(), dimension.ArrayIndices())
        places = np.concatenate([np.repeat(places, counts, axis=0), following[:, None]], axis=1)
    by_dimension = {dimension: places[:, level] for level, dimension in enumerate(order)}
    index = [by_dimension[dimension] for dimension in range(rank)]
    for block, dimension in enumerate(blocks):
        index[dimension] = index[dimension] * dimensions[rank + block].DenseSize() + by_dimension[rank + block]
    dense = np.zeros(shape, values.dtype)
    dense[tuple(index)] = values
    return dense


def _indices(kind: int, table: Any) -> NDArray[np.int64]:
    """A vector of 8, 16 or 32 bits."""
    import tflite

    vector = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}[kind]()
    vector.Init(table.Bytes, table.Pos)
    numbers: NDArray[np.int64] = vector.ValuesAsNumpy().astype(np.int64)
    return numbers


def _kind(code: Any) -> str:
    """Name of an operator; older files have its number in another field."""
    import tflite

    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    names: dict[int, str] = {
        value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)
    }
    return names.get(number, f"number {number}")


def _settings(kind: str, step: Any) -> Any:
    """The table of an operator's settings, None where it has none."""
    import tflite

    name = _SETTINGS[kind]
    if name is None:
        return None
    table, settings = step.BuiltinOptions(), getattr(tflite, name)()
    settings.Init(table.Bytes, table.Pos)
    return settings
