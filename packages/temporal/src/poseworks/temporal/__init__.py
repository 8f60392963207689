"""poseworks.temporal: SmoothNet, DeciWatch and filters along time. Importing it does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poseworks.core.lazy import lazy_names

if TYPE_CHECKING:
    from poseworks.core.windows import apply_windows, sampled_frames
    from poseworks.temporal.deciwatch import DeciWatch, DeciWatchConfig
    from poseworks.temporal.filters import (
        PUBLISHED_FILTERS,
        Butterworth,
        Chain,
        Filter,
        Gaussian,
        Median,
        OneEuro,
        SavitzkyGolay,
    )
    from poseworks.temporal.harm import HarmReport, harm_report
    from poseworks.temporal.loading import export_onnx, load, save, shipped_models
    from poseworks.temporal.preparation import Preparation
    from poseworks.temporal.rotations import smooth_rotations
    from poseworks.temporal.smoothing import Smoothed, SmoothSettings, smooth
    from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig
    from poseworks.temporal.streaming import Stream

_HOMES = {
    "poseworks.core.windows": ("apply_windows", "sampled_frames"),
    "deciwatch": ("DeciWatch", "DeciWatchConfig"),
    "filters": (
        "PUBLISHED_FILTERS", "Butterworth", "Chain", "Filter", "Gaussian", "Median", "OneEuro", "SavitzkyGolay",
    ),
    "harm": ("HarmReport", "harm_report"),
    "loading": ("export_onnx", "load", "save", "shipped_models"),
    "preparation": ("Preparation",),
    "rotations": ("smooth_rotations",),
    "smoothing": ("SmoothSettings", "Smoothed", "smooth"),
    "smoothnet": ("SmoothNet", "SmoothNetConfig"),
    "streaming": ("Stream",),
}  # fmt: skip

__all__ = [
    "PUBLISHED_FILTERS",
    "Butterworth",
    "Chain",
    "DeciWatch",
    "DeciWatchConfig",
    "Filter",
    "Gaussian",
    "HarmReport",
    "Median",
    "OneEuro",
    "Preparation",
    "SavitzkyGolay",
    "SmoothNet",
    "SmoothNetConfig",
    "SmoothSettings",
    "Smoothed",
    "Stream",
    "apply_windows",
    "export_onnx",
    "harm_report",
    "load",
    "sampled_frames",
    "save",
    "shipped_models",
    "smooth",
    "smooth_rotations",
]

__getattr__, __dir__ = lazy_names(globals(), _HOMES)
