"""The published weights of PoseC3D as data (mmaction 0.x). None of the files come with this package.

Names of files and of tensors are those of the published code; where a file is at hand, its sizes are read from it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from poseworks.skeleton_action.label_names import DataSetName
from poseworks.skeleton_action.layouts import Stream

LICENCE = "not stated for the weights (the code is Apache-2.0); the data sets are for research only"
PAGE = "MMAction2 0.x, configs/skeleton/posec3d"
CLASSES: dict[DataSetName, int] = {"gym99": 99, "ntu60": 60, "ntu120": 120, "hmdb51": 51, "ucf101": 101, "k400": 400}
DEFAULT_LIMBS = (
    (0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10), (5, 11), (11, 13), (13, 15),
    (6, 12), (12, 14), (14, 16), (11, 12),
)  # fmt: skip
"""In this order the published code draws limbs where a configuration lists none."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A set of weights that somebody published.

    Attributes:
        name: ours, for `load` and the `models` verb: that of the published configuration.
        digits: with which the SHA-256 of the file begins; they end its name.
        data_set: whose classes it tells apart.
        training_data: in words.
        parameters: numbers in its trained tensors.
        blocks: of the three stages.
        size: height and width of a volume in testing.
        claim: the accuracy that its makers state, with 10 clips, each mirrored as well; "" where none.
    """

    name: str
    digits: str
    data_set: DataSetName
    training_data: str
    stream: Stream
    parameters: int
    blocks: tuple[int, int, int] = (4, 6, 3)
    size: int = 64
    claim: str = ""
    note: str = ""

    @property
    def file(self) -> str:
        """Its name, under which it is looked for in the folders of POSEWORKS_WEIGHTS."""
        return f"{self.name}-{self.digits}.pth"

    @property
    def sizes(self) -> dict[str, Any]:
        """Fields of SlowOnlyConfig."""
        return {"in_channels": 17, "classes": CLASSES[self.data_set], "width": 32, "blocks": self.blocks}


def _tables() -> Iterator[Published]:
    rows: tuple[tuple[str, DataSetName, str, int, str, tuple[tuple[Stream, str, str, float], ...]], ...] = (
        ("gym", "gym99", "FineGYM-99", 2_044_867, "mean class accuracy",
         (("joint", "keypoint", "b07a98a0", 93.7), ("limb", "limb", "c0d7b482", 94.0))),
        ("ntu60_xsub", "ntu60", "NTU RGB+D 60, XSub", 2_024_860, "top-1",
         (("joint", "keypoint", "f3adabf1", 93.7), ("limb", "limb", "1d69006a", 93.4))),
        ("ntu120_xsub", "ntu120", "NTU RGB+D 120, XSub", 2_055_640, "top-1",
         (("joint", "keypoint", "6736b03f", 86.3), ("limb", "limb", "803c2317", 85.7))),
    )  # fmt: skip
    for data, data_set, trained_on, parameters, measure, streams in rows:
        for stream, word, digits, percent in streams:
            yield Published(
                name=f"slowonly_r50_u48_240e_{data}_{word}",
                digits=digits,
                data_set=data_set,
                training_data=trained_on,
                stream=stream,
                parameters=parameters,
                claim=f"{trained_on} {percent} % {measure}",
            )


def _pretrained() -> Iterator[Published]:
    rows: tuple[tuple[DataSetName, str, str, int, float], ...] = (
        ("hmdb51", "HMDB51", "76ffdd8b", 3_029_523, 69.3),
        ("ucf101", "UCF101", "cae8aa4a", 3_055_173, 87.0),
    )
    for data_set, title, digits, parameters, percent in rows:
        yield Published(
            name=f"slowonly_kinetics400_pretrained_r50_u48_120e_{data_set}_split1_keypoint",
            digits=digits,
            data_set=data_set,
            training_data=f"{title} split 1, begun with Kinetics-400",
            stream="joint",
            parameters=parameters,
            blocks=(3, 4, 6),
            size=56,
            claim=f"{title} split 1 {percent} % top-1",
        )
    yield Published(
        name="k400_posec3d",
        digits="041f49c6",
        data_set="k400",
        training_data="Kinetics-400",
        stream="joint",
        parameters=3_208_560,
        blocks=(3, 4, 6),
        note="the weights that the networks for HMDB51 and UCF101 began with",
    )


@functools.cache
def published_weights() -> dict[str, Published]:
    """Every published variant by name."""
    return {entry.name: entry for entry in (*_tables(), *_pretrained())}
