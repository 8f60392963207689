"""Names of the classes of the published data sets: the place of a name is its label. NumPy and torch are not needed.

The lists stand in label_names.json, as the data sets' authors and the published code (Apache-2.0) spell them.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Literal, get_args

from poseworks.core.errors import ConfigError

DataSetName = Literal["ntu60", "ntu120", "gym99", "hmdb51", "ucf101", "diving48", "k400"]


@cache
def label_names(data_set: DataSetName) -> tuple[str, ...]:
    """The names of the classes of a data set, in the order of their labels.

    Raises:
        ConfigError: there is no such data set.
    """
    if data_set not in get_args(DataSetName):
        raise ConfigError(f"{data_set!r}: expected a data set: {', '.join(get_args(DataSetName))}.")
    lists = _lists()
    return lists["ntu120"][:60] if data_set == "ntu60" else lists[data_set]


@cache
def _lists() -> dict[str, tuple[str, ...]]:
    text = resources.files("poseworks.skeleton_action").joinpath("label_names.json").read_text(encoding="utf-8")
    return {name: tuple(names) for name, names in json.loads(text).items()}
