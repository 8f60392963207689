"""LCN's list of frames: each is a dict, checked as it is read and dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.lifting.h36m import CAMERA_SIZES
from poseworks.lifting.learning.h36m_files.faults import Faults, described, unknown_camera
from poseworks.lifting.learning.h36m_files.frames import CAMERAS, JOINTS
from poseworks.lifting.learning.h36m_files.values import as_array, is_number, text_of


class Items:
    """Takes items as they are read into arrays that grow, and drops them."""

    SHAPES: Mapping[str, tuple[int, ...]] = {
        "joints_image": (JOINTS, 3), "joints_camera_mm": (JOINTS, 3), "box": (4,), "root_depth": (), "focal": (2,),
        "centre": (2,),
    }  # fmt: skip
    NUMBERS = ("camera", "subject", "action")

    def __init__(self) -> None:
        self.faults = Faults()
        self.count = 0
        self.arrays: dict[str, NDArray[Any]] = {
            **{name: np.empty((0, *shape), np.float32) for name, shape in self.SHAPES.items()},
            **{name: np.empty(0, np.int32) for name in self.NUMBERS},
        }

    def take(self, items: list[Any]) -> None:
        """Adds items."""
        rows = [row for number, item in enumerate(items, self.count) if (row := self.row(item, number)) is not None]
        first, self.count = self.count, self.count + len(items)
        if len(rows) < len(items):
            return  # what was read is not wanted any more, only the other faults are
        self._reserve(self.count)
        for name, values in zip(self.arrays, zip(*rows, strict=True), strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                self.arrays[name][first : self.count] = values
            finite = np.isfinite(self.arrays[name][first : self.count].reshape(len(rows), -1)).all(axis=1)
            if not finite.all():
                bad = int((~finite).sum())
                self.faults.add(f"{name}: values that are not finite", f"item {first + int(np.argmin(finite))}", bad)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The arrays, without the room left over."""
        self._reserve(self.count, exactly=True)
        return self.arrays

    def _reserve(self, rows: int, exactly: bool = False) -> None:
        """Room for so many rows. The system moves the memory in place: there are never two copies."""
        if not exactly and len(self.arrays["camera"]) >= rows:
            return
        room = rows if exactly else rows + rows // 4
        for array in self.arrays.values():
            array.resize((room, *array.shape[1:]), refcheck=False)

    def row(self, item: Any, number: int) -> tuple[Any, ...] | None:
        """The columns of one item, in the order of `arrays`; None if it has a fault."""
        where, before = f"item {number}", self.faults.total
        if type(item) is not dict:
            self.faults.add(f"{type(item).__name__} instead of a dict", where)
            return None
        image, joints, box = (
            self._array(item, key, shape, where)
            for key, shape in (("joint_3d_image", (JOINTS, 3)), ("joint_3d_camera", (JOINTS, 3)), ("box", (4,)))
        )
        depth, subject, action = (self._number(item, key, where) for key in ("root_depth", "subject", "action"))
        camera = item.get("camera_param")
        if type(camera) is not dict:
            self.faults.add("camera_param is missing or no dict", where)
            return None
        fx, fy, cx, cy = (self._number(camera, key, where) for key in ("fx", "fy", "cx", "cy"))
        name = text_of(camera.get("name"))
        if name not in CAMERA_SIZES:
            self.faults.add(unknown_camera(name), where)
        if self.faults.total > before:
            return None
        for wrong, what in (
            (fx <= 0 or fy <= 0, "a focal length that is not positive"),
            (depth <= 0, "a root_depth that is not positive"),
            (box[2] <= box[0], "a box without width"),
            (
                subject % 1 or action % 1 or max(abs(subject), abs(action)) > 1000,
                "subject or action is no small integer",
            ),
        ):
            if wrong:
                self.faults.add(what, where)
        if self.faults.total > before:
            return None
        return image, joints, box, depth, (fx, fy), (cx, cy), CAMERAS.index(str(name)), subject, action

    def _array(self, item: Mapping[str, Any], key: str, shape: tuple[int, ...], where: str) -> Any:
        """An array of the shape; None, and a fault, where there is none."""
        value = item.get(key)
        if type(value) is list and len(value) == shape[0]:
            value = as_array(value)
        if isinstance(value, np.ndarray) and value.shape == shape and value.dtype.kind in "fiu":
            return value
        found = "missing" if value is None else described(value)
        self.faults.add(f"{key} is {found}, expected {shape} numbers", where)
        return None

    def _number(self, item: Mapping[str, Any], key: str, where: str) -> Any:
        """A float; None, and a fault, where there is none."""
        value = item.get(key)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1)[0]
        if is_number(value):
            return float(value)  # type: ignore[arg-type]
        found = "missing" if value is None else described(value)
        self.faults.add(f"{key} is {found}, expected a number", where)
        return None
