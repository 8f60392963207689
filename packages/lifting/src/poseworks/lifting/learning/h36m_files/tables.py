"""Tables of N rows in a dict: EHGFormer's source file, and the detected keypoints of LCN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.errors import FormatError
from poseworks.core.unpickling import restricted_load
from poseworks.lifting.learning.h36m_files.faults import Faults, described, listed
from poseworks.lifting.learning.h36m_files.frames import JOINTS, Floats, Numbers
from poseworks.lifting.learning.h36m_files.places import MAX_BYTES, Split
from poseworks.lifting.learning.h36m_files.values import LARGEST, as_array, length, ones, text_of

_ALIASES = {"joint_2.5d_image": "joints_2.5d_image"}
_ROWS = 1 << 14  # that are checked at a time


class Table:
    """One split of a pickled {train, test: {name: N rows}}, whose arrays lie in the file until they are asked for."""

    def __init__(self, part: Mapping[Any, Any], split: Split, wanted: Sequence[str]) -> None:
        self.faults = Faults()
        self.entries: dict[str, Any] = {}
        for key, value in part.items():
            name = _ALIASES.get(key, key)
            if name in self.entries:
                self.faults.add(f"{name} is there twice, in both spellings")
            self.entries[name] = value
        self.missing = [key for key in wanted if key not in self.entries]
        for key in self.missing:
            other = next((f" (or {old})" for old, new in _ALIASES.items() if new == key), "")
            self.faults.add(f"{split} has no {key}{other}; it has {listed(part)}")
        counts = {key: n for key in (*wanted, "confidence") if (n := length(self.entries.get(key))) is not None}
        if len(set(counts.values())) > 1:
            differing = ", ".join(f"{key} {n}" for key, n in counts.items())
            self.faults.add(f"{split}: numbers of frames differ: {differing}")
        self.rows = next(iter(counts.values()), 0)
        if counts and not self.rows:
            self.faults.add(f"{split} has no frames")

    @classmethod
    def read(cls, path: Path, split: Split, wanted: Sequence[str]) -> Table:
        """The split of a file."""
        content = restricted_load(path, max_bytes=MAX_BYTES, mapped=True)
        part = content.get(split) if type(content) is dict else None
        if type(part) is not dict:
            holds = f"a dict of {listed(content)}" if type(content) is dict else f"a {type(content).__name__}"
            raise FormatError(f"{path}: expected a dict that holds a dict {split}, got {holds}.")
        return cls(part, split, wanted)

    def floats(self, key: str, shape: tuple[Any, ...], channels: int) -> Floats:
        """The first channels of (N, *shape) as float32, a copy of its own."""
        array = self._checked(key, shape)
        with np.errstate(over="ignore"):  # is a fault already
            return np.array(array[..., :channels], dtype=np.float32, order="C")

    def doubles(self, key: str, shape: tuple[Any, ...]) -> NDArray[np.float64]:
        """(N, *shape) as float64, a copy of its own."""
        return np.array(self._checked(key, shape), dtype=np.float64, order="C")

    def confidence(self) -> Floats:
        """(N, 17), ones where there is none."""
        value = self.entries.get("confidence")
        if value is None:
            return ones(self.rows)
        array = value if isinstance(value, np.ndarray) else as_array(value)
        if array is not None and array.ndim == 3 and array.shape[-1] == 1:
            self.entries["confidence"] = array[..., 0]
        return self.floats("confidence", (JOINTS,), JOINTS)

    def texts(self, key: str) -> tuple[Numbers, tuple[str, ...]]:
        """(N,) which name each row has, and the names in the order in which they come."""
        values = self.entries.get(key)
        places: dict[str, int] = {}
        if isinstance(values, np.ndarray) and values.ndim != 1:
            values = values.reshape(-1) if values.ndim and values.size == len(values) else None
        if not isinstance(values, list | tuple | np.ndarray):
            if key not in self.missing:
                self.faults.add(f"{key}: expected a list of N texts, got {described(self.entries.get(key))}")
            return np.zeros(self.rows, np.int32), ()
        numbers = np.empty(len(values), np.int32)
        for start in range(0, len(values), _ROWS):
            part = values[start : start + _ROWS]
            for row, value in enumerate(part.tolist() if isinstance(part, np.ndarray) else part, start):
                name = text_of(value)
                if name is None:
                    self.faults.add(f"{key}: {described(value)} instead of a text", f"frame {row}")
                    name = ""
                numbers[row] = places.setdefault(name, len(places))
        return numbers, tuple(places)

    def _checked(self, key: str, shape: tuple[Any, ...]) -> NDArray[Any]:
        """The array, or an empty one of the shape if it has faults."""
        value = self.entries.get(key)
        smallest = tuple(int(str(axis).removeprefix(">=")) for axis in shape)
        nothing = np.zeros((0, *smallest), np.float32)
        if key in self.missing:
            return nothing
        array = value if isinstance(value, np.ndarray) else as_array(value)
        if array is None or array.dtype.kind not in "fiu":
            self.faults.add(f"{key}: expected an array of numbers, got {described(value)}")
            return nothing
        if not smallest and array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        fits = array.ndim == 1 + len(shape) and all(
            size >= least if str(axis).startswith(">=") else size == least
            for size, least, axis in zip(array.shape[1:], smallest, shape, strict=True)
        )
        if not fits:
            expected = ", ".join(["N", *map(str, shape)])
            self.faults.add(f"{key}: expected ({expected}), got {array.shape}")
            return nothing
        for start in range(0, len(array), _ROWS):
            part = array[start : start + _ROWS]
            rows = part.reshape(len(part), -1)
            finite = (np.isfinite(rows) & (np.abs(rows) < np.float64(LARGEST))).all(axis=1)
            if not finite.all():
                first = start + int(np.argmin(finite))
                self.faults.add(f"{key}: values that are not finite", f"frame {first}", int((~finite).sum()))
        return array
