"""What `load` and `save` of every method share: folders of ours, sizes told by tensors, contradictions, model cards.

A network here is a torch module with `config` (a frozen pydantic model that rebuilds it), `source` (where its weights
came from) and `sha256` (of their file). It may have a `preparation`, a pydantic model of what its weights are fed with,
which is saved with it, and may be `Compact`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from poseworks.core.checkpoints import Checkpoint, DropRule, check_fit, load_strict, read_model, save_model
from poseworks.core.config import describe_faults
from poseworks.core.errors import CheckpointError, ConfigError


class Configured(Protocol):
    """What a network of ours has beside the parts of a torch module."""

    @property
    def config(self) -> BaseModel:
        """Rebuilds the network."""
        ...

    source: str
    sha256: str


@runtime_checkable
class Compact(Protocol):
    """A network of which inference needs less than the state dict holds."""

    def compact_tensors(self) -> dict[str, Tensor]:
        """What inference needs, under the names of the state dict."""
        ...

    def whole_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict that gives the same results, of compact tensors or of whole ones."""
        ...


Network = TypeVar("Network", bound=nn.Module)


def saved_folder(path: Path) -> Path | None:
    """The folder that `save_network` wrote if `path` is one or its model.safetensors, else None."""
    if path.is_dir():
        return path
    if path.name == "model.safetensors" and (path.parent / "config.json").is_file():
        return path.parent
    return None


def load_saved(
    folder: Path,
    kinds: Mapping[str, tuple[Callable[[Any], Network], type[BaseModel]]],
    *,
    given: Mapping[str, Any],
    preparation: type[BaseModel] | None = None,
    looks_like: Callable[[Mapping[str, Tensor]], str | None] | None = None,
    name: str = "",
) -> Network:
    """The network of a folder that `save_network` wrote, in eval mode.

    Args:
        kinds: the class of a network and that of its config, by ``config.kind``.
        given: options that the caller stated, as fields of the config; they must agree with it.
        preparation: the class of what the weights are fed with; a folder that does not say leaves the network's own.
        name: what the network is to say of its source; default: the folder.

    Raises:
        CheckpointError: the folder is none of ours, is damaged, or holds another kind of network.
        ConfigError: an option contradicts the config.
    """
    content, tensors = read_model(folder)
    kind = content["config"].get("kind")
    if kind not in kinds:
        raise CheckpointError(f"{folder}: config.json is of kind {kind!r}, expected {' or '.join(kinds)}.")
    build, config = kinds[kind]
    try:
        network = build(config.model_validate(content["config"]))
        if preparation is not None and content.get("preparation") is not None:
            network.preparation = preparation.model_validate(content["preparation"])  # type: ignore[assignment]
    except ValidationError as error:
        raise CheckpointError(f"{folder}/config.json: {faults_of(error)}") from error
    refuse_contradictions(network.config, given, f"{folder}/config.json says")  # type: ignore[arg-type]
    anything: object = network
    if isinstance(anything, Compact):
        tensors = anything.whole_tensors(tensors)
    load_strict(network, tensors, source=str(folder), looks_like=looks_like)
    return ready(network, name or str(folder), content.get("model_sha256") or "")


def load_original(
    build: Callable[[Any], Network],
    config: BaseModel,
    checkpoint: Checkpoint,
    *,
    names: Callable[[Any], Mapping[str, str]] | None = None,
    drop: Sequence[DropRule] = (),
    looks_like: Callable[[Mapping[str, Tensor]], str | None] | None = None,
) -> Network:
    """The network of a config with the tensors of an original checkpoint, in eval mode.

    It is first built without memory: sizes that single tensors claim could else ask for more than there is.

    Args:
        build: makes the network of the config.
        names: our names -> those of the checkpoint, by ours; default: the same.
        drop, looks_like: as in `load_strict`.

    Raises:
        CheckpointError: listing every missing, unexpected and misshapen tensor.
    """
    with torch.device("meta"), _WithoutNormal():
        sketch = build(config)
    called = None if names is None else names(sketch.state_dict())
    check_fit(sketch, checkpoint.tensors, source=checkpoint.source, names=called, drop=drop, looks_like=looks_like)
    built = build(config)
    load_strict(built, checkpoint.tensors, source=checkpoint.source, names=called, drop=drop)
    return ready(built, checkpoint.source, checkpoint.sha256)


class _WithoutNormal(TorchFunctionMode):
    """Leaves out random starts: a sketch has no numbers, and torch imports seconds of code to do nothing to them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.normal_, nn.init.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def ready(network: Network, source: str, sha256: str) -> Network:
    """The same network in eval mode, told where its weights came from."""
    network.source, network.sha256 = source, sha256  # type: ignore[assignment]
    network.eval()
    return network


def save_network(
    network: nn.Module,
    folder: str | os.PathLike[str],
    *,
    readme: str | None = None,
    card: Mapping[str, Any] | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Writes ``model.safetensors``, ``config.json`` (config, preparation, source) and ``README.md``; `load` reads it.

    Args:
        network: one that `load` of the same package gives, or a new one.
        folder: appears as a whole, or not at all.
        readme: what the weights are, their data and licence, and how to make them again; default: what is known.
        card: fields of `poseworks.core.model_cards.ModelCard` for the `models` verb; shipped weights need it.
        half: in half the room or less, for inference: as float16 and, of a `Compact` network, only what it needs.
        overwrite: replace an existing folder.

    Raises:
        ConfigError: the folder exists. CheckpointError: a weight is not finite, or too large for float16.
        DataError: it cannot be written.
    """
    configured: Configured = network  # type: ignore[assignment]
    beside: dict[str, Any] = {}
    preparation = getattr(network, "preparation", None)
    if preparation is not None:
        beside["preparation"] = preparation.model_dump(mode="json")
    if configured.source:
        beside["source"] = {"name": Path(configured.source).name, "sha256": configured.sha256}
    if card is not None:
        beside["card"] = dict(card)
    text = readme if readme is not None else _readme(network)
    anything: object = network
    tensors = anything.compact_tensors() if half and isinstance(anything, Compact) else network.state_dict()
    save_model(tensors, folder, configured.config, text, extras=beside, half=half, overwrite=overwrite)


def _readme(network: nn.Module) -> str:
    """A card with what is known of the weights."""
    configured: Configured = network  # type: ignore[assignment]
    parameters = sum(p.numel() for p in network.parameters())
    lines = [f"# {type(network).__name__}", "", f"- parameters: {parameters:,}"]
    lines += [f"- {name}: {value}" for name, value in configured.config.model_dump().items() if name != "kind"]
    if configured.source:
        lines.append(f"- made from: {Path(configured.source).name}, SHA-256 {configured.sha256}")
    else:
        lines.append("- made from: a network in memory")
    lines += ["- training data and licence: as stated by whoever made the weights", "", "Load: `load(<this folder>)`."]
    return "\n".join(lines)


def refuse_contradictions(known: BaseModel, given: Mapping[str, Any], who: str) -> None:
    """ConfigError if an option says otherwise than `known`, or is none of its fields; `who` ends in a verb."""
    for name, value in given.items():
        if name not in type(known).model_fields:
            raise ConfigError(f"{name}: this is {_article(known)}, which has no such option. Leave it out.")
        if getattr(known, name) != value:
            raise ConfigError(f"{name}: {who} {getattr(known, name)}, the option says {value}. Leave the option out.")


def _article(config: BaseModel) -> str:
    """The name of the network that a config belongs to, with its article."""
    name = type(config).__name__.removesuffix("Config")
    spoken_vowel = name[0] in "AEIO" or (name.isupper() and name[0] in "FHLMNRSX")
    return f"{'an' if spoken_vowel else 'a'} {name}"


def numbers_after(tensors: Mapping[str, Tensor], prefix: str) -> set[int]:
    """The numbers that follow a prefix in the names."""
    rests = (name.removeprefix(prefix).split(".")[0].split("/")[0] for name in tensors if name.startswith(prefix))
    return {int(rest) for rest in rests if rest.isdecimal()}


def size_of(tensors: Mapping[str, Tensor], *places: tuple[str, int], default: int = 1) -> int:
    """The size of the first tensor of these (name, axis) that is there; `default` where none is."""
    for name, axis in places:
        if name in tensors and tensors[name].dim() > axis:
            return int(tensors[name].shape[axis])
    return default


def image_kind(tensors: Mapping[str, Tensor]) -> str | None:
    """What a checkpoint is if it is one that reads images, which methods on joints are sometimes given by mistake."""
    if any(name.startswith(("backbone.", "layer1.", "conv1.")) for name in tensors):
        return "an image network (it has a backbone)"
    if any(name.startswith(("smpl.", "body_model", "regressor.")) or "smpl" in name for name in tensors):
        return "a mesh-recovery network"
    return None


@contextmanager
def sizes_from(path: Path | str) -> Iterator[None]:
    """Turns the faults of a config that was told by tensors into the fault of their file."""
    try:
        yield
    except ValidationError as error:
        raise CheckpointError(f"{path}: its tensors have sizes that no network can have: {faults_of(error)}") from error


def other_method(checkpoint: Checkpoint, kind: str | None, what: str) -> CheckpointError:
    """The error for a checkpoint of another method; `what` is such as "neither a SmoothNet nor a DeciWatch"."""
    some = ", ".join(list(checkpoint.tensors)[:3])
    return CheckpointError(
        f"{checkpoint.source}: {what}. It looks like {kind or 'something else'}: "
        f"{len(checkpoint.tensors)} tensors such as {some}. Try the command of another package, or `inspect`."
    )


def faults_of(error: ValidationError) -> str:
    """All faults of a config in one phrase."""
    return "; ".join(describe_faults(error, None))
