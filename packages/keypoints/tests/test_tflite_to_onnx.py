"""Small networks, written with the builders of TensorFlow Lite's schema, against the same sums in NumPy and SciPy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from poseworks.core.errors import CheckpointError, ConfigError, DataError
from poseworks.core.files import sha256
from poseworks.keypoints.tflite_files import MAGIC, read_network
from poseworks.keypoints.tflite_to_onnx import as_onnx, convert_network

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
tflite = pytest.importorskip("tflite")
flatbuffers = pytest.importorskip("flatbuffers")

Floats = NDArray[np.float32]
SAME, VALID = 0, 1
RELU, RELU6, TANH = 1, 3, 4


class Lite:
    """A .tflite file as it is put together: tensors and operators by number, the image first."""

    def __init__(self, *image: int) -> None:
        self.builder = flatbuffers.Builder()
        self.buffers = [self.table("Buffer")]
        self.tensors: list[int] = []
        self.shapes: list[tuple[int, ...]] = []
        self.kinds: list[str] = []
        self.operators: list[int] = []
        self.image = self.tensor(image)

    def table(self, name: str, **fields: Any) -> int:
        getattr(tflite, f"{name}Start")(self.builder)
        for field, value in fields.items():
            getattr(tflite, f"{name}Add{field}")(self.builder, value)
        return int(getattr(tflite, f"{name}End")(self.builder))

    def ints(self, values: Any, dtype: type = np.int32) -> int:
        return int(self.builder.CreateNumpyVector(np.asarray(values, dtype)))

    def tables(self, offsets: list[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def tensor(self, shape: tuple[int, ...], values: NDArray[Any] | None = None, sparsity: int | None = None) -> int:
        number = 0
        if values is not None:
            data = self.builder.CreateNumpyVector(np.frombuffer(values.tobytes(), np.uint8))
            self.buffers.append(self.table("Buffer", Data=data))
            number = len(self.buffers) - 1
        types = {"float32": 0, "float16": 1, "int32": 2, "float64": 10}
        fields = {
            "Shape": self.ints(shape),
            "Type": types[str((values if values is not None else np.float32(0)).dtype)],
        }
        if sparsity is not None:
            fields["Sparsity"] = sparsity
        self.tensors.append(self.table("Tensor", **fields, Buffer=number))
        self.shapes.append(shape)
        return len(self.tensors) - 1

    def constant(self, values: NDArray[Any]) -> int:
        return self.tensor(values.shape, values)

    def step(self, kind: str, inputs: list[int], shape: tuple[int, ...], settings: str = "", **fields: Any) -> int:
        """Adds an operator; returns the tensor that it makes, of this shape."""
        made = self.tensor(shape)
        if kind not in self.kinds:
            self.kinds.append(kind)
        parts = {"OpcodeIndex": self.kinds.index(kind), "Inputs": self.ints(inputs), "Outputs": self.ints([made])}
        if settings:
            parts["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, settings)
            parts["BuiltinOptions"] = self.table(settings, **fields)
        self.operators.append(self.table("Operator", **parts))
        return made

    def conv(self, x: int, weights: int, bias: int, shape: tuple[int, ...], stride: int = 1, **fields: Any) -> int:
        fields = {"Padding": VALID, "DilationHFactor": 1, "DilationWFactor": 1, **fields}
        return self.step(
            "CONV_2D", [x, weights, bias], shape, "Conv2DOptions", StrideH=stride, StrideW=stride, **fields
        )

    def file(self, outputs: list[int]) -> bytes:
        codes = []
        for kind in self.kinds:
            number = getattr(tflite.BuiltinOperator, kind)
            codes.append(self.table("OperatorCode", BuiltinCode=number, DeprecatedBuiltinCode=min(number, 127)))
        graph = self.table(
            "SubGraph", Tensors=self.tables(self.tensors), Inputs=self.ints([self.image]),
            Outputs=self.ints(outputs), Operators=self.tables(self.operators),
        )  # fmt: skip
        model = self.table(
            "Model", Version=3, OperatorCodes=self.tables(codes), Subgraphs=self.tables([graph]),
            Buffers=self.tables(self.buffers),
        )  # fmt: skip
        self.builder.Finish(model, MAGIC)
        return bytes(self.builder.Output())


def run(data: bytes, names: dict[int, str], image: Floats) -> dict[str, Floats]:
    model = as_onnx(read_network(data), names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(names.values(), session.run(list(names.values()), {"image": image}), strict=True))


def convolved(x: Floats, weights: Floats, bias: Floats, stride: int, pads: tuple[int, int]) -> Floats:
    """(N, H, W, I) with (O, h, w, I): a sum over the places of the kernel."""
    x = np.pad(x, ((0, 0), pads, pads, (0, 0)))
    rows, columns = weights.shape[1:3]
    height, width = (x.shape[1] - rows) // stride + 1, (x.shape[2] - columns) // stride + 1
    out = np.zeros((len(x), height, width, len(weights)))
    for i in range(rows):
        for j in range(columns):
            seen = x[:, i : i + stride * height : stride, j : j + stride * width : stride]
            out += seen @ weights[:, i, j].T
    return out + bias


def depthwise(x: Floats, weights: Floats, bias: Floats, stride: int, pads: tuple[int, int]) -> Floats:
    """(N, H, W, C) with (1, h, w, C): a convolution for each channel."""
    each = [
        convolved(x[..., c : c + 1], weights[..., c : c + 1], bias[c : c + 1], stride, pads) for c in range(x.shape[-1])
    ]
    return np.concatenate(each, axis=-1)


def doubled(x: Floats) -> Floats:
    """(1, H, W, C) at twice the size, between the centres of the pixels."""
    rows, columns = (np.mgrid[: 2 * x.shape[1], : 2 * x.shape[2]] + 0.5) / 2 - 0.5
    each = [map_coordinates(x[0, ..., c], [rows, columns], order=1, mode="nearest") for c in range(x.shape[3])]
    return np.stack(each, axis=-1)[None]


def test_a_network_of_all_operators_gives_the_sums_done_by_hand() -> None:
    rng = np.random.default_rng(2)
    image = rng.normal(size=(1, 16, 16, 3)).astype(np.float32)
    w1 = rng.normal(size=(4, 3, 3, 3)).astype(np.float16)
    w2 = rng.normal(size=(1, 5, 5, 4)).astype(np.float32)
    w3 = rng.normal(size=(4, 3, 3, 4)).astype(np.float32)
    b1, b2, b3 = rng.normal(size=(3, 4)).astype(np.float32)

    lite = Lite(1, 16, 16, 3)
    half = lite.constant(w1)
    kernel = lite.step("DEQUANTIZE", [half], w1.shape)
    first = lite.conv(0, kernel, lite.constant(b1), (1, 8, 8, 4), 2, Padding=SAME, FusedActivationFunction=RELU6)
    deep = lite.step(
        "DEPTHWISE_CONV_2D", [first, lite.constant(w2), lite.constant(b2)], (1, 4, 4, 4), "DepthwiseConv2DOptions",
        Padding=SAME, StrideH=2, StrideW=2, DepthMultiplier=1, DilationHFactor=1, DilationWFactor=1,
    )  # fmt: skip
    around = lite.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    padded = lite.step("PAD", [first, around], (1, 10, 10, 4))
    valid = lite.conv(padded, lite.constant(w3), lite.constant(b3), (1, 4, 4, 4), 2, FusedActivationFunction=RELU)
    total = lite.step("ADD", [deep, valid], (1, 4, 4, 4), "AddOptions", FusedActivationFunction=RELU6)
    behind = lite.constant(np.array([[0, 0], [0, 0], [0, 0], [0, 2]], np.int32))
    wider = lite.step("PAD", [total, behind], (1, 4, 4, 6))
    size = lite.constant(np.array([8, 8], np.int32))
    larger = lite.step("RESIZE_BILINEAR", [total, size], (1, 8, 8, 4), "ResizeBilinearOptions", HalfPixelCenters=True)
    mixed = lite.step("ADD", [larger, first], (1, 8, 8, 4), "AddOptions")
    pool = {"Padding": VALID, "StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2}
    pooled = lite.step("MAX_POOL_2D", [mixed], (1, 4, 4, 4), "Pool2DOptions", **pool)
    joined = lite.step("CONCATENATION", [wider, pooled], (1, 4, 4, 10), "ConcatenationOptions", Axis=3)
    deeper = lite.step("CONCATENATION", [total, pooled], (1, 4, 4, 8), "ConcatenationOptions", Axis=-1)
    shallow = lite.step("DEPTH_TO_SPACE", [deeper], (1, 8, 8, 2), "DepthToSpaceOptions", BlockSize=2)
    flat = lite.step("LOGISTIC", [lite.step("RESHAPE", [joined], (1, 160), "ReshapeOptions")], (1, 160))
    rows = lite.step("RESHAPE", [shallow], (1, 64, 2), "ReshapeOptions")
    both = lite.step("CONCATENATION", [rows, rows], (1, 128, 2), "ConcatenationOptions", Axis=-2)
    data = lite.file([flat, shallow, both, mixed])
    got = run(data, {flat: "flat", shallow: "shallow", both: "both"}, image)

    one = np.clip(convolved(image, w1.astype(np.float32), b1, 2, (0, 1)), 0, 6)  # 16 by 3 with stride 2: one more pixel
    two = depthwise(one, w2, b2, 2, (1, 2))  # 8 by 5 with stride 2: three more
    three = np.maximum(convolved(one, w3, b3, 2, (1, 1)), 0)
    four = np.clip(two + three, 0, 6)
    five = (doubled(four) + one).reshape(1, 4, 2, 4, 2, 4).max(axis=(2, 4))
    expected = np.concatenate([four, np.zeros((1, 4, 4, 2)), five], axis=3)
    assert_allclose(got["flat"], 1 / (1 + np.exp(-expected.reshape(1, 160))), atol=1e-5)
    eight = np.concatenate([four, five], axis=3)
    opened = eight.reshape(1, 4, 4, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(1, 8, 8, 2)  # row, column, channel
    assert_allclose(got["shallow"], opened.transpose(0, 3, 1, 2), atol=1e-4)
    assert_allclose(got["both"], np.tile(opened.reshape(1, 64, 2), (1, 2, 1)), atol=1e-4)


def test_only_what_the_named_outputs_need_is_kept_and_float16_stays_small() -> None:
    rng = np.random.default_rng(4)
    lite = Lite(1, 4, 4, 3)
    kernels = [lite.constant(rng.normal(size=(6, 1, 1, 3)).astype(np.float16)) for _ in range(2)]
    bias = lite.constant(np.zeros(6, np.float32))
    kept, left_out = (
        lite.conv(0, lite.step("DEQUANTIZE", [half], (6, 1, 1, 3)), bias, (1, 4, 4, 6)) for half in kernels
    )
    model = as_onnx(read_network(lite.file([kept, left_out])), {kept: "kept"})
    assert [output.name for output in model.graph.output] == ["kept"]
    assert [node.op_type for node in model.graph.node] == ["Transpose", "Cast", "Conv", "Identity"]
    assert [tensor.data_type for tensor in model.graph.initializer] == [
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.FLOAT,
    ]
    batch, *_ = model.graph.input[0].type.tensor_type.shape.dim
    assert batch.dim_param == "n"


# The matrix of the schema's own example, with blocks of 2 x 2 and without, as a kernel (O, 1, 1, I).
MATRIX = np.float32([[1, 0, 2, 3], [0, 4, 0, 0], [0, 0, 5, 0], [0, 0, 0, 6]])
BLOCKS = ([1, 0, 0, 4, 2, 3, 0, 0, 5, 0, 0, 6], [2, 1, 1, ([0, 2, 3], [0, 1, 1]), 2, 2], [0, 3])
ROWS = ([1, 2, 3, 4, 5, 6], [4, 1, 1, ([0, 3, 4, 5, 6], [0, 2, 3, 1, 2, 3])], [])


@pytest.mark.parametrize(("values", "dimensions", "blocks"), [BLOCKS, ROWS], ids=["blocks", "rows"])
@pytest.mark.parametrize(
    ("vector", "dtype"), [("Int32Vector", np.int32), ("Uint16Vector", np.uint16), ("Uint8Vector", np.uint8)]
)
def test_sparse_weights_are_filled_with_zeros(
    values: list[float], dimensions: list[Any], blocks: list[int], vector: str, dtype: type
) -> None:
    lite = Lite(1, 2, 2, 3)
    metadata = []
    for dimension in dimensions:
        if isinstance(dimension, int):
            metadata.append(lite.table("DimensionMetadata", Format=0, DenseSize=dimension))
            continue
        segments, indices = (lite.table(vector, Values=lite.ints(numbers, dtype)) for numbers in dimension)
        kind = getattr(tflite.SparseIndexVector, vector)
        metadata.append(
            lite.table(
                "DimensionMetadata", Format=1, ArraySegmentsType=kind, ArraySegments=segments,
                ArrayIndicesType=kind, ArrayIndices=indices,
            )
        )  # fmt: skip
    fields = {"TraversalOrder": lite.ints(range(len(dimensions))), "DimMetadata": lite.tables(metadata)}
    if blocks:
        fields["BlockMap"] = lite.ints(blocks)
    stored = lite.tensor((4, 1, 1, 4), np.float16(values), lite.table("SparsityParameters", **fields))
    kernel = lite.step("DEQUANTIZE", [lite.step("DENSIFY", [stored], (4, 1, 1, 4))], (4, 1, 1, 4))
    four = lite.step("PAD", [0, lite.constant(np.array([[0, 0], [0, 0], [0, 0], [1, 0]], np.int32))], (1, 2, 2, 4))
    out = lite.conv(four, kernel, lite.constant(np.zeros(4, np.float32)), (1, 2, 2, 4))
    data = lite.file([out])
    assert_array_equal(read_network(data).constants[stored].reshape(4, 4), MATRIX)
    image = np.random.default_rng(0).normal(size=(1, 2, 2, 3)).astype(np.float32)
    assert_allclose(run(data, {out: "out"}, image)["out"], (image @ MATRIX[:, 1:].T).transpose(0, 3, 1, 2), atol=1e-5)


def pose_network(bias: float = 0.5, kind: str = "LOGISTIC") -> bytes:
    """Something with the outputs of a landmark network: the largest value of each channel, mixed."""
    rng = np.random.default_rng(6)
    lite = Lite(1, 256, 256, 3)

    def mixed(x: int, inputs: int, outputs: int, side: int, kernel: int = 1) -> int:
        weights = rng.normal(size=(outputs, kernel, kernel, inputs)).astype(np.float32) / 10
        biases = lite.constant(np.full(outputs, bias, np.float32))
        return lite.conv(x, lite.constant(weights), biases, (1, side, side, outputs), kernel)

    heatmap = mixed(0, 3, 39, 64, kernel=4)
    mask = lite.step(
        "DEPTH_TO_SPACE", [mixed(heatmap, 39, 16, 64)], (1, 256, 256, 1), "DepthToSpaceOptions", BlockSize=4
    )
    largest, side = heatmap, 64
    while side > 1:
        side //= 2
        pool = {"Padding": VALID, "StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2}
        largest = lite.step("MAX_POOL_2D", [largest], (1, side, side, 39), "Pool2DOptions", **pool)
    flat = [
        lite.step("RESHAPE", [mixed(largest, 39, count, 1)], (1, count), "ReshapeOptions") for count in (195, 1, 117)
    ]
    presence = lite.step(kind, [flat[1]], (1, 1))
    return lite.file([flat[0], presence, mask, heatmap, flat[2]])


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "made_up.tflite"
    path.write_bytes(pose_network())
    return path


def test_a_landmark_network_is_converted_without_its_mask(published: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.onnx"
    converted = convert_network(published, output)
    assert converted.network == "landmark network"
    assert converted.outputs == {
        "landmarks": (1, 195), "presence": (1, 1), "heatmap": (1, 39, 64, 64), "world": (1, 117)
    }  # fmt: skip
    assert (converted.output, converted.name) == (output, None)
    assert (converted.size_bytes, converted.sha256) == (output.stat().st_size, sha256(output))
    assert converted.source_sha256 == sha256(published)
    model = onnx.load(output)
    assert model.doc_string == "Converted from made_up.tflite. Weights unchanged."
    assert "DepthToSpace" not in {node.op_type for node in model.graph.node}
    again = tmp_path / "again.onnx"
    convert_network(published, again)
    assert again.read_bytes() == output.read_bytes()


def test_the_image_may_have_another_size(published: Path, tmp_path: Path) -> None:
    convert_network(published, tmp_path / "out.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "out.onnx", providers=["CPUExecutionProvider"])
    images = np.random.default_rng(1).random((2, 256, 256, 3), dtype=np.float32)
    (both,) = session.run(["heatmap"], {"image": images})
    for index in range(2):
        assert_allclose(session.run(["heatmap"], {"image": images[index : index + 1]})[0][0], both[index], atol=1e-5)
    (wide,) = session.run(["heatmap"], {"image": images[:1, :128]})
    assert_allclose(wide[0], both[0][:, :32], atol=1e-5)


def test_an_output_is_replaced_only_where_allowed(published: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.onnx"
    output.write_bytes(b"old")
    with pytest.raises(ConfigError, match=r"out\.onnx: already exists"):
        convert_network(published, output)
    assert output.read_bytes() == b"old"
    convert_network(published, output, overwrite=True)
    assert output.stat().st_size > 1000


def test_unknown_operators_are_named(tmp_path: Path) -> None:
    file = tmp_path / "other.tflite"
    file.write_bytes(pose_network(kind="HARD_SWISH"))
    with pytest.raises(CheckpointError, match=r"other\.tflite: has operators that are not known here: HARD_SWISH\."):
        convert_network(file, tmp_path / "out.onnx")
    assert list(tmp_path.iterdir()) == [file]


def test_another_network_is_refused(tmp_path: Path) -> None:
    lite = Lite(1, 8, 8, 3)
    out = lite.step("LOGISTIC", [0], (1, 8, 8, 3))
    (tmp_path / "hand.tflite").write_bytes(lite.file([out]))
    with pytest.raises(
        CheckpointError, match=r"is no pose network: it makes \(1, 8, 8, 3\) of \(1, 8, 8, 3\)\. Expected"
    ):
        convert_network(tmp_path / "hand.tflite", tmp_path / "out.onnx")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    (tmp_path / "nan.tflite").write_bytes(pose_network(bias=float("nan")))
    with pytest.raises(CheckpointError, match="its output landmarks is not finite"):
        convert_network(tmp_path / "nan.tflite", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, w: x.conv(0, *w, (1, 8, 8, 3), FusedActivationFunction=TANH), "an activation other than ReLU"),
        (lambda x, w: x.conv(0, *w, (1, 8, 8, 3), Padding=SAME, DilationHFactor=2), "dilation with padding"),
        (lambda x, _: x.step("MAX_POOL_2D", [0], (1, 4, 4, 3), "Pool2DOptions", StrideH=2, StrideW=2, FilterHeight=3,
                             FilterWidth=3), "windows other than 2 x 2"),
        (lambda x, w: x.step("DEPTHWISE_CONV_2D", [0, *w], (1, 8, 8, 6), "DepthwiseConv2DOptions", DepthMultiplier=2),
         "several outputs a channel"),
        (lambda x, _: x.step("RESHAPE", [0], (4, 48), "ReshapeOptions"), r"to \(4, 48\)"),
    ],
    ids=["activation", "dilation", "pool", "multiplier", "reshape"],
)  # fmt: skip
def test_settings_that_are_not_known_are_refused(make: Any, message: str) -> None:
    lite = Lite(1, 8, 8, 3)
    out = make(lite, [lite.constant(np.zeros((3, 1, 1, 3), np.float32)), lite.constant(np.zeros(3, np.float32))])
    with pytest.raises(CheckpointError, match=f"with .*{message}.* is not known here"):
        as_onnx(read_network(lite.file([out])), {out: "out"})


def test_weights_of_an_unknown_type_are_refused() -> None:
    lite = Lite(1, 8, 8, 3)
    lite.constant(np.zeros(3, np.float64))
    with pytest.raises(CheckpointError, match=r"weights of a type that is not known here \(number 10\)"):
        read_network(lite.file([0]))


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(published: Path, tmp_path: Path, share: float) -> None:
    data = published.read_bytes()
    file = tmp_path / "cut.tflite"
    file.write_bytes(data[: max(12, int(share * len(data)))])
    with pytest.raises(CheckpointError, match=r"cut\.tflite: damaged or cut off \(.+\)\. Get it again\."):
        convert_network(file, tmp_path / "out.onnx")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", b"\0" * 100, b"PK\x03\x04" + b"x" * 50], ids=["empty", "short", "zeros", "zip"]
)
def test_what_is_no_tensorflow_lite_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.tflite"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.tflite: is no TensorFlow Lite file\. Expected a published network"):
        convert_network(file, tmp_path / "out.onnx")


def test_paths_that_cannot_work_are_refused(published: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a name that ends in \.onnx"):
        convert_network(published, tmp_path / "out.tflite")
    with pytest.raises(DataError, match=r"nothing\.tflite: cannot be read \(No such file"):
        convert_network(tmp_path / "nothing.tflite", tmp_path / "out.onnx")
    with pytest.raises(DataError, match="cannot be read"):
        convert_network(tmp_path, tmp_path / "out.onnx")
    with pytest.raises(DataError, match=r"the folder .* does not exist"):
        convert_network(published, tmp_path / "no" / "out.onnx")


def test_a_missing_extra_is_named(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(ConfigError, match=r'convert: needs tflite, .* pip install "poseworks-keypoints\[convert\]"'):
        convert_network(published, tmp_path / "out.onnx")


def test_constants_are_read_as_stored() -> None:
    lite = Lite(1, 2, 2, 1)
    values = np.arange(6, dtype=np.int32).reshape(2, 3)
    number = lite.constant(values)
    network = read_network(lite.file([0]))
    assert_array_equal(network.constants[number], values)
    assert (network.image, network.outputs, network.shapes[number]) == (0, (0,), (2, 3))
