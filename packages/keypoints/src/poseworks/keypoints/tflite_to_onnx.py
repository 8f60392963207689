"""A published pose network (TensorFlow Lite) as the ONNX file that this package runs.

The values of the weights stay as they are; what changes is the container and the layout:

  - TensorFlow Lite keeps images as (N, H, W, C), ONNX as (N, C, H, W): the image is turned once at the start, and what
    leaves as a vector is turned back. Batch, height and width of the image are left open.
  - float16 weights stay float16, with a cast behind them; sparse ones are filled with zeros.
  - padding "same" is written out: max((ceil(n / s) - 1) s + k - n, 0) pixels for n pixels, kernel k, stride s, of
    which the odd one comes last.
  - outputs are named by their shapes; what only other outputs need (the segmentation mask) is left out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from poseworks.core.errors import CheckpointError, ConfigError, PoseworksError
from poseworks.core.files import atomic_path, refuse_existing, sha256
from poseworks.keypoints.models import known_network
from poseworks.keypoints.tflite_files import Array, LiteNetwork, Operator, Shape, read_bytes, read_network

if TYPE_CHECKING:
    import onnx


OUTPUTS: Mapping[Shape, str] = {
    (1, 2254, 12): "boxes",
    (1, 2254, 1): "scores",
    (1, 195): "landmarks",
    (1, 1): "presence",
    (1, 64, 64, 39): "heatmap",
    (1, 117): "world",
}
"""Names of the outputs that are kept, by their shapes in TensorFlow Lite."""

KINDS = {
    frozenset({"boxes", "scores"}): "detector",
    frozenset({"landmarks", "presence", "heatmap", "world"}): "landmark network",
}
"""What a network is, by the names of its outputs."""


_SAME = 0  # the number of a padding
_NO_ACTIVATION, _RELU, _RELU6 = 0, 1, 3
_PRODUCER = "poseworks experiment converter"  # as in the shipped files, which so come out byte for byte


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        output: the ONNX file.
        network: ``detector`` or ``landmark network``.
        name: of the published network that it equals byte for byte; None where it is another.
        outputs: shapes of its outputs for one image, by name, as onnxruntime returned them.
    """

    output: Path
    network: str
    name: str | None
    size_bytes: int
    sha256: str
    source_sha256: str
    outputs: dict[str, Shape]


def convert_network(
    file: str | os.PathLike[str], output: str | os.PathLike[str], *, overwrite: bool = False
) -> Converted:
    """The ONNX file of a pose network; onnxruntime has run it on a random image before it appears.

    Args:
        file: ``pose_detection.tflite`` or ``pose_landmark_{lite,full,heavy}.tflite`` as published.
        output: ends in ``.onnx``.
        overwrite: replace what is there.

    Raises:
        ConfigError: not ``.onnx``, `output` exists, or the extra ``convert`` is not installed.
        DataError: `file` cannot be read, or `output` cannot be written.
        CheckpointError: `file` is damaged, no pose network, or has operators that are not known here.
    """
    source, target = Path(file), Path(output)
    if target.suffix.lower() != ".onnx":
        raise ConfigError(f"{target}: expected a name that ends in .onnx.")
    refuse_existing(target, overwrite)
    _check_installed()
    data = read_bytes(source)
    digest = sha256(source)
    try:
        network = read_network(data)
        names = _output_names(network)
        published = known_network(digest)
        model = as_onnx(network, names)
        origin = f"{published.origin} (Apache-2.0, The MediaPipe Authors)" if published else source.name
        model.doc_string = f"Converted from {origin}. Weights unchanged."
        written = model.SerializeToString()
        shapes = _verified(written, network, names)
    except PoseworksError as error:
        raise CheckpointError(f"{source}: {error}") from error
    except Exception as error:  # a flatbuffer checks nothing: whatever is wrong inside shows anywhere, as anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{source}: damaged or cut off ({reason}). Get it again.") from error
    with atomic_path(target) as path:
        path.write_bytes(written)
    digest_written = sha256(target)
    equals = known_network(digest_written)
    return Converted(
        output=target,
        network=KINDS[frozenset(shapes)],
        name=equals.name if equals else None,
        size_bytes=len(written),
        sha256=digest_written,
        source_sha256=digest,
        outputs=shapes,
    )


def as_onnx(network: LiteNetwork, names: Mapping[int, str]) -> onnx.ModelProto:
    """The same network in ONNX, with those outputs that `names` names by their tensors.

    Raises:
        CheckpointError: an operator has settings that are not known here.
        Exception: of any kind where the network contradicts itself.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(network)
    graph.add_all()
    outputs = []
    for tensor, name in names.items():
        graph.emit("Identity", [graph.names[tensor]], name)
        shape = network.shapes[tensor]
        after: Sequence[int | None] = shape[1:]
        if len(shape) == 4:
            after = (shape[3], shape[1], shape[2])
        elif len(shape) == 3:
            after = (None, None)  # how many anchors there are, is told by the size of the image
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *after]))
    nodes, weights = _needed(graph.nodes, graph.weights, set(names.values()))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", "h", "w", 3])
    model = helper.make_model(
        helper.make_graph(nodes, "pose", [image], outputs, weights),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=7,
        producer_name=_PRODUCER,
    )
    onnx.checker.check_model(model)
    return model


@dataclass
class _Graph:
    """ONNX nodes as they are added, one operator after the other.

    Attributes:
        names: of the ONNX values that hold the tensors, channels first where they are images.
        padded: for a tensor that `PAD` made: the value before it, and the pixels at the top, left, bottom and right.
    """

    network: LiteNetwork
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    padded: dict[int, tuple[str, list[int]]] = field(default_factory=dict)
    constants: dict[int, Array] = field(default_factory=dict)

    def add_all(self) -> None:
        """Every operator."""
        self.constants |= self.network.constants
        self.names[self.network.image] = self.emit("Transpose", ["image"], "nchw", perm=[0, 3, 1, 2])
        for step in self.network.operators:
            if step.kind in ("DEQUANTIZE", "DENSIFY"):
                values = self.constants[step.inputs[0]]
                self.constants[step.output] = values.astype(np.float32) if step.kind == "DEQUANTIZE" else values
            else:
                self.names[step.output] = self.add(step, f"t{step.output}")

    def add(self, step: Operator, out: str) -> str:
        """The value `out` that an operator makes."""
        match step.kind:
            case "CONV_2D" | "DEPTHWISE_CONV_2D":
                return self.convolution(step, out)
            case "ADD":
                total = self.emit("Add", [self.names[tensor] for tensor in step.inputs], f"{out}_a")
                return self.activation(total, step, out)
            case "PAD":
                return self.padding(step, out)
            case "RESIZE_BILINEAR":
                return self.resizing(step, out)
            case "MAX_POOL_2D":
                pool = step.settings
                sizes = {pool.FilterHeight(), pool.FilterWidth(), pool.StrideH(), pool.StrideW()}
                _expect(step, sizes == {2}, "windows other than 2 x 2")
                _expect(step, pool.FusedActivationFunction() == _NO_ACTIVATION, "an activation")
                return self.emit("MaxPool", [self.names[step.inputs[0]]], out, kernel_shape=[2, 2], strides=[2, 2])
            case "DEPTH_TO_SPACE":
                block = step.settings.BlockSize()
                return self.emit("DepthToSpace", [self.names[step.inputs[0]]], out, blocksize=block, mode="DCR")
            case "LOGISTIC":
                return self.emit("Sigmoid", [self.names[step.inputs[0]]], out)
            case "CONCATENATION":
                _expect(step, step.settings.FusedActivationFunction() == _NO_ACTIVATION, "an activation")
                rank = len(self.network.shapes[step.output])
                axis = step.settings.Axis() % rank
                axis = (0, 2, 3, 1)[axis] if rank == 4 else axis
                return self.emit("Concat", [self.names[tensor] for tensor in step.inputs], out, axis=axis)
            case "RESHAPE":
                return self.reshaping(step, out)
            case _:
                raise CheckpointError(f"has an operator that is not known here: {step.kind}.")

    def convolution(self, step: Operator, out: str) -> str:
        """A convolution with its bias and activation; a `PAD` that stands before it goes into it."""
        image, kernel, bias = step.inputs
        settings = step.settings
        weights = self.constants[kernel].astype(np.float32)
        groups = 1
        if step.kind == "DEPTHWISE_CONV_2D":
            _expect(step, settings.DepthMultiplier() == 1, "several outputs a channel")
            weights, groups = weights.transpose(3, 0, 1, 2), weights.shape[3]  # (1, h, w, C) -> (C, 1, h, w)
        else:
            weights = weights.transpose(0, 3, 1, 2)  # (O, h, w, I) -> (O, I, h, w)
        size, strides = weights.shape[2:], (settings.StrideH(), settings.StrideW())
        dilations = [settings.DilationHFactor(), settings.DilationWFactor()]
        source, pads = self.names[image], [0, 0, 0, 0]
        if settings.Padding() == _SAME:
            _expect(step, dilations == [1, 1], "dilation with padding")
            pads = _same_padding(self.network.shapes[image][1:3], size, strides)
        elif image in self.padded:
            source, pads = self.padded[image]
        inputs = [source, self.weight(weights, f"w{kernel}")]
        inputs.append(self.weight(self.constants[bias].astype(np.float32), f"b{bias}"))
        values = self.emit(
            "Conv", inputs, f"{out}_c",
            kernel_shape=list(size), strides=list(strides), pads=pads, group=groups, dilations=dilations,
        )  # fmt: skip
        return self.activation(values, step, out)

    def activation(self, values: str, step: Operator, out: str) -> str:
        """What stands behind a convolution or a sum."""
        kind = step.settings.FusedActivationFunction()
        _expect(step, kind in (_NO_ACTIVATION, _RELU, _RELU6), "an activation other than ReLU and ReLU6")
        if kind == _RELU6:
            limits = [self.weight(np.array([limit], np.float32), name) for limit, name in ((0, "zero"), (6, "six"))]
            return self.emit("Clip", [values, *limits], out)
        return self.emit("Relu" if kind == _RELU else "Identity", [values], out)

    def padding(self, step: Operator, out: str) -> str:
        """Zeros around an image, or behind its channels."""
        source = self.names[step.inputs[0]]
        batch, rows, columns, channels = self.constants[step.inputs[1]].tolist()
        if not any(batch + channels):
            self.padded[step.output] = source, [rows[0], columns[0], rows[1], columns[1]]
        pads = [pair[side] for side in (0, 1) for pair in (batch, channels, rows, columns)]
        return self.emit("Pad", [source, self.weight(np.array(pads, np.int64), f"p{step.output}")], out)

    def resizing(self, step: Operator, out: str) -> str:
        """An image at another size."""
        before, after = self.network.shapes[step.inputs[0]], self.network.shapes[step.output]
        mode = "asymmetric"
        if step.settings.AlignCorners():
            mode = "align_corners"
        elif step.settings.HalfPixelCenters():
            mode = "half_pixel"
        scales = np.array([1, 1, after[1] / before[1], after[2] / before[2]], np.float32)
        inputs = [self.names[step.inputs[0]], "", self.weight(scales, f"s{step.output}")]
        return self.emit("Resize", inputs, out, mode="linear", coordinate_transformation_mode=mode)

    def reshaping(self, step: Operator, out: str) -> str:
        """An image as a vector, or as a row for each anchor: in the order (H, W, C)."""
        before, after = self.network.shapes[step.inputs[0]], self.network.shapes[step.output]
        _expect(step, len(before) == 4 and len(after) in (2, 3) and before[0] == after[0] == 1, f"{before} to {after}")
        channels_last = self.emit("Transpose", [self.names[step.inputs[0]]], f"{out}_t", perm=[0, 2, 3, 1])
        shape = np.array([0, -1, after[2]] if len(after) == 3 else [0, after[1]], np.int64)
        return self.emit("Reshape", [channels_last, self.weight(shape, f"r{step.output}")], out)

    def weight(self, values: Array, name: str) -> str:
        """A stored array: in float16, with a cast behind it, where that loses nothing."""
        from onnx import TensorProto, numpy_helper

        stored = {tensor.name for tensor in self.weights}
        if {name, f"{name}_h"} & stored:
            return name
        values = np.ascontiguousarray(values)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.dtype == np.float32 and values.size > 16 and np.array_equal(half.astype(np.float32), values):
            self.weights.append(numpy_helper.from_array(half, f"{name}_h"))
            return self.emit("Cast", [f"{name}_h"], name, to=TensorProto.FLOAT)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def emit(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node; returns the name of what it makes."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}_{len(self.nodes)}", **attributes))
        return output


def _needed(
    nodes: Sequence[onnx.NodeProto], weights: Sequence[onnx.TensorProto], outputs: set[str]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes and weights on which the outputs depend, without nodes that only pass a value on."""
    same: dict[str, str] = {}
    kept = []
    for node in nodes:
        for place, name in enumerate(node.input):
            node.input[place] = same.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in outputs:
            same[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    needed, last_first = set(outputs), []
    for node in reversed(kept):
        if needed & set(node.output):
            last_first.append(node)
            needed |= set(node.input)
    return last_first[::-1], [tensor for tensor in weights if tensor.name in needed]


def _same_padding(image: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Pixels at the top, left, bottom and right."""
    totals = [
        max((-(-n // stride) - 1) * stride + k - n, 0) for n, k, stride in zip(image, kernel, strides, strict=True)
    ]
    return [total // 2 for total in totals] + [total - total // 2 for total in totals]


def _output_names(network: LiteNetwork) -> dict[int, str]:
    """Names of the tensors that are kept, by their shapes."""
    shapes = [network.shapes[tensor] for tensor in network.outputs]
    names = {tensor: OUTPUTS[shape] for tensor, shape in zip(network.outputs, shapes, strict=True) if shape in OUTPUTS}
    image = network.shapes[network.image]
    if frozenset(names.values()) not in KINDS or len(image) != 4 or image[1] != image[2] or image[3] != 3:
        expected = " or ".join(", ".join(sorted(kind)) for kind in KINDS)
        raise CheckpointError(
            f"is no pose network: it makes {', '.join(map(str, shapes))} of {image}. Expected a square RGB image, and "
            f"outputs with the shapes of {expected}."
        )
    return names


def _verified(written: bytes, network: LiteNetwork, names: Mapping[int, str]) -> dict[str, Shape]:
    """Shapes of the outputs for one random image.

    Raises:
        CheckpointError: they have other shapes than in TensorFlow Lite, or are not finite.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(written, options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random(network.shapes[network.image], dtype=np.float32)
    shapes = {}
    for (tensor, name), values in zip(names.items(), session.run(list(names.values()), {"image": image}), strict=True):
        shape = network.shapes[tensor]
        expected = (shape[0], shape[3], *shape[1:3]) if len(shape) == 4 else shape
        if values.shape != expected:
            raise CheckpointError(f"its output {name} is {values.shape}, expected {expected}. Get it again.")
        if not np.isfinite(values).all():
            raise CheckpointError(f"its output {name} is not finite for an ordinary image. Get it again.")
        shapes[name] = values.shape
    return shapes


def _expect(step: Operator, holds: bool, what: str) -> None:
    """CheckpointError for settings of an operator that are not known here."""
    if not holds:
        raise CheckpointError(f"{step.kind} with {what} is not known here. Expected a pose network of BlazePose.")


def _check_installed() -> None:
    try:
        for name in ("onnx", "tflite"):
            import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"convert: needs {error.name}, which is not installed. Install it: "
            'pip install "poseworks-keypoints[convert]".'
        ) from error
