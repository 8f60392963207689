"""Config files: overrides, and faults that one can mend from the message alone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field, model_validator

from poseworks.core.config import read_config
from poseworks.core.errors import ConfigError


class Optim(BaseModel, extra="forbid", frozen=True):
    lr: float = Field(0.1, gt=0)
    name: Literal["adam", "sgd"] = "adam"


class Recipe(BaseModel, extra="forbid", frozen=True):
    data: str
    steps: int = 1
    optim: Optim = Optim()
    parts: list[Optim] = []

    @model_validator(mode="after")
    def _steps_fit(self) -> Recipe:
        if self.steps > 100:
            raise ValueError("steps must not exceed 100; lower it")
        return self


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text('data = "cmu"\nsteps = 5\n[optim]\nlr = 0.5\n')
    return path


def test_overrides_come_after_the_file(file: Path) -> None:
    assert read_config(file, Recipe) == Recipe(data="cmu", steps=5, optim=Optim(lr=0.5))
    found = read_config(file, Recipe, ["optim.name=sgd", "optim.lr=2e-3", "steps = 7", 'data="a b"'])
    assert found == Recipe(data="a b", steps=7, optim=Optim(lr=0.002, name="sgd"))
    parts = read_config(file, Recipe, ["parts=[{lr = 1.0}]"]).parts
    assert parts == [Optim(lr=1.0)]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["optm.lr=1"], "optm: no such field (did you mean optim?)"),
        (["optim.lrr=1"], "optim.lrr: no such field (did you mean lr?)"),
        (["optim.momentum=1"], "optim.momentum: no such field (known: lr, name)"),
        (["parts=[{lrr = 1}]"], "parts.0.lrr: no such field (did you mean lr?)"),
        (["optim.name=adma"], "optim.name: input should be 'adam' or 'sgd', got 'adma'"),
        (["optim.lr=-1"], "optim.lr: input should be greater than 0, got -1"),
        (["steps=many"], "steps: input should be a valid integer, unable to parse string as an integer, got 'many'"),
        (["steps=101"], "Recipe: steps must not exceed 100; lower it"),
        (["steps"], "--set steps: expected NAME=VALUE"),
        (["=3"], "--set =3: expected NAME=VALUE"),
        (["data.x=3"], "--set data.x=3: data is a value, not a table"),
        (["steps=0", "optim.lr=0", "x=1"], "optim.lr: input should be greater than 0, got 0; x: no such field"),
    ],
)
def test_faults_name_file_field_and_choice(file: Path, overrides: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(file, Recipe, overrides)
    message = str(caught.value)
    assert says in message
    assert "http" not in message
    assert "\n" not in message
    if not message.startswith("--set"):
        assert message.startswith(f"{file}: ")


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read \(No such file"):
        read_config(tmp_path / "nothing.toml", Recipe)
    for data in (b"steps = ", b"\xff\xfe\x00", b"\x00\x01"):
        (tmp_path / "x.toml").write_bytes(data)
        with pytest.raises(ConfigError, match="not a TOML file"):
            read_config(tmp_path / "x.toml", Recipe)
    (tmp_path / "x.toml").write_text("")
    with pytest.raises(ConfigError, match="data: missing"):
        read_config(tmp_path / "x.toml", Recipe)


def test_a_file_states_what_differs_from_its_base(file: Path, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "middle.toml").write_text('base = "../recipe.toml"\n[optim]\nname = "sgd"\n')
    top = tmp_path / "top.toml"
    top.write_text('base = "below/middle.toml"\nsteps = 9\n')
    found = read_config(top, Recipe, ["optim.lr=2.0"], inherit=True)
    assert found == Recipe(data="cmu", steps=9, optim=Optim(lr=2.0, name="sgd"))
    with pytest.raises(ConfigError, match=r"top.toml: data: missing; base: no such field"):
        read_config(top, Recipe)


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ('"recipe.toml"', r"recipe.toml: is its own base: recipe.toml -> recipe.toml\."),
        ('"gone.toml"', r"gone.toml: cannot be read \(No such file or directory\)"),
        ("3", r"recipe.toml: base: expected the name of a TOML file, got 3\."),
    ],
)
def test_a_base_that_is_none_is_named(file: Path, base: str, says: str) -> None:
    file.write_text(f'base = {base}\ndata = "cmu"\n')
    with pytest.raises(ConfigError, match=says):
        read_config(file, Recipe, inherit=True)
