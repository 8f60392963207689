"""Config files: TOML into a pydantic model, with ``a.b=c`` overrides and faults that name file, field and choice."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from poseworks.core.errors import ConfigError

Config = TypeVar("Config", bound=BaseModel)


def read_config(
    path: str | os.PathLike[str], model: type[Config], overrides: Sequence[str] = (), *, inherit: bool = False
) -> Config:
    """The TOML file at `path` as a `model`, after the `overrides` (``"optim.lr=0.01"``, values as TOML or bare text).

    Args:
        path: the file.
        model: what it is to be.
        overrides: of single fields.
        inherit: the file may say ``base = "FILE"``, seen from its own folder: it then only states what differs.

    Raises:
        ConfigError: listing every fault with the file, the field, what is allowed and the nearest known name.
    """
    data = _inherited(Path(path), ()) if inherit else _read_toml(Path(path))
    for override in overrides:
        apply_override(data, override)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(describe_faults(error, model))}.") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Name a TOML config file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}.") from error


def _inherited(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The tables of a file over those of its base; `above`: the files that led here."""
    here = path.resolve()
    if here in above:
        raise ConfigError(f"{path}: is its own base: {' -> '.join(each.name for each in (*above, here))}.")
    data = _read_toml(path)
    base = data.pop("base", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: expected the name of a TOML file, got {base!r}.")
    return _merged(_inherited(path.parent / base, (*above, here)), data)


def _merged(below: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Tables are joined field by field; anything else is replaced."""
    merged = dict(below)
    for name, value in over.items():
        old = merged.get(name)
        merged[name] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def apply_override(data: dict[str, Any], override: str) -> None:
    """Sets one ``a.b=c`` in nested dicts, in place; the value is read as TOML, or taken as text where it is none.

    Raises:
        ConfigError: no ``=``, or a part of the name is a value and not a table.
    """
    name, equals, text = override.partition("=")
    parts = [part.strip() for part in name.split(".")]
    if not equals or not all(parts):
        raise ConfigError(f"--set {override}: expected NAME=VALUE, for example --set training.steps=1000.")
    table: Any = data
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override}: {part} is a value, not a table of fields.")
    try:
        table[parts[-1]] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[parts[-1]] = text.strip()


def describe_faults(error: ValidationError, model: type[BaseModel] | None) -> list[str]:
    """One phrase a fault: the field, what was found and what is allowed; no web links."""
    phrases = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"]) or error.title
        message = fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if fault["type"] == "extra_forbidden":
            near = _nearest(str(fault["loc"][-1]), _fields_at(model, fault["loc"][:-1]))
            phrases.append(f"{where}: no such field{near}")
        elif fault["type"] == "missing":
            phrases.append(f"{where}: missing")
        elif fault["type"] == "value_error":
            phrases.append(f"{where}: {message}")
        else:
            phrases.append(f"{where}: {_lower_first(message)}, got {_shown(fault['input'])}")
    return phrases


def _fields_at(model: type[BaseModel] | None, location: Iterable[int | str]) -> list[str]:
    """Field names of the (nested) model at `location`; empty where it cannot be told."""
    here: Any = model
    for part in location:
        if here is None or isinstance(part, int):
            continue  # an index: the element type was unwrapped with the field
        fields = getattr(here, "model_fields", {})
        if part in fields:
            here = next(_models_in(fields[part].annotation), None)
        elif "root" in fields:  # the part is the tag of a union
            here = next((kind for kind in _models_in(fields["root"].annotation) if _is_tagged(kind, part)), here)
        # otherwise it is the tag of a union in a field: several models fit, and the last stays
    return list(getattr(here, "model_fields", {}))


def _models_in(annotation: Any) -> Iterator[Any]:
    """The pydantic models inside an annotation such as ``list[M]``, ``M | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in get_args(annotation):
        yield from _models_in(part)


def _is_tagged(model: type[BaseModel], tag: str) -> bool:
    return any(tag in get_args(field.annotation) for field in model.model_fields.values())


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f" (did you mean {near[0]}?)"
    return f" (known: {', '.join(known)})" if known else ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _lower_first(message: str) -> str:
    return message[:1].lower() + message[1:]
