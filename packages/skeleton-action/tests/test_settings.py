"""How recordings are recognised, and how the command line says it."""

from __future__ import annotations

import pytest

from poseworks.core.errors import ConfigError
from poseworks.skeleton_action.recognize_options import RecognizeOptions, seconds_of
from poseworks.skeleton_action.settings import RecognizeSettings, checked_settings


def test_presets_say_how_often_is_looked() -> None:
    assert RecognizeSettings().views.count == 1
    assert RecognizeSettings(preset="accurate").views.count == 20


def test_windows_are_counted_in_frames() -> None:
    assert RecognizeSettings().frames(30) is None
    assert RecognizeSettings(window_s=2, stride_s=0.5).frames(30) == (60, 15)
    assert RecognizeSettings(window_s=2).frames(29.97) == (60, 15)
    with pytest.raises(ConfigError, match="less than one frame at 5 frames"):
        RecognizeSettings(window_s=0.2).frames(5)
    with pytest.raises(ConfigError, match="longer than the window"):
        RecognizeSettings(window_s=1, stride_s=2).frames(30)


def test_values_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match="without a window there is nothing to move"):
        checked_settings(stride_s=1.0)
    with pytest.raises(ConfigError, match=r"window_s.*preset|preset.*window_s"):
        checked_settings(window_s=-1, preset="quick")


@pytest.mark.parametrize(("text", "seconds"), [("2s", 2), ("500ms", 0.5), ("1.5min", 90), ("0.5", 0.5), (" 3 s", 3)])
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert seconds_of("--window", text) == seconds


@pytest.mark.parametrize("text", ["s", "two", "0s", "-1s", "nan", "inf", "1h"])
def test_what_is_no_length_of_time_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--window {text}: expected a length of time"):
        seconds_of("--window", text)


def test_options_become_settings() -> None:
    options = RecognizeOptions(preset="accurate", window="2s", stride="0.5s", together=True, hold_box=1)
    assert options.settings() == RecognizeSettings(
        preset="accurate", window_s=2, stride_s=0.5, people="together", hold_box=1
    )
