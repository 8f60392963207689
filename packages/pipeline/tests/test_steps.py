"""Configs of steps: told apart by kind, strict, and built into what runs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from poseworks.core.config import read_config
from poseworks.core.errors import ConfigError
from poseworks.core.testing import walking_poses
from poseworks.pipeline import ChainConfig, FilterStep, SmoothStep, build
from poseworks.temporal.filters import Median

TOML = """
[[steps]]
kind = "filter"
max_gap_s = 0.2
filter = { kind = "median", window = 5 }

[[steps]]
kind = "smooth"
model = "smoothnet-general-w8"
guard = true
"""


def test_a_chain_is_read_from_toml_and_back_from_json(tmp_path: Path) -> None:
    path = tmp_path / "chain.toml"
    path.write_text(TOML)
    chain = read_config(path, ChainConfig)
    assert chain.steps == (
        FilterStep(max_gap_s=0.2, filter=Median(window=5)),
        SmoothStep(model="smoothnet-general-w8", guard=True),
    )
    assert ChainConfig.model_validate_json(chain.model_dump_json()) == chain


def test_without_steps_the_general_weights_smooth() -> None:
    assert ChainConfig().steps == (SmoothStep(model="smoothnet-general-w32"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = []", "steps"),
        ('[[steps]]\nkind = "smoothe"', "smoothe"),
        ('[[steps]]\nmodel = "x"', "kind"),
        ('[[steps]]\nkind = "smooth"\nmodle = "x"', "modle"),
        ('[[steps]]\nkind = "smooth"\nmax_gap_s = -1', "max_gap_s"),
        ('[[steps]]\nkind = "filter"', "filter"),
        ('[[steps]]\nkind = "filter"\nfilter = { kind = "median", window = 4 }', "window"),
        ('[[step]]\nkind = "smooth"', "did you mean steps"),
        ("steps = [", "not a TOML file"),
    ],
)
def test_faults_name_the_file_and_the_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "chain.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(path, ChainConfig)
    assert "chain.toml" in str(caught.value)


def test_configs_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SmoothStep().model = "x"  # type: ignore[misc]


def test_a_built_step_runs_and_reports_its_progress() -> None:
    poses = walking_poses(20, rng=np.random.default_rng(0))
    done: list[float] = []
    outcome = build(FilterStep(filter=Median(window=3)))(poses, done.append)
    np.testing.assert_allclose(outcome.poses.positions[0, 5], np.median(poses.positions[0, 4:7], axis=0), atol=1e-6)
    assert sum(done) == pytest.approx(1)
