from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import ndimage, signal

from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.testing import reference_cases
from poseworks.temporal.filters import (
    PUBLISHED_FILTERS,
    AnyFilter,
    Butterworth,
    Chain,
    Filter,
    Gaussian,
    Median,
    OneEuro,
    SavitzkyGolay,
)
from poseworks.temporal.published_filters import (
    gaussian_in_blocks,
    median_and_gaussian_with_zeros,
    median_over_joints_and_time,
)

Floats = npt.NDArray[np.float64]
REFERENCE = Path(__file__).parent / "reference"
ARRAYS = reference_cases(REFERENCE, "filters")[0].arrays
X = ARRAYS["x"]

EVERY_KIND: list[Filter] = [
    Gaussian(sigma_frames=1.3),
    Gaussian(sigma_frames=0.05),
    SavitzkyGolay(window=7, order=2),
    SavitzkyGolay(window=5, order=4),
    Median(window=5),
    Median(window=1),
    OneEuro(min_cutoff_hz=1, beta=0.3, fps=30),
    Butterworth(cutoff_hz=5, fps=30),
    Butterworth(cutoff_hz=3, fps=25, order=1),
    Butterworth(cutoff_hz=4, fps=30, order=5),
    Chain(filters=(Median(window=3), Gaussian(sigma_frames=0.7))),
    Chain(filters=(SavitzkyGolay(window=5), Median(window=3), Gaussian(sigma_frames=0.5))),
]


def name_of(smoother: Filter) -> str:
    return "-".join(str(value) for value in smoother.model_dump().values() if not isinstance(value, tuple))


every_kind = pytest.mark.parametrize("smoother", EVERY_KIND, ids=name_of)


def flat(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return x.reshape(len(x), -1)


def walk(frames: int, channels: int = 2, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(frames, channels)).cumsum(axis=0)


# --- the published filters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "smoother"),
    [
        ("toolkit_savgol", PUBLISHED_FILTERS["savitzky_golay_toolkit"]),
        ("paper_savgol", PUBLISHED_FILTERS["savitzky_golay_paper"]),
        ("toolkit_oneeuro", PUBLISHED_FILTERS["one_euro_toolkit"]),
        ("paper_oneeuro", PUBLISHED_FILTERS["one_euro_paper"]),
        ("toolkit_oneeuro_c1_b0", OneEuro(min_cutoff_hz=1, beta=0, fps=1)),
        ("toolkit_oneeuro_c0.05_b0.1", OneEuro(min_cutoff_hz=0.05, beta=0.1, fps=1)),
    ],
)
def test_equals_the_published_filter(name: str, smoother: Filter) -> None:
    np.testing.assert_allclose(smoother(flat(X)), flat(ARRAYS[name]), atol=1e-5, rtol=0)
    if f"{name}_short" in ARRAYS:
        np.testing.assert_allclose(smoother(flat(X[:7])), flat(ARRAYS[f"{name}_short"]), atol=1e-5, rtol=0)


def test_the_published_gaussians_as_they_are() -> None:
    np.testing.assert_allclose(gaussian_in_blocks(X, 31, 3), ARRAYS["paper_gaus1d"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(gaussian_in_blocks(X[:7], 31, 3), ARRAYS["paper_gaus1d_short"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(median_over_joints_and_time(X, 11, 4), ARRAYS["toolkit_gaus1d"], atol=1e-5, rtol=0)
    repaired = median_and_gaussian_with_zeros(X, 11, 4)
    np.testing.assert_allclose(repaired, ARRAYS["posetoolkit_gaus1d"], atol=1e-5, rtol=0)
    short = median_and_gaussian_with_zeros(X[:7], 11, 4)
    np.testing.assert_allclose(short, ARRAYS["posetoolkit_gaus1d_short"], atol=1e-5, rtol=0)


def test_the_default_gaussian_is_the_repaired_one_away_from_the_ends() -> None:
    smoothed = PUBLISHED_FILTERS["gaussian_toolkit"](flat(X))
    np.testing.assert_allclose(smoothed[22:-22], flat(ARRAYS["posetoolkit_gaus1d"])[22:-22], atol=1e-5, rtol=0)


def test_the_toolkits_median_makes_a_single_joint_zero() -> None:
    assert not median_over_joints_and_time(X[:, :1]).any()


# --- what each filter is ----------------------------------------------------------------------------------------------


def test_gaussian_and_median_are_scipys_along_time() -> None:
    x = flat(X).astype(np.float64)
    np.testing.assert_allclose(Gaussian(sigma_frames=3)(x), ndimage.gaussian_filter1d(x, 3, axis=0), atol=1e-12)
    np.testing.assert_allclose(Median(window=5)(x)[2:-2], signal.medfilt(x, (5, 1))[2:-2], atol=1e-12)


def test_butterworth_is_a_quarter_of_the_power_at_the_cutoff() -> None:
    t = np.arange(600) / 30
    for hertz, gain in ((0.5, 1.0), (4.0, 0.5), (12.0, 0.0)):
        wave = np.sin(2 * np.pi * hertz * t)[:, None]
        smoothed = Butterworth(cutoff_hz=4, fps=30, order=4)(wave)
        middle = slice(150, 450)
        assert np.sqrt((smoothed[middle] ** 2).mean() / (wave[middle] ** 2).mean()) == pytest.approx(gain, abs=0.01)


def test_one_euro_by_hand() -> None:
    smoother = OneEuro(min_cutoff_hz=2, beta=0.5, fps=25, derivative_cutoff_hz=3)

    def share(hertz: float) -> float:
        return 2 * np.pi * hertz / (2 * np.pi * hertz + 25)

    y, d, expected = 1.0, 0.0, [1.0]
    for x in (2.0, 4.0, 3.0):
        d = share(3) * (x - y) * 25 + (1 - share(3)) * d
        a = share(2 + 0.5 * abs(d))
        y = a * x + (1 - a) * y
        expected.append(y)
    np.testing.assert_allclose(smoother(np.array([[1.0], [2], [4], [3]]))[:, 0], expected, atol=1e-12)


def test_one_euro_at_a_real_rate_is_the_published_one_with_cutoffs_times_the_rate() -> None:
    x, fps = walk(100), 29.97
    published = PUBLISHED_FILTERS["one_euro_paper"]
    real = OneEuro(min_cutoff_hz=0.04 * fps, beta=0.7, fps=fps, derivative_cutoff_hz=fps)
    np.testing.assert_allclose(real(x), published(x), atol=1e-10)


def test_one_euro_does_the_same_in_seconds_whatever_the_rate() -> None:
    risen = [
        OneEuro(min_cutoff_hz=1, beta=0, fps=fps)(np.repeat([[0.0], [1.0]], (fps, fps), axis=0))[int(1.2 * fps), 0]
        for fps in (500, 1000, 2000)
    ]
    assert np.ptp(risen) < 0.01
    assert risen[0] == pytest.approx(1 - np.exp(-2 * np.pi * 0.2), abs=0.01)


def test_savitzky_golay_keeps_its_polynomials_to_the_ends() -> None:
    t = np.linspace(-1, 1, 40)[:, None]
    parabola = 3 * t**2 - t + 0.5
    for frames in (40, 11, 6, 3):
        np.testing.assert_allclose(SavitzkyGolay(window=11, order=2)(parabola[:frames]), parabola[:frames], atol=1e-9)


def test_a_chain_is_its_filters_one_after_the_other() -> None:
    x, first, second = walk(50), Median(window=5), Gaussian(sigma_frames=2)
    np.testing.assert_allclose(Chain(filters=(first, second))(x), second(first(x)), atol=1e-12)


@every_kind
def test_a_constant_stays_and_channels_do_not_mix(smoother: Filter) -> None:
    np.testing.assert_allclose(smoother(np.full((30, 2), 3.5)), 3.5, atol=1e-9)
    x = walk(40, 3)
    np.testing.assert_allclose(smoother(x)[:, [2, 0]], smoother(x[:, [2, 0]]), atol=1e-12)


# --- look-ahead -------------------------------------------------------------------------------------------------------


@pytest.mark.long
@every_kind
@settings(max_examples=15, deadline=None)
@given(frames=st.integers(1, 40), look_ahead=st.integers(0, 15) | st.just(200), seed=st.integers(0, 99))
def test_look_ahead_is_the_clip_cut_off_there(smoother: Filter, frames: int, look_ahead: int, seed: int) -> None:
    x = walk(frames, seed=seed)
    cut = np.stack([smoother(x[: t + look_ahead + 1])[t] for t in range(frames)])
    np.testing.assert_allclose(smoother.offline(x, look_ahead), cut, atol=1e-10)


@every_kind
def test_no_limit_is_the_whole_clip(smoother: Filter) -> None:
    x = walk(60)
    np.testing.assert_array_equal(smoother.offline(x), smoother(x))
    np.testing.assert_allclose(smoother.offline(x, 60), smoother(x), atol=1e-12)
    if smoother.reach is not None and smoother.context is not None:
        enough = smoother.reach + smoother.context
        np.testing.assert_allclose(smoother.offline(x, enough), smoother(x), atol=1e-12)


@every_kind
def test_context_is_as_far_back_as_a_frame_depends(smoother: Filter) -> None:
    if smoother.context is None:
        pytest.skip("recursive")
    x = walk(60)
    changed = x.copy()
    changed[: 40 - smoother.context] += 100
    for look_ahead in (0, 1, 4):
        np.testing.assert_allclose(smoother.offline(changed, look_ahead)[40:], smoother.offline(x, look_ahead)[40:])


def test_many_frames_side_by_side_do_not_need_more_memory_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    x, smoother = walk(300), Chain(filters=(Median(window=3), Gaussian(sigma_frames=2)))
    expected = smoother.offline(x, 3)
    monkeypatch.setattr("poseworks.temporal.filters._BATCH_NUMBERS", 100)
    np.testing.assert_allclose(smoother.offline(x, 3), expected, atol=1e-12)


# --- the border -------------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_the_shortest_clips(smoother: Filter, frames: int) -> None:
    x = walk(frames)
    for smoothed in (smoother(x), smoother.offline(x, 0), smoother.offline(x, 2)):
        assert smoothed.shape == (frames, 2)
        assert np.isfinite(smoothed).all()
    if frames == 1:
        np.testing.assert_allclose(smoother(x), x, atol=1e-12)


@every_kind
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_kind_and_dtype_come_back(smoother: Filter, dtype: str) -> None:
    x = walk(30).astype(dtype)
    smoothed = smoother(x)
    assert smoothed.dtype == np.dtype(dtype)
    tensor = torch.from_numpy(x)
    of_tensor = smoother(tensor)
    assert of_tensor.dtype == tensor.dtype
    np.testing.assert_allclose(of_tensor.numpy(), smoothed, rtol=2e-3)  # the last digit of float16
    np.testing.assert_allclose(smoother.offline(tensor, 2).numpy(), smoother.offline(x, 2), rtol=2e-3)


@every_kind
@pytest.mark.parametrize("fault", [np.nan, np.inf])
def test_missing_values_are_refused_by_name(smoother: Filter, fault: float) -> None:
    x = walk(30)
    x[7, 1] = fault
    with pytest.raises(DataError, match=r"frame 7, channel 1 .*Interpolate"):
        smoother(x)
    with pytest.raises(DataError, match="frame 7, channel 1"):
        smoother.offline(torch.from_numpy(x), 1)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((5, 17, 3)), "reshape"),
        (np.zeros((5, 3), dtype=int), "floating"),
        (torch.zeros(5, 3, dtype=torch.int32), "floating"),
        ([[1.0]], "list"),
    ],
)
def test_wrong_inputs(x: object, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Gaussian(sigma_frames=1)(x)  # type: ignore[type-var]


def test_a_negative_look_ahead_is_refused() -> None:
    with pytest.raises(ConfigError, match="look_ahead"):
        Gaussian(sigma_frames=1).offline(walk(5), -1)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Gaussian, {"sigma_frames": 0}, "greater than 0"),
        (Gaussian, {"sigma": 3}, "sigma"),
        (SavitzkyGolay, {"window": 10}, "window=9"),
        (SavitzkyGolay, {"window": 3, "order": 3}, "order < window"),
        (Median, {"window": 4}, "Take 3 or 5"),
        (OneEuro, {"min_cutoff_hz": 1, "beta": 0, "fps": 0}, "greater than 0"),
        (Butterworth, {"cutoff_hz": 15, "fps": 30}, "below half"),
        (Chain, {"filters": ()}, "at least 1"),
    ],
)
def test_wrong_settings(kind: type[Filter], fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        kind(**fields)


@every_kind
def test_settings_survive_json(smoother: Filter) -> None:
    adapter: TypeAdapter[Filter] = TypeAdapter(AnyFilter)
    assert adapter.validate_json(adapter.dump_json(smoother)) == smoother
