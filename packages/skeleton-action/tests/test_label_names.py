import json
from pathlib import Path

import pytest

from poseworks.core.errors import ConfigError
from poseworks.skeleton_action.label_names import label_names

REFERENCE = json.loads((Path(__file__).parent / "reference" / "label_names.json").read_text(encoding="utf-8"))["lists"]


def test_the_names_are_the_published_ones() -> None:
    assert set(REFERENCE) == {"ntu120", "gym99", "hmdb51", "ucf101", "diving48", "k400"}
    for name, names in REFERENCE.items():
        assert label_names(name) == tuple(names)
    assert label_names("ntu60") == tuple(REFERENCE["ntu120"][:60])
    assert label_names("ntu60")[-1] == "walking apart from each other"


def test_another_data_set_is_refused() -> None:
    with pytest.raises(ConfigError, match="'coco': expected a data set: ntu60, ntu120, gym99"):
        label_names("coco")  # type: ignore[arg-type]
