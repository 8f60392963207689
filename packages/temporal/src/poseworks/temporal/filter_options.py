"""Filters as a command line writes them: ``gaussian:sigma_frames=3``, ``median:window=7+gaussian:sigma_frames=2``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from poseworks.core.config import describe_faults
from poseworks.core.errors import ConfigError
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

KINDS: dict[str, type[Filter]] = {
    "gaussian": Gaussian,
    "savitzky_golay": SavitzkyGolay,
    "median": Median,
    "one_euro": OneEuro,
    "butterworth": Butterworth,
}
EXAMPLE = "--filter gaussian:sigma_frames=3"


def parse_filter(text: str, fps: float) -> Filter:
    """The filter that `text` names: KIND:FIELD=NUMBER,..., several joined by ``+``, or the name of a published set.

    `fps` is filled in where a filter has such a field and `text` does not state it.

    Raises:
        ConfigError: no such filter or field, a value out of its range, or filters that cannot be joined.
    """
    name = text.strip().replace("-", "_")
    if name in PUBLISHED_FILTERS:
        return PUBLISHED_FILTERS[name]
    parts = [_parse_one(part, text, fps) for part in text.split("+")]
    if len(parts) == 1:
        return parts[0]
    return _build(Chain, {"filters": [part.model_dump() for part in parts]}, text)


def _parse_one(part: str, text: str, fps: float) -> Filter:
    kind, _, fields = part.partition(":")
    model = KINDS.get(kind.strip().replace("-", "_"))
    if model is None:
        raise ConfigError(
            f"--filter {text}: no filter is called {kind.strip()!r}; expected one of {', '.join(KINDS)}, or a published"
            f" set: {', '.join(PUBLISHED_FILTERS)}. For example {EXAMPLE}."
        )
    values: dict[str, Any] = {}
    for field in filter(None, (entry.strip() for entry in fields.split(","))):
        name, equals, value = field.partition("=")
        if not equals:
            raise ConfigError(f"--filter {text}: expected FIELD=NUMBER, got {field!r}. For example {EXAMPLE}.")
        values[name.strip().replace("-", "_")] = value.strip()
    if "fps" in model.model_fields:
        values.setdefault("fps", fps)
    return _build(model, values, text)


def _build(model: type[Filter], values: dict[str, Any], text: str) -> Filter:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"--filter {text}: {'; '.join(describe_faults(error, model))}.{_fields(model)}") from error


def _fields(model: type[BaseModel]) -> str:
    """Which fields a filter has."""
    names = [name for name in model.model_fields if name not in ("kind", "filters")]
    return f" It has {', '.join(names)}." if names else ""
