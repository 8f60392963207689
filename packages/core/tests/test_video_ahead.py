"""Working ahead in a thread, and the times of frames. Neither needs PyAV."""

import contextlib
import gc
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from poseworks.core.errors import ConfigError, DataError
from poseworks.core.video import ahead, even_rate
from poseworks.core.video.times import Clock


class Source:
    """Numbers from 0; remembers what was taken, in which thread, and that it was closed."""

    def __init__(self, count: int, error: BaseException | None = None) -> None:
        self.count, self.error = count, error
        self.taken: list[int] = []
        self.threads: set[int] = set()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[int]:
        try:
            for number in range(self.count):
                self.taken.append(number)
                self.threads.add(threading.get_ident())
                yield number
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "poseworks-ahead"]


class TestAhead:
    @pytest.mark.parametrize("depth", [1, 2, 50])
    @pytest.mark.parametrize("count", [0, 1, 30])
    def test_items_come_in_order_from_one_other_thread(self, count: int, depth: int) -> None:
        source = Source(count)
        assert list(ahead(source, depth)) == list(range(count))
        assert threading.get_ident() not in source.threads
        assert len(source.threads) == min(1, count)
        assert (source.closed.is_set(), workers()) == (True, [])

    def test_what_is_no_generator_works_too(self) -> None:
        assert list(ahead([3, 1, None], 2)) == [3, 1, None]

    def test_no_more_than_depth_and_one_are_made_in_advance(self) -> None:
        items = Source(100)
        numbers = ahead(items, 3)
        for number in numbers:
            assert len(items.taken) <= number + 1 + 3 + 1
            if number == 20:
                break
        numbers.close()  # type: ignore[attr-defined]
        assert len(items.taken) <= 26

    @pytest.mark.parametrize("error", [ValueError("bad"), DataError("bad"), KeyboardInterrupt("bad")])
    def test_errors_come_out_after_the_items_before_them(self, error: BaseException) -> None:
        items = ahead(Source(5, error), 2)
        assert [next(items) for _ in range(5)] == list(range(5))
        with pytest.raises(type(error), match="bad") as caught:
            next(items)
        assert caught.value is error
        assert workers() == []

    def test_leaving_early_ends_the_thread_and_closes_the_source(self) -> None:
        left, raised, closed = Source(10**9), Source(10**9), Source(10**9)
        for _ in ahead(left, 1):
            break
        with contextlib.suppress(KeyboardInterrupt):
            for _ in ahead(raised):
                raise KeyboardInterrupt
        items = ahead(closed)
        next(items)
        items.close()  # type: ignore[attr-defined]
        gc.collect()
        for source in (left, raised, closed):
            assert source.closed.is_set()
            assert len(source.taken) < 20
        assert workers() == []

    def test_nothing_starts_before_the_first_item_is_asked_for(self) -> None:
        source = Source(5)
        items = ahead(source)
        assert (source.taken, workers()) == ([], [])
        del items

    def test_depth_is_checked(self) -> None:
        with pytest.raises(ConfigError, match=r"depth: expected 1 or more, got 0\."):
            ahead([1], 0)


class TestEvenRate:
    @pytest.mark.parametrize("fps", [24000 / 1001, 25.0, 30000 / 1001, 59.94, 120.0])
    @pytest.mark.parametrize("clock", [1000, 90000, 12288])
    def test_rounding_by_the_clock_is_even(self, fps: float, clock: int) -> None:
        exact = np.arange(20_000) / fps
        for rounded in (np.round(exact * clock) / clock, np.floor(exact * clock) / clock):
            assert even_rate(rounded, fps) == (fps, None)

    def test_a_stated_rate_that_is_wrong_gives_way_to_the_average(self) -> None:
        rate, times = even_rate(np.round(np.arange(300) / 25 * 1000) / 1000, 1000.0)  # as browsers record webm
        assert times is None
        assert rate == pytest.approx(25, rel=1e-3)

    @pytest.mark.parametrize("change", [0.002, 0.5])
    def test_uneven_times_come_back_with_the_average_rate(self, change: float) -> None:
        times = np.arange(100) / 50
        times[40:] += change
        rate, found = even_rate(times, 50)
        assert rate == pytest.approx(99 / (99 / 50 + change))
        np.testing.assert_array_equal(found, times)

    def test_a_dropped_frame_is_uneven(self) -> None:
        rate, times = even_rate(np.delete(np.arange(31) / 30, 12), 30)
        assert rate == pytest.approx(29)
        assert times is not None

    @pytest.mark.parametrize("times", [[], [0.0]])
    def test_fewer_than_two_frames_have_the_stated_rate(self, times: list[float]) -> None:
        assert even_rate(times, 24) == (24, None)

    def test_errors(self) -> None:
        for fps in (0.0, -1.0, float("nan")):
            with pytest.raises(ConfigError, match="fps: expected a number above 0, got "):
                even_rate([0, 1], fps)
        for times in ([0, 0], [1, 0], [0, float("nan")], [[0, 1]]):
            with pytest.raises(DataError, match=r"times: expected \(T,\) finite, rising seconds\. Sort the frames"):
                even_rate(times, 30)


def pushed(fps: float, stated: list[float | None]) -> tuple[list[float], list[str]]:
    clock = Clock(fps)
    for time in stated:
        clock.push(time)
    assert (np.diff(clock.times) > 0).all()
    return list(clock.times), clock.notes()


class TestClock:
    def test_times_start_at_zero_and_are_else_kept(self) -> None:
        times, notes = pushed(10, [5.0, 5.1, 7.0])
        np.testing.assert_allclose(times, [0, 0.1, 2.0])
        assert notes == []

    def test_missing_times_are_a_frame_after_the_one_before(self) -> None:
        times, notes = pushed(10, [1.0, None, float("nan"), 1.3, 2.0, None])
        np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3, 1.0, 1.1])
        assert notes == ["3 frames without a time: placed at 10 frames per second."]

    def test_first_times_that_are_missing_are_made_up_for(self) -> None:
        times, notes = pushed(10, [None, None, 5.0, 5.1])
        np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3])
        assert notes == []

    def test_times_that_do_not_rise_are_put_after_the_one_before(self) -> None:
        times, notes = pushed(10, [0.0, 0.1, 0.1, 0.2, 0.15, 0.3])
        np.testing.assert_allclose(times, [0, 0.1, 0.11, 0.2, 0.21, 0.3])
        assert notes == ["2 frames with a time that does not rise: placed a tenth of a frame after the one before."]

    def test_mended_times_stay_apart_whatever_rate_a_header_states(self) -> None:
        times, _ = pushed(90000, [0.0, 0.0, 0.1])
        np.testing.assert_allclose(times, [0, 1e-4, 0.1])

    def test_a_clock_that_is_set_back_goes_on(self) -> None:
        times, notes = pushed(10, [50.0, 50.1, 53.0, 0.0, 0.1, 0.4, 9.0, -100.0])
        np.testing.assert_allclose(times, [0, 0.1, 3.0, 3.1, 3.2, 3.5, 12.1, 12.2])
        assert notes == ["The clock starts again 2 times: the frames after it follow on those before it."]

    def test_two_hours_do_not_drift(self) -> None:
        times, _ = pushed(30000 / 1001, [None] * 200_000)
        assert times[-1] == pytest.approx(199_999 * 1001 / 30000, abs=1e-9)
