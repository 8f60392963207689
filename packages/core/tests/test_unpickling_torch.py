import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import Tensor

from poseworks.core.errors import FormatError
from poseworks.core.testing import mutations
from poseworks.core.unpickling import restricted_loads
from poseworks.core.unpickling_torch import rebuilt, storage_from_bytes

SOURCE = torch.arange(40, dtype=torch.float32).reshape(5, 8) / 3
TENSORS = {
    **{str(dtype): SOURCE.to(dtype) for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)},
    **{
        str(dtype): SOURCE.to(dtype)
        for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
    },
    "turned": SOURCE.t(),
    "a part": SOURCE[1:4, ::3],
    "a number": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "many": torch.arange(70_000),
    "a parameter's data": torch.nn.Linear(2, 3).weight.detach(),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", TENSORS)
def test_tensors_come_out_as_arrays(name: str, protocol: int) -> None:
    tensor = TENSORS[name]
    value = restricted_loads(pickle.dumps([{"pred_score": tensor}], protocol))[0]["pred_score"]
    expected = tensor.float().numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()
    assert_array_equal(value, expected)
    assert (value.dtype, value.shape) == (expected.dtype, expected.shape)


def test_damaged_tensors_end_in_a_value_or_a_format_error() -> None:
    data = pickle.dumps([{"pred_score": SOURCE, "gt_label": torch.tensor([3])}])
    refused = 0
    for damaged in mutations(data, np.random.default_rng(2), 600):
        try:
            restricted_loads(damaged)
        except FormatError:
            refused += 1
    assert refused > 100


NUMBERS = np.arange(6.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], 0, (1,), (1,)), "without a storage"),
        ((NUMBERS, -1, (1,), (1,)), "without a storage"),
        ((NUMBERS, 0, (2,), (1, 1)), "a shape that is none"),
        ((NUMBERS, 0, (2.0,), (1,)), "a shape that is none"),
        ((NUMBERS, 0, (-2,), (1,)), "a shape that is none"),
        ((NUMBERS, 0, (7,), (1,)), "does not lie within its 6 numbers"),
        ((NUMBERS, 4, (3,), (1,)), "does not lie within"),
        ((NUMBERS, 0, (2, 2), (5, 1)), "does not lie within"),
        ((NUMBERS, 0, (1 << 40,), (0,)), "does not lie within"),
    ],
)
def test_a_tensor_outside_of_its_storage_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        rebuilt(*arguments)


def _storage(tensor: Tensor) -> bytes:
    """What a pickle of the tensor holds as its storage."""
    storage = tensor.__reduce_ex__(2)[1][0]
    return bytes(storage.__reduce__()[1][0])


def test_a_storage_that_claims_other_numbers_is_refused() -> None:
    data = _storage(SOURCE)
    assert_array_equal(storage_from_bytes(data), SOURCE.flatten())
    for damaged in (data[:-4], data + b"\0" * 4):
        with pytest.raises(FormatError, match="claims 40 numbers"):
            storage_from_bytes(damaged)
    for other in (b"", "text", data[1:], data.replace(b"FloatStorage", b"QUInt8Storage")):
        with pytest.raises(FormatError, match="storage of a torch tensor is damaged"):
            storage_from_bytes(other)
