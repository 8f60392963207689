"""A short recording and a small lifting network for all tests of this package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from poseworks.core.video import open_video, write_video
from poseworks.pipeline import demo_clip

FIRST, FRAMES = 40, 26


@pytest.fixture(scope="session")
def walk_frames() -> list[NDArray[np.uint8]]:
    """Frames 40 to 65 of the demo's clip: the woman walks past, wholly in the picture."""
    with open_video(demo_clip().video) as video:
        return [frame.rgb for frame in video.frames() if FIRST <= frame.index < FIRST + FRAMES]


@pytest.fixture(scope="session")
def clip(walk_frames: list[NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """These frames as a video, at 30 frames per second."""
    path = tmp_path_factory.mktemp("recordings") / "walk.mp4"
    write_video(path, walk_frames, fps=30)
    return path


@pytest.fixture(scope="session")
def lifter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a small, untrained network: what it makes of a pose is no pose, but always the same."""
    import torch

    from poseworks.lifting import LCN, LCNConfig, save
    from poseworks.lifting.input_forms import Preparation

    torch.manual_seed(0)
    network = LCN(LCNConfig(in_features=3, channels=4, layers=1))
    network.preparation = Preparation(form="ray", unit_m=0.45, assumed_focal=1.2)
    folder = tmp_path_factory.mktemp("weights") / "small"
    save(network.eval(), folder)
    return str(folder)


@pytest.fixture(scope="session")
def picture(walk_frames: list[NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of them as a picture."""
    import av

    path = tmp_path_factory.mktemp("pictures") / "step.png"
    rgb = walk_frames[10]
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png")
        stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path
