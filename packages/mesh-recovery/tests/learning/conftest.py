"""What the tests of training share: small data sets of rendered pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from poseworks.mesh_recovery.learning.people import RenderSettings
from poseworks.mesh_recovery.learning.rendered import write_rendered


@pytest.fixture(scope="session")
def rendered_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data as the recipes ``rendered-*`` want it: 12 people to train on, 6 others to test with."""
    folder = tmp_path_factory.mktemp("data")
    settings = RenderSettings(size=64)
    write_rendered(folder / "train", 12, settings=settings, seed=1)
    write_rendered(folder / "test", 6, settings=settings, seed=2)
    return folder
