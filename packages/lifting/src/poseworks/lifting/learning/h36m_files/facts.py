"""What a data file is, for the `inspect` verb: counts of what it holds, and its faults."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from poseworks.core.errors import FormatError
from poseworks.core.unpickling import restricted_items, restricted_load
from poseworks.lifting.learning.h36m_files.faults import SHOWN, described, listed
from poseworks.lifting.learning.h36m_files.frames import CAMERAS
from poseworks.lifting.learning.h36m_files.items import Items
from poseworks.lifting.learning.h36m_files.places import DETECTED_FILE, EHGFORMER_FILE, LCN_FILES, MAX_BYTES, Split
from poseworks.lifting.learning.h36m_files.tables import Table


def data_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a pickled data file is: layout, frames, cameras, recordings, actions, what is missing or left over.

    Raises:
        FormatError: it is damaged, or of neither layout. DataError: it cannot be read.
    """
    file = Path(path)
    facts: dict[str, Any] = {"file": file, "what": "data"}
    if _starts_a_list(file):
        items = _ItemFacts()
        restricted_items(file, items.take, max_bytes=MAX_BYTES)
        return {**facts, **items.facts()}
    content = restricted_load(file, max_bytes=MAX_BYTES, mapped=True)
    splits: list[Split] = [
        name for name in ("train", "test") if type(content) is dict and type(content.get(name)) is dict
    ]
    if not splits:
        holds = f"a dict of {listed(content)}" if type(content) is dict else f"a {type(content).__name__}"
        raise FormatError(f"{file}: expected a list of frames, or a dict of train and test; got {holds}.")
    source = any({"joint_2d", "source"} & set(content[name]) for name in splits)
    facts["layout"] = f"EHGFormer ({EHGFORMER_FILE})" if source else f"LCN, detected keypoints ({DETECTED_FILE})"
    return {**facts, **{name: _table_facts(content[name], name, source) for name in splits}}


class _ItemFacts(Items):
    """Counts what items hold, and keeps none."""

    KNOWN = frozenset(
        ("joint_3d_image", "joint_3d_camera", "box", "root_depth", "camera_param", "subject", "action", "subaction",
         "videoid", "cameraid", "imageid", "image_path", "center", "scale")
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Counter[int]] = {name: Counter() for name in self.NUMBERS}
        self.left_over: set[str] = set()

    def take(self, items: list[Any]) -> None:
        """Counts items."""
        for number, item in enumerate(items, self.count):
            row = self.row(item, number)
            for name, value in zip(self.NUMBERS, () if row is None else row[-3:], strict=row is not None):
                self.seen[name][int(value)] += 1
            if type(item) is dict and len(self.left_over) < SHOWN:
                self.left_over |= {str(key)[:40] for key in item} - self.KNOWN
        self.count += len(items)

    def facts(self) -> dict[str, Any]:
        """What was counted."""
        cameras = {CAMERAS[place]: count for place, count in sorted(self.seen["camera"].items())}
        problem = self.faults.text()
        return {
            "layout": f"LCN ({' or '.join(LCN_FILES.values())})",
            "frames": self.count,
            "frames_by_camera": cameras,
            "frames_by_subject": dict(sorted(self.seen["subject"].items())),
            "frames_by_action": dict(sorted(self.seen["action"].items())),
            "left_over": sorted(self.left_over),
            **({"problem": problem} if problem else {}),
        }


def _table_facts(part: Mapping[str, Any], split: Split, source: bool) -> dict[str, Any]:
    """Keys with their shapes, names with their counts."""
    wanted = {"joint_2d", "joint3d_image", "camera_name", "source"} if source else {"joint3d_image"}
    if source and split == "test":
        wanted |= {"joints_2.5d_image", "2.5d_factor", "action"}
    table = Table(part, split, sorted(wanted))
    facts: dict[str, Any] = {
        "frames": table.rows,
        "arrays": {str(key): described(value) for key, value in part.items()},
    }
    for key in ("camera_name", "source", "action"):
        if key in wanted and key not in table.missing:
            numbers, names = table.texts(key)
            counts = np.bincount(numbers, minlength=len(names)).tolist()
            if key == "source":
                shortest = min(range(len(names)), key=counts.__getitem__, default=None)
                facts["recordings"] = len(names)
                if shortest is not None:
                    facts["shortest_recording"] = {names[shortest]: counts[shortest]}
            else:
                facts[f"frames_by_{key}"] = dict(list(zip(names, counts, strict=True))[:64])
    facts["missing"] = table.missing + ([] if "confidence" in table.entries else ["confidence (ones are taken)"])
    facts["left_over"] = sorted(str(key)[:40] for key in set(table.entries) - wanted - {"confidence"})
    problem = table.faults.text()
    return {**facts, **({"problem": problem} if problem else {})}


def _starts_a_list(path: Path) -> bool:
    """The first value of the pickle is a list, judged by its first instructions."""
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError:
        return False  # the reader says what is wrong
    if head[:1] == b"\x80":
        head = head[2:]
    if head[:1] == b"\x95":
        head = head[9:]
    return head.startswith((b"]", b"(l"))
