"""Distillation as published: the stored losses, a teacher that never changes, a student that learns from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.testing import assert_close

from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.testing import reference_cases, seeded_input
from poseworks.core.training import train
from poseworks.lifting.distillation import Distiller, DistillerConfig
from poseworks.lifting.ehgformer import EHGFormer, EHGFormerConfig
from poseworks.lifting.graphs import PARTITIONS
from poseworks.lifting.learning.distillation_training import (
    DistillationTask,
    Features,
    distillation_losses,
    features_of,
)
from poseworks.lifting.learning.h36m_files.frames import EHGFormerFrames
from poseworks.lifting.learning.losses import clip_losses
from poseworks.lifting.learning.published_files import write_ehgformer
from poseworks.lifting.learning.recipes import Lesson, read_recipe
from poseworks.lifting.loading import load

REFERENCE = Path(__file__).parents[1] / "reference"
SMALL = (
    "network.width=16",
    "network.blocks=3",
    "network.frames=9",
    "clip_stride=9",
    "lesson.teacher_blocks=[0, 1, 3]",
    "lesson.student_blocks=[0, 1, 2]",
    "training.epochs=2",
)


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full network of 24 x 4 in the published layout."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("teacher") / "best_epoch.bin"
    write_ehgformer(EHGFormer(EHGFormerConfig(frames=9, width=24, blocks=4, groups=PARTITIONS[2])), path)
    return path


def frames() -> EHGFormerFrames:
    """Three recordings of random joints."""
    lengths = (40, 40, 40)
    joints = 500 + seeded_input("distillation", (sum(lengths), 17, 3), 100)
    numbers = np.repeat(np.arange(3, dtype=np.int32), lengths)
    return EHGFormerFrames(
        keypoints=joints[..., :2] + 1,
        confidence=np.ones((len(joints), 17), np.float32),
        joints_image=joints,
        camera=numbers,
        recording=numbers,
        recordings=("a_ca_01", "b_ca_01", "c_ca_01"),
    )


def task(teacher: Path, *overrides: str) -> DistillationTask:
    recipe: Any = read_recipe("distil_dynamic_p2", (*SMALL, f"teacher={teacher}", *overrides))
    made = DistillationTask(recipe, frames(), frames())
    made.validate = lambda: {"mpjpe": 1.0}  # type: ignore[method-assign]
    return made


def copied(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_the_weighted_total_equals_the_stored_one() -> None:
    case = reference_cases(REFERENCE, "distill_loss")[0]
    c = case.config
    distiller = Distiller(DistillerConfig(student_width=c["student_channels"], teacher_width=c["teacher_channels"]))
    distiller.load_state_dict({name.removeprefix("module."): x for name, x in case.state_dict().items()})

    def stored(name: str, number: str = "") -> Tensor:
        seed, shape, scale = case.manifest["input"][name]
        return torch.from_numpy(seeded_input(seed.replace("<i>", number), tuple(shape), scale))

    def features(who: str) -> Features:
        last = stored(f"{who}_last")
        space, time = ([stored(f"{who}_{axis}0..3", str(i)) for i in range(4)] for axis in ("spatial", "temporal"))
        return Features(space=[*space, torch.full_like(space[0], torch.nan)], time=[*time, last], answer=last)

    lesson = Lesson()
    assert (list(lesson.student_blocks), list(lesson.teacher_blocks)) == (c["student_ids"], c["teacher_ids"])
    with torch.no_grad():
        losses = distillation_losses(distiller, features("student"), features("teacher"))
    expected = json.loads((REFERENCE / "distill_loss.json").read_text())
    found = {name: float(value) for name, value in losses.items()}
    assert found["space"] == pytest.approx(expected["spatial_sum"], rel=1e-5)
    assert found["time"] == pytest.approx(expected["temporal_sum"], rel=1e-5)
    assert found["generation"] == pytest.approx(expected["generation"], rel=1e-5)
    assert lesson.weight * sum(found.values()) == pytest.approx(expected["total_weighted"], rel=1e-5)


def test_features_are_those_behind_the_norms_of_each_block() -> None:
    torch.manual_seed(0)
    network = EHGFormer(EHGFormerConfig(frames=9, width=16, blocks=3)).eval()
    x = torch.from_numpy(seeded_input("features", (2, 5, 17, 3), 0.5))
    with torch.no_grad():
        found = features_of(network, x, (2, 0))
        assert torch.equal(found.answer, network(x))
        assert_close(found.time[0].view(2, 17, 5, 16).transpose(1, 2), network.features(x))
    assert [tuple(f.shape) for f in (*found.space, *found.time)] == [(10, 17, 16)] * 2 + [(34, 5, 16)] * 2
    for each in (*found.space, *found.time):  # behind a norm whose scale is 1 and shift 0
        assert_close(each.mean(dim=-1), torch.zeros(each.shape[:-1]), atol=1e-5, rtol=0)


def test_the_loss_is_that_of_the_label_and_the_weighted_three(teacher_file: Path) -> None:
    made = task(teacher_file, "network.drop_path=0.0", "lesson.weight=0.25", "flip=false")
    losses = made.step_loss(0, torch.Generator())
    inputs, labels = made.batches.batch(0, torch.Generator())
    with torch.no_grad():
        parts = clip_losses(made.network.student(inputs), labels, made.recipe.losses)
        expected = parts["loss"] + 0.25 * (losses["space"] + losses["time"] + losses["generation"])
        assert_close(losses["loss"], expected)
    assert set(losses) == {*parts, "space", "time", "generation"}


@pytest.mark.long
def test_the_teacher_is_in_eval_mode_takes_no_gradient_and_never_changes(teacher_file: Path, tmp_path: Path) -> None:
    made = task(teacher_file)
    teacher, student = copied(made.teacher), copied(made.network)
    assert not any("teacher" in name for name in student)
    made.network.train()
    losses = made.step_loss(0, torch.Generator().manual_seed(0))
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    assert not made.teacher.training
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in made.teacher.parameters())
    without = {name for name, parameter in made.network.named_parameters() if parameter.grad is None}
    assert without == {
        f"distiller.{axis}_align.2.{part}" for axis in ("spatial", "temporal") for part in ("weight", "bias")
    }
    train(made, made.settings(), tmp_path, quiet=True)
    for name, tensor in made.teacher.state_dict().items():
        assert torch.equal(tensor, teacher[name]), name
    changed = {name for name, tensor in made.network.state_dict().items() if not torch.equal(tensor, student[name])}
    assert {"student.embed.weight", "distiller.mask_token", "distiller.generation_align.weight"} <= changed
    assert not {name for name in changed if name in without}  # AdamW passes them by, as published


def test_a_run_that_was_killed_continues_to_bit_equal_weights(teacher_file: Path, tmp_path: Path) -> None:
    def run(made: DistillationTask, folder: str, last: int, **options: bool) -> None:
        step_loss = made.step_loss

        def until(step: int, generator: torch.Generator) -> dict[str, Tensor]:
            if step == last:
                raise KeyboardInterrupt
            return step_loss(step, generator)

        made.step_loss = until  # type: ignore[method-assign]
        settings = made.settings().model_copy(update={"checkpoint_every": 1})
        train(made, settings, tmp_path / folder, quiet=True, **options)

    whole, killed, rest = (task(teacher_file) for _ in range(3))
    total = whole.settings().total_steps
    run(whole, "whole", total)
    with pytest.raises(KeyboardInterrupt):
        run(killed, "killed", total - 2)
    run(rest, "killed", total, resume=True)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, rest.network.state_dict()[name]), name


def test_student_and_distiller_are_saved_for_us_and_in_the_published_layout(teacher_file: Path, tmp_path: Path) -> None:
    made = task(teacher_file)
    result = train(made, made.settings(), tmp_path, quiet=True)
    made.save_more(tmp_path, result)
    student: Any = load(tmp_path / "best_epoch.bin")
    latest, distiller, published = (
        load(tmp_path / name) for name in ("latest_epoch.bin", "distiller", "best_epoch_distiller.bin")
    )
    assert student.config.groups == PARTITIONS[2]
    for network, expected in (
        (student, made.finished()),
        (distiller, made.network.distiller),
        (published, made.network.distiller),
    ):
        for name, tensor in expected.state_dict().items():
            assert torch.equal(tensor, network.state_dict()[name]), name
    assert result.kept_step < result.steps  # the validation always says the same: the first epoch is kept
    assert not torch.equal(latest.state_dict()["embed.weight"], student.state_dict()["embed.weight"])


def test_a_teacher_that_does_not_fit_is_refused(teacher_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="ehgformer-dynamic-p2"):
        DistillationTask(read_recipe("distil_dynamic_p2"), frames(), frames())  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as caught:
        task(
            teacher_file,
            "network.frames=12",
            "lesson.teacher_blocks=[0, 1, 7]",
            f"network.groups={list(PARTITIONS[1])}",
        )
    message = str(caught.value)
    assert "it sees 9 frames, the student 12" in message
    assert "it has blocks 0 to 3" in message
    assert "its partition is [0, 0, 0" in message
    assert "--set teacher=FILE" in message


def test_lessons_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValidationError, match="as many of one as of the other"):
        Lesson(teacher_blocks=(0, 1), student_blocks=(0,))
    with pytest.raises(ValidationError, match="counted from 0"):
        Lesson(teacher_blocks=(0, -1), student_blocks=(0, 1))
    with pytest.raises(ConfigError, match="student_blocks: the network has blocks 0 to 1"):
        read_recipe("distil_static_p1", ("network.blocks=2",))
