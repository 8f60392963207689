"""Rotations against the reference vectors, SciPy, and their own properties."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import ConfigError, ShapeError
from poseworks.core.rotations import (
    axis_angle_to_matrix,
    axis_angle_to_quaternion,
    geodesic_distance,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    matrix_to_six_d,
    quaternion_to_axis_angle,
    quaternion_to_matrix,
    six_d_to_matrix,
    slerp,
)
from poseworks.core.testing import ReferenceCase, reference_cases

HERE = Path(__file__).parent
PI = math.pi
# None, tiny, small on both sides of where the series ends, ordinary, and on both sides of pi.
ANGLES = (0.0, 1e-30, 1e-12, 1e-7, 1e-4, 0.0099, 0.0101, 0.5, 2.0, PI - 1e-3, PI - 1e-7, PI, PI + 1e-7, 4.0, 6.2)
PRECISION = {torch.float32: 2e-6, torch.float64: 1e-14}


@pytest.fixture(scope="module")
def case() -> ReferenceCase:
    return reference_cases(HERE / "reference", "rotations")[0]


def axes(dtype: torch.dtype) -> Tensor:
    """The coordinate axes both ways, and others in general position."""
    some = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    both = torch.cat((eye, -eye, torch.tensor([[1.0, 1, 0], [0, -1, 1]], dtype=torch.float64), some))
    return torch.nn.functional.normalize(both, dim=-1).to(dtype)


def vectors(dtype: torch.dtype) -> Tensor:
    """(angles, axes, 3): every axis at every angle."""
    return torch.tensor(ANGLES, dtype=dtype)[:, None, None] * axes(dtype)


@pytest.mark.parametrize(("origin", "layout"), [("paper", "columns"), ("toolkit", "rows")])
def test_six_d_as_published(case: ReferenceCase, origin: str, layout: str) -> None:
    of_vectors = matrix_to_six_d(axis_angle_to_matrix(case.outputs["axis_angle"]), layout)  # type: ignore[arg-type]
    assert_close(of_vectors, case.outputs[f"{origin}_six_from_axis_angle"], atol=1e-6, rtol=0)
    matrix = six_d_to_matrix(case.inputs["six"], layout)  # type: ignore[arg-type]
    assert_close(matrix, case.outputs[f"{origin}_matrix_from_six"], atol=1e-6, rtol=0)
    expected = axis_angle_to_matrix(case.outputs[f"{origin}_axis_angle_from_six"])
    assert_close(axis_angle_to_matrix(matrix_to_axis_angle(matrix)), expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("dtype", PRECISION)
def test_conversions_equal_scipy(dtype: torch.dtype) -> None:
    v = vectors(dtype)
    scipy = Rotation.from_rotvec(v.double().reshape(-1, 3).numpy())
    matrices = torch.from_numpy(scipy.as_matrix()).reshape(*v.shape[:-1], 3, 3)
    quaternions = torch.from_numpy(scipy.as_quat()).roll(1, -1).reshape(*v.shape[:-1], 4)  # SciPy: x y z w
    tolerance = {"atol": PRECISION[dtype], "rtol": 0, "check_dtype": False}
    assert_close(axis_angle_to_matrix(v), matrices, **tolerance)
    assert_close(quaternion_to_matrix(axis_angle_to_quaternion(v)), matrices, **tolerance)
    assert_close(quaternion_to_matrix(matrix_to_quaternion(matrices.to(dtype))), matrices, **tolerance)
    sign = torch.sign((axis_angle_to_quaternion(v) * quaternions).sum(-1, keepdim=True))
    assert_close(axis_angle_to_quaternion(v), sign * quaternions, **tolerance)


@pytest.mark.parametrize("dtype", PRECISION)
def test_angles_below_pi_come_back(dtype: torch.dtype) -> None:
    v = vectors(dtype)[:10]
    tolerance = {"atol": 4 * PRECISION[dtype], "rtol": 0}
    assert_close(quaternion_to_axis_angle(axis_angle_to_quaternion(v)), v, **tolerance)
    assert_close(matrix_to_axis_angle(axis_angle_to_matrix(v)), v, **tolerance)


@pytest.mark.parametrize("dtype", PRECISION)
def test_angles_are_read_as_0_to_pi_and_turn_alike(dtype: torch.dtype) -> None:
    v = vectors(dtype)
    for read in (matrix_to_axis_angle(axis_angle_to_matrix(v)), quaternion_to_axis_angle(axis_angle_to_quaternion(v))):
        assert (read.norm(dim=-1) <= PI + 1e-6).all()
        assert_close(axis_angle_to_matrix(read), axis_angle_to_matrix(v), atol=4 * PRECISION[dtype], rtol=0)


def test_tiny_angles_keep_their_relative_precision() -> None:
    v = torch.tensor([1e-20, -2e-20, 3e-20], dtype=torch.float64)
    assert_close(quaternion_to_axis_angle(axis_angle_to_quaternion(v)), v, rtol=1e-14, atol=0)
    assert_close(matrix_to_axis_angle(axis_angle_to_matrix(v)), v, rtol=1e-14, atol=0)


@pytest.mark.parametrize("axis", range(3))
def test_half_turns_about_each_axis(axis: int) -> None:
    signs = -torch.ones(3)
    signs[axis] = 1
    read = matrix_to_axis_angle(torch.diag(signs))
    expected = torch.zeros(3)
    expected[axis] = PI
    assert_close(read.abs(), expected)


def test_a_quaternion_of_any_length_and_sign_turns_alike() -> None:
    q = torch.tensor([0.5, -0.5, 0.5, 0.5], dtype=torch.float64)
    for scale in (1.0, -1.0, 7.0, -1e-3):
        assert_close(quaternion_to_matrix(scale * q), quaternion_to_matrix(q))
        assert_close(quaternion_to_axis_angle(scale * q), quaternion_to_axis_angle(q))
    assert matrix_to_quaternion(quaternion_to_matrix(-q))[0] > 0


CONVERSIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "axis_angle_to_quaternion": axis_angle_to_quaternion,
    "axis_angle_to_matrix": axis_angle_to_matrix,
    "through_quaternion": lambda v: quaternion_to_axis_angle(axis_angle_to_quaternion(v)),
    "through_matrix": lambda v: matrix_to_axis_angle(axis_angle_to_matrix(v)),
    "through_rows": lambda v: six_d_to_matrix(matrix_to_six_d(axis_angle_to_matrix(v), "rows"), "rows"),
    "distance": lambda v: geodesic_distance(axis_angle_to_matrix(v), torch.eye(3, dtype=v.dtype).expand(*v.shape, 3)),
    "slerp": lambda v: slerp(axis_angle_to_quaternion(v), axis_angle_to_quaternion(0.3 - v), 0.3),
}


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("name", CONVERSIONS)
def test_gradients_are_finite_at_every_angle(name: str, dtype: torch.dtype) -> None:
    v = vectors(dtype).requires_grad_()
    CONVERSIONS[name](v).sum().backward()
    assert v.grad is not None
    assert torch.isfinite(v.grad).all()
    assert v.grad.abs().max() < 100  # not merely finite: of the size of the thing itself


@pytest.mark.parametrize("name", ["axis_angle_to_quaternion", "axis_angle_to_matrix", "through_rows"])
@pytest.mark.parametrize("angle", [0.0, 1e-5, 0.0099999, 0.0100001, 1.0, PI, 5.0])
def test_gradients_equal_finite_differences(name: str, angle: float) -> None:
    v = (angle * axes(torch.float64)[::4]).requires_grad_()
    assert torch.autograd.gradcheck(CONVERSIONS[name], (v,))


@pytest.mark.parametrize("name", ["through_quaternion", "through_matrix"])
@pytest.mark.parametrize("angle", [0.0, 1e-5, 0.0099999, 0.0100001, 1.0, 3.0])
def test_there_and_back_has_the_identity_as_gradient(name: str, angle: float) -> None:
    for axis in axes(torch.float64)[::4]:
        jacobian = torch.autograd.functional.jacobian(CONVERSIONS[name], angle * axis)
        assert_close(jacobian, torch.eye(3, dtype=torch.float64), atol=1e-7, rtol=0)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0,), (3,), (2, 0, 4)])
def test_any_leading_shape(shape: tuple[int, ...]) -> None:
    """Three rotations too: a cross product without an axis would mix them."""
    v = torch.randn(*shape, 3, generator=torch.Generator().manual_seed(1))
    matrix = axis_angle_to_matrix(v)
    assert matrix.shape == (*shape, 3, 3)
    assert axis_angle_to_quaternion(v).shape == matrix_to_quaternion(matrix).shape == (*shape, 4)
    assert matrix_to_axis_angle(matrix).shape == (*shape, 3)
    assert geodesic_distance(matrix, matrix).shape == shape
    for layout in ("rows", "columns"):
        six = matrix_to_six_d(matrix, layout)  # type: ignore[arg-type]
        assert six.shape == (*shape, 6)
        assert_close(six_d_to_matrix(six, layout), matrix, atol=1e-6, rtol=0)  # type: ignore[arg-type]
    one_by_one = [axis_angle_to_matrix(each) for each in v.reshape(-1, 3)]
    if one_by_one:
        assert_close(matrix, torch.stack(one_by_one).reshape(matrix.shape), atol=0, rtol=0)


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_gram_schmidt_makes_rotations_of_anything_in_general_position(layout: str) -> None:
    six = torch.randn(50, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    matrix = six_d_to_matrix(six, layout)  # type: ignore[arg-type]
    assert_close(matrix @ matrix.mT, torch.eye(3, dtype=torch.float64).expand(50, 3, 3), atol=1e-12, rtol=0)
    assert_close(torch.linalg.det(matrix), torch.ones(50, dtype=torch.float64))
    first = six[:, :3] if layout == "rows" else six[:, ::2]
    kept = matrix[:, 0] if layout == "rows" else matrix[:, :, 0]
    assert_close(kept, first / first.norm(dim=-1, keepdim=True))


def test_degenerate_six_d_stays_finite_with_a_finite_gradient() -> None:
    six = torch.tensor([[0.0] * 6, [1, 2, 3, 2, 4, 6], [1e-20] * 6]).requires_grad_()
    matrix = six_d_to_matrix(six, "rows")
    matrix.sum().backward()
    assert torch.isfinite(matrix).all()
    assert six.grad is not None
    assert torch.isfinite(six.grad).all()


def test_the_layouts_differ() -> None:
    matrix = axis_angle_to_matrix(torch.tensor([0.3, -0.2, 0.5]))
    rows, columns = matrix_to_six_d(matrix, "rows"), matrix_to_six_d(matrix, "columns")
    assert rows.tolist() == [*matrix[0].tolist(), *matrix[1].tolist()]
    assert columns.tolist() == [matrix[i, j].item() for i in range(3) for j in range(2)]
    assert_close(six_d_to_matrix(columns, "columns"), matrix)


def test_nan_passes_through_alone() -> None:
    v = torch.randn(4, 3, generator=torch.Generator().manual_seed(3))
    v[2, 1] = torch.nan
    for function in (axis_angle_to_matrix, axis_angle_to_quaternion, CONVERSIONS["through_matrix"]):
        out = function(v).reshape(4, -1)
        assert torch.isnan(out).any(dim=1).tolist() == [False, False, True, False]
    for row in range(3):
        for column in range(3):
            matrix = torch.eye(3)
            matrix[row, column] = torch.nan
            assert torch.isnan(matrix_to_axis_angle(matrix)).all()
    assert torch.isnan(quaternion_to_matrix(torch.zeros(4))).any()


@pytest.mark.parametrize("dtype", PRECISION)
def test_geodesic_distance_is_the_angle_between(dtype: torch.dtype) -> None:
    v = vectors(dtype)[:12]
    base = axis_angle_to_matrix(torch.tensor([0.4, -1.0, 0.2], dtype=dtype))
    turned = base @ axis_angle_to_matrix(v)
    angle = torch.tensor(ANGLES[:12], dtype=dtype)[:, None].expand(v.shape[:-1])
    assert_close(geodesic_distance(base.expand_as(turned), turned), angle, atol=4 * PRECISION[dtype], rtol=0)
    assert_close(geodesic_distance(turned, base), angle, atol=4 * PRECISION[dtype], rtol=0)


def test_slerp_equals_scipy() -> None:
    generator = torch.Generator().manual_seed(4)
    a, b = torch.randn(2, 20, 4, generator=generator, dtype=torch.float64)
    times = torch.linspace(0, 1, 7, dtype=torch.float64)
    made = slerp(a[:, None], b[:, None], times)
    for i in range(20):
        ends = Rotation.from_quat(torch.stack((a[i], b[i])).roll(-1, -1).numpy())
        expected = torch.from_numpy(Slerp([0, 1], ends)(times.numpy()).as_matrix())
        assert_close(quaternion_to_matrix(made[i]), expected, atol=1e-12, rtol=0)


def test_slerp_ends_at_its_ends_and_goes_the_short_way() -> None:
    a = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    b = axis_angle_to_quaternion(torch.tensor([0.0, 0, 1.0], dtype=torch.float64))
    for far in (b, -b):
        half = quaternion_to_axis_angle(slerp(a, far, 0.5))
        assert_close(half, torch.tensor([0.0, 0, 0.5], dtype=torch.float64))
        assert_close(quaternion_to_matrix(slerp(a, far, 1.0)), quaternion_to_matrix(b))
    assert_close(slerp(b, b, torch.tensor([0.0, 0.3, 1.0])), b.expand(3, 4))


@pytest.mark.parametrize(
    ("function", "name", "good"),
    [
        (axis_angle_to_quaternion, "axis_angle", (2, 3)),
        (axis_angle_to_matrix, "axis_angle", (2, 3)),
        (quaternion_to_axis_angle, "quaternion", (2, 4)),
        (quaternion_to_matrix, "quaternion", (2, 4)),
        (matrix_to_quaternion, "matrix", (2, 3, 3)),
        (matrix_to_axis_angle, "matrix", (2, 3, 3)),
        (lambda x: six_d_to_matrix(x, "rows"), "six_d", (2, 6)),
        (lambda x: matrix_to_six_d(x, "rows"), "matrix", (2, 3, 3)),
        (lambda x: geodesic_distance(x, torch.eye(3)), "a", (2, 3, 3)),
        (lambda x: geodesic_distance(torch.eye(3), x), "b", (2, 3, 3)),
        (lambda x: slerp(x, torch.ones(4), 0.5), "a", (2, 4)),
        (lambda x: slerp(torch.ones(4), x, 0.5), "b", (2, 4)),
    ],
)
def test_wrong_shapes_and_integers_are_refused(
    function: Callable[[Tensor], Tensor], name: str, good: tuple[int, ...]
) -> None:
    function(torch.ones(good))
    with pytest.raises(ShapeError, match=rf"^{name}: expected \(.*\), got \(2, 9\)"):
        function(torch.ones(2, 9))
    with pytest.raises(ShapeError, match=rf"^{name}: expected floating point, got torch.int64. .*{name}.float\(\)"):
        function(torch.ones(good, dtype=torch.int64))


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ConfigError, match="layout: expected one of rows, columns, got 'toolkit'"):
        six_d_to_matrix(torch.ones(6), "toolkit")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="layout: expected one of rows, columns, got 'paper'"):
        matrix_to_six_d(torch.eye(3), "paper")  # type: ignore[arg-type]
