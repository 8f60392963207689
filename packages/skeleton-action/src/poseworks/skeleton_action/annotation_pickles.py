"""The two forms of pickled annotation files, read without running code, and written; what they hold is not judged.

List form (one file a split):  [{...}, ...]
Dict form:  {"split": {name: [identifiers]}, "annotations": [{...}, ...]}, and ours besides:
            "label_names": [name of each class]

The identifier of an annotation is its ``filename`` if the first annotation has this key, else its ``frame_dir``. A
split keeps the annotations that it lists, in the order of the annotations.
"""

from __future__ import annotations

import os
import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.files import atomic_path, refuse_existing
from poseworks.core.formats.reading import shown
from poseworks.core.unpickling import restricted_load

MAX_BYTES = 1 << 35
_MAPPED_BYTES = 1 << 28  # larger files are mapped: their arrays are views, and change when the file is written over
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class PickledAnnotations:
    """What an annotation file holds.

    Attributes:
        path: of the file.
        items: the annotations' dicts.
        identifiers: of the items.
        splits: identifiers by the split's name; empty in list form.
        label_names: of the classes; empty where the file does not say.
    """

    path: Path
    items: Sequence[Mapping[str, Any]]
    identifiers: Sequence[str]
    splits: Mapping[str, tuple[str, ...]]
    label_names: tuple[str, ...]

    @property
    def compressed(self) -> bool:
        """Whether keypoints lie in side files (Kinetics)."""
        return "keypoint" not in self.items[0] and "frame_inds" in self.items[0]

    def chosen(self, split: str | None) -> list[int]:
        """Places of the items of a split; None: of all.

        Raises:
            ConfigError: there is no such split.
        """
        if split is None:
            return list(range(len(self.items)))
        if not self.splits:
            raise ConfigError(f"{self.path}: a list of annotations, without splits. Leave the split {split!r} out.")
        if split not in self.splits:
            raise ConfigError(f"{self.path}: no split {split!r}; expected one of {', '.join(self.splits)}.")
        listed = frozenset(self.splits[split])
        return [place for place, identifier in enumerate(self.identifiers) if identifier in listed]


def read_pickled(path: str | os.PathLike[str]) -> PickledAnnotations:
    """The annotations' dicts in a file of either form.

    Raises:
        FormatError: it holds something else; listing every fault.
        DataError: it cannot be read.
    """
    source = Path(path)
    size = 0
    with suppress(OSError, ValueError):  # who reads it says so
        size = source.stat().st_size
    content = restricted_load(source, max_bytes=MAX_BYTES, mapped=size > _MAPPED_BYTES)
    splits: dict[str, tuple[str, ...]] = {}
    faults: list[str] = []
    names: tuple[str, ...] = ()
    items = content
    if isinstance(content, dict):
        absent = [key for key in ("split", "annotations") if key not in content]
        if absent:
            held = ", ".join(shown(key) for key in list(content)[:_SHOWN]) or "nothing"
            raise FormatError(f"{path}: a dict without {' and '.join(absent)}; it holds {held}. {_EXPECTED}")
        items = content["annotations"]
        splits = _splits(content["split"], faults)
        names = _label_names(content.get("label_names", ()), faults)
    if not isinstance(items, list | tuple):
        raise FormatError(f"{path}: expected a list of annotations, got a {type(items).__name__}. {_EXPECTED}")
    if not items:
        raise FormatError(f"{path}: holds no annotation.")
    identifiers = _identifiers(items, faults)
    if isinstance(content, dict) and not faults:
        faults += _split_faults(splits, identifiers)
    if faults:
        raise FormatError(f"{path}: {listed(faults)}.")
    return PickledAnnotations(source, items, identifiers, splits, names)


def write_pickled(
    items: Sequence[Mapping[str, Any]],
    path: str | os.PathLike[str],
    *,
    splits: Mapping[str, Sequence[str]] | None = None,
    label_names: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Writes annotations' dicts, whole or not at all: in dict form, or without `splits` and `label_names` as a list.

    Raises:
        ConfigError: the file exists and `overwrite` is false.
        DataError: identifiers are no names or come twice, splits list others, or the file cannot be written.
    """
    refuse_existing(path, overwrite)
    identifiers = [str(item["frame_dir"]) for item in items]
    chosen = {name: tuple(members) for name, members in (splits or {}).items()}
    faults = [f"identifier {name!r}: expected printable text" for name in identifiers if not _is_name(name)]
    faults += _split_faults(chosen, identifiers)
    if faults:
        raise DataError(f"{path}: not written: {listed(faults)}.")
    content: Any = list(items)
    if splits is not None or label_names:
        content = {"split": {name: list(names) for name, names in (splits or {}).items()}, "annotations": content}
        if label_names:
            content["label_names"] = list(label_names)
    write_pickle(content, path)


def _is_name(identifier: str) -> bool:
    return bool(identifier) and identifier.isprintable()


def write_pickle(content: Any, path: str | os.PathLike[str]) -> None:
    """Pickles plain values and arrays so that old Pythons and NumPys read them too: NumPy 2 has moved a name."""
    data = pickle.dumps(content, protocol=3)
    data = data.replace(b"cnumpy._core.multiarray\n_reconstruct\n", b"cnumpy.core.multiarray\n_reconstruct\n", 1)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


_EXPECTED = "Expected a list of annotations, or a dict of split and annotations."


def listed(faults: Sequence[str]) -> str:
    """Faults in one sentence, the first of them in words."""
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return "; ".join(faults[:_SHOWN]) + more


def _texts(value: Any) -> list[str] | None:
    """A list, tuple, set or array of text as a list; None: something else."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.ndim == 1:
        return [str(text) for text in value]
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(text, str) for text in value):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    return None


def _splits(value: Any, faults: list[str]) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        faults.append("split: expected a dict of lists of identifiers by the splits' names")
        return {}
    splits = {}
    for name, identifiers in value.items():
        texts = _texts(identifiers)
        if texts is None:
            faults.append(f"split {name!r}: expected a list of identifiers, which are text")
        splits[name] = tuple(texts or ())
    return splits


def _label_names(value: Any, faults: list[str]) -> tuple[str, ...]:
    names = _texts(value)
    if names is None or len(set(names)) != len(names):
        faults.append("label_names: expected a list of names, each once")
    return tuple(names or ())


def _identifiers(items: Sequence[Any], faults: list[str]) -> list[str]:
    """Of each item, ``""`` where there is a fault."""
    first = items[0]
    key = "filename" if isinstance(first, dict) and "filename" in first else "frame_dir"
    identifiers = []
    for number, item in enumerate(items):
        name = item.get(key) if isinstance(item, dict) else ""
        if not isinstance(item, dict):
            faults.append(f"annotation {number}: expected a dict, got a {type(item).__name__}")
        elif not isinstance(name, str):
            faults.append(f"annotation {number}: {key}: expected its identifier, got {shown(name)}")
        identifiers.append(name if isinstance(name, str) else "")
    return identifiers


def _split_faults(splits: Mapping[str, tuple[str, ...]], identifiers: Sequence[str]) -> list[str]:
    """Identifiers that come twice, and splits that list what is not there."""
    faults = []
    count = Counter(identifiers)
    twice = [name for name, times in count.items() if times > 1]
    if twice:
        faults.append(f"{len(twice)} identifiers come more than once, so that splits cannot choose: {_some(twice)}")
    for split, names in splits.items():
        absent = [name for name in names if name not in count]
        if absent:
            faults.append(
                f"split {split!r} lists {len(absent)} of {len(names)} clips that have no annotation: {_some(absent)}"
            )
    return faults


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
