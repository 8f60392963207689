"""Configs of steps: told apart by kind, strict, and built into what runs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from poseworks.core.config import read_config
from poseworks.core.errors import ConfigError
from poseworks.core.testing import walking_poses
from poseworks.pipeline import (
    ChainConfig,
    FillStep,
    FilterStep,
    FitStep,
    LiftStep,
    RecognizeStep,
    SmoothStep,
    UnswapStep,
    build,
    default_chain,
)
from poseworks.pipeline.runners import Given
from poseworks.pipeline.sparse import ordinal
from poseworks.pipeline.steps import prepared
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


def test_without_steps_left_and_right_are_put_back_the_general_weights_smooth_then_come_actions_3d_and_bodies() -> None:
    last = (RecognizeStep(optional=True), LiftStep(optional=True), FitStep(optional=True))
    usual = (UnswapStep(), SmoothStep(model="smoothnet-general-w32"), *last)
    assert ChainConfig().steps == default_chain().steps == usual
    assert ChainConfig().lifts
    assert ChainConfig().recognizes
    assert ChainConfig().fits
    assert not default_chain(lift=None).lifts
    assert not default_chain(fit=None).fits
    assert not default_chain(recognize=None).recognizes


def test_every_nth_frame_has_its_own_default() -> None:
    lines = FillStep(every=10)
    deciwatch = SmoothStep(model="deciwatch-general-i10", max_gap_s=0)
    assert default_chain(10, unswap=False, recognize=None, lift=None, fit=None).steps == (lines, deciwatch)
    assert default_chain(10, unswap=False, recognize=None, fit=None).steps == (
        lines,
        deciwatch,
        LiftStep(optional=True),
    )
    assert default_chain(7, recognize=None, lift=None, fit=None).steps == (
        UnswapStep(),
        FillStep(every=7),
        SmoothStep(max_gap_s=0),
    )
    assert default_chain(5, unswap=False, model="smoothnet-general-w8", guard=True).steps[1] == SmoothStep(
        model="smoothnet-general-w8", guard=True, max_gap_s=0
    )
    assert default_chain(filter=Median(window=3)).steps[1] == FilterStep(filter=Median(window=3))


def test_what_has_to_come_first_becomes_a_step() -> None:
    median = FilterStep(filter=Median(window=3))
    asked = ChainConfig(steps=(UnswapStep(), median))
    assert prepared(asked, 1) == asked
    assert prepared(asked, 5).steps == (UnswapStep(), FillStep(every=5), median)
    own = ChainConfig(steps=(median, FillStep(every=5, max_gap_s=0)))
    assert prepared(own, 5) == own
    inside = ChainConfig(steps=(median.model_copy(update={"unswap": True}),))
    assert prepared(inside, 2).steps == (UnswapStep(), FillStep(every=2), median)
    lifted = ChainConfig(steps=(LiftStep(unswap=True, height=1.7),))
    assert prepared(lifted, 2).steps == (UnswapStep(), FillStep(every=2), LiftStep(height=1.7))


@pytest.mark.parametrize(
    ("number", "text"), [(2, "2nd"), (3, "3rd"), (5, "5th"), (11, "11th"), (12, "12th"), (21, "21st"), (113, "113th")]
)
def test_numbers_of_frames_are_spelt(number: int, text: str) -> None:
    assert ordinal(number) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = []", "steps"),
        ('[[steps]]\nkind = "smoothe"', "smoothe"),
        ('[[steps]]\nmodel = "x"', "kind"),
        ('[[steps]]\nkind = "smooth"\nmodle = "x"', "modle"),
        ('[[steps]]\nkind = "smooth"\nmax_gap_s = -1', "max_gap_s"),
        ('[[steps]]\nkind = "filter"', "filter"),
        ('[[steps]]\nkind = "fill"\nevery = 1', "every"),
        ('[[steps]]\nkind = "unswap"\nguard = true', "guard"),
        ('[[steps]]\nkind = "lift"\nheight = 172', "expected metres from 0.4 to 2.6"),
        ('[[steps]]\nkind = "lift"\nbones = { tail = 0.4 }', "no bone is called 'tail'"),
        ('[[steps]]\nkind = "lift"\nfocal = -1', "focal"),
        ('[[steps]]\nkind = "lift"\nfocal = 900\ncamera = "cam.json"', "states it already"),
        ('[[steps]]\nkind = "lift"\n[[steps]]\nkind = "lift"', "lifted once"),
        ('[[steps]]\nkind = "fit"\nheight = 172', "height"),
        ('[[steps]]\nkind = "fit"\nfocal = 0', "focal"),
        ('[[steps]]\nkind = "fit"\nfocal = 900\ncamera = "cam.json"', "states it already"),
        ('[[steps]]\nkind = "fit"\n[[steps]]\nkind = "fit"', "bodies are fitted once"),
        ('[[steps]]\nkind = "fit"\n[[steps]]\nkind = "lift"', "put the step fit at the end"),
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
    outcome = build(FilterStep(filter=Median(window=3)))(Given(poses, poses), done.append)
    np.testing.assert_allclose(outcome.poses.positions[0, 5], np.median(poses.positions[0, 4:7], axis=0), atol=1e-6)
    assert sum(done) == pytest.approx(1)
