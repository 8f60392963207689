"""Checkpoints of any method: told by their tensors, which one method alone can load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poseworks.core.errors import FormatError, PoseworksError
from poseworks.core.read_options import ReadOptions

_SUFFIXES = (".pth", ".pt", ".tar", ".bin", ".ckpt", ".safetensors", ".index", ".pkl", ".pickle")
_UNKNOWN = "nothing known"


@dataclass(frozen=True)
class Method:
    """What a method offers for checkpoints."""

    shipped: tuple[str, ...]
    inspect: Callable[..., dict[str, Any]]
    load: Callable[..., Any]
    save: Callable[..., None]


def methods() -> Iterator[Method]:
    """The methods that have networks in torch."""
    from poseworks.lifting import inspection as of_lifting
    from poseworks.lifting import loading as lifting
    from poseworks.mesh_recovery import inspection as of_bodies
    from poseworks.mesh_recovery import loading as bodies
    from poseworks.skeleton_action import inspection as of_actions
    from poseworks.skeleton_action import loading as actions
    from poseworks.temporal import inspection as of_temporal
    from poseworks.temporal import loading as temporal

    yield Method(temporal.shipped_models(), of_temporal.inspect_file, temporal.load, temporal.save)
    yield Method(lifting.shipped_models(), of_lifting.inspect_file, lifting.load, lifting.save)
    yield Method(actions.shipped_models(), of_actions.inspect_file, actions.load, actions.save)
    yield Method(bodies.shipped_models(), of_bodies.inspect_file, bodies.load, bodies.save)


def is_named_as_weights(name: str) -> bool:
    """Whether it is a shipped name, a saved folder, or has a suffix that neither poses nor recordings have."""
    from poseworks.lifting.models import shipped_models as lifters
    from poseworks.mesh_recovery.models import shipped_models as recoverers
    from poseworks.skeleton_action.models import shipped_models as recognizers
    from poseworks.temporal.models import shipped_models as smoothers

    path = Path(name)
    saved = path.is_dir() and ((path / "config.json").is_file() or any(path.glob("*.index")))
    return (
        saved or path.suffix.lower() in _SUFFIXES or name in (*lifters(), *smoothers(), *recognizers(), *recoverers())
    )


def inspect_weights(path: Path, reading: ReadOptions) -> dict[str, Any]:
    """Facts about a checkpoint, a saved folder or a published data file, from the method that it belongs to.

    Raises:
        PoseworksError: no method knows it.
    """
    with_faults, errors = [], []
    for method in methods():
        try:
            facts = method.inspect(path, reading, {})
        except PoseworksError as error:
            errors.append(error)
            continue
        if "problem" not in facts:
            return facts
        with_faults.append(facts)
    if not with_faults:
        raise _joined(errors)
    said = [facts.get("looks_like", _UNKNOWN) for facts in with_faults]
    # What one method alone says, it knows; the others then give the general hint that any would.
    best = min(range(len(said)), key=lambda n: (said[n] == _UNKNOWN, said.count(said[n])))
    return with_faults[best]


def load_weights(path: Path, *, mesh: Path | None = None, body: str | None = None) -> tuple[Any, Callable[..., None]]:
    """The network in an original checkpoint, and what saves it.

    Args:
        path: the checkpoint.
        mesh, body: what networks on a body's mesh need beside it; if stated, it is one of those.

    Raises:
        PoseworksError: no method can load it; says why not.
    """
    if mesh is not None or body is not None:
        from poseworks.mesh_recovery import loading as bodies

        return bodies.load(str(path), mesh=mesh, body=body), bodies.save
    errors = []
    for method in methods():
        try:
            return method.load(str(path)), method.save
        except PoseworksError as error:
            errors.append(error)
    raise _joined(errors)


def _joined(errors: list[PoseworksError]) -> PoseworksError:
    """One error of what each method said, each sentence once."""
    said = list(dict.fromkeys(map(str, errors)))
    return errors[0] if len(said) == 1 else FormatError(" Or: ".join(said))
