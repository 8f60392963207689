"""Networks from names, folders and original checkpoints, and back to folders and ONNX files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from poseworks.core.checkpoints import Checkpoint, load_strict, read_checkpoint
from poseworks.core.errors import ConfigError
from poseworks.core.networks import (
    image_kind,
    load_saved,
    numbers_after,
    other_method,
    ready,
    refuse_contradictions,
    saved_folder,
    size_of,
    sizes_from,
)
from poseworks.core.networks import save_network as save
from poseworks.core.onnx_export import ExportReport, export_verified
from poseworks.temporal.deciwatch import DeciWatch, DeciWatchConfig, normalised
from poseworks.temporal.models import LIBRARY, model_cards, shipped_models
from poseworks.temporal.preparation import Preparation
from poseworks.temporal.published import (
    CrossAttention,
    FileName,
    deciwatch_preparation,
    parse_file_name,
    published_weights,
    smoothnet_sizes,
)
from poseworks.temporal.smoothnet import SmoothNet, SmoothNetConfig

Network = SmoothNet | DeciWatch
_SAVED: dict[str, tuple[Callable[[Any], Network], type[BaseModel]]] = {
    "smoothnet": (SmoothNet, SmoothNetConfig),
    "deciwatch": (DeciWatch, DeciWatchConfig),
}

__all__ = ["Network", "export_onnx", "load", "looks_like", "model_cards", "save", "shipped_models"]


def load(
    source: str | os.PathLike[str],
    *,
    interval: int | None = None,
    q: int | None = None,
    cross_attention: CrossAttention | None = None,
    heads: int | None = None,
) -> Network:
    """The network in eval mode, float32, on the CPU.

    Sizes come from the tensors. What tensors cannot tell comes from the file's name (``deciwatch_interval10_q3...``,
    ``checkpoint_i3_q33...``) or from the options; the two must agree. `network.source` and `network.sha256` say what
    was read, `network.preparation` what the weights are fed with, where that is known.

    Args:
        source: a shipped name (see `shipped_models`), a folder written by `save`, an original checkpoint file, or the
            name of a published one that lies in a folder of POSEWORKS_WEIGHTS.
        interval: DeciWatch: every how many frames one is read.
        q: DeciWatch: intervals in a window; the window has ``interval q + 1`` frames.
        cross_attention: DeciWatch: whether unsampled frames are hidden from cross-attention ("masked") or seen with
            +1 on their logits ("additive"). Default: "additive" under the paper's file names (``checkpoint*``),
            "masked" under the toolkit's and all others.
        heads: DeciWatch: attention heads, 4 in all published weights.

    Raises:
        CheckpointError: nothing is found under the name, or the file is damaged or of another method.
        ConfigError: interval and q are not known, or an option contradicts the file or does not apply to it.
    """
    options = {"interval": interval, "q": q, "cross_attention": cross_attention, "heads": heads}
    given = {name: value for name, value in options.items() if value is not None}
    path = LIBRARY.locate(source)
    folder = saved_folder(path)
    if folder is None:
        return _load_original(path, given)
    return load_saved(folder, _SAVED, given=given, preparation=Preparation, looks_like=looks_like, name=str(source))


def export_onnx(network: Network, path: str | os.PathLike[str], *, overwrite: bool = False) -> ExportReport:
    """Writes an ONNX file that gives what torch gives, and a JSON file beside it on what comes before and after.

    SmoothNet: ``x`` (batch, channels, W) -> ``y`` (batch, channels, W'), batch and channels of any size. DeciWatch:
    ``x`` (batch, L, C) -> ``recovered`` (batch, L, C), batch of any size; a network of one channel takes the channels
    as its batch.

    Raises:
        ConfigError: not ``.onnx``, an existing file, or the packages for ONNX are missing.
        CheckpointError: ONNX and torch disagree; nothing is written.
    """
    config = network.config
    generator = torch.Generator().manual_seed(0)
    note = {
        "config": config.model_dump(mode="json"),
        "preparation": None if network.preparation is None else network.preparation.model_dump(mode="json"),
        "stride": network.stride,
        "before": _BEFORE[config.kind].format(window=network.window, stride=network.stride),
        "after": "Add the outputs at their frames and divide by the number of windows that cover each frame.",
    }
    if isinstance(network, SmoothNet):
        x = 0.5 * torch.randn(2, 3, network.window, generator=generator)
        axes, others = {0: "batch", 1: "channels"}, ({"batch": 1, "channels": 51}, {"batch": 5, "channels": 34})
        names = ["y"]
    else:
        x = 0.5 * torch.randn(2, network.window, network.config.channels, generator=generator)
        axes, others, names = {0: "batch"}, ({"batch": 1}, {"batch": 7}), ["recovered"]
    return export_verified(
        _Layers(network),
        path,
        inputs={"x": x},
        outputs=names,
        dynamic_axes={"x": axes},
        other_sizes=others,
        sidecar=note,
        overwrite=overwrite,
    )


_BEFORE = {
    "smoothnet": "Bring positions to the scale and origin of `preparation` (null: 3D in metres relative to the root, "
    "2D divided by the image size). Cut windows of {window} frames, time last, at every frame.",
    "deciwatch": "Bring values to the scale and origin of `preparation`. Cut windows of {window} frames, time in the "
    "middle, every {stride} frames; frames between the sampled ones may be zeros.",
}


class _Layers(nn.Module):
    """What an ONNX file computes: the layers alone, without checks, which would fix the sizes.

    A DeciWatch of one channel sees its windows normalised, as in `DeciWatch.run_windows`.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """One input, one output."""
        if isinstance(self.network, SmoothNet):
            return self.network.layers(x)
        if self.network.config.channels > 1:
            return self.network.layers(x)[0]
        alone, mean, spread = normalised(x, self.network.config.interval)
        recovered: Tensor = self.network.layers(alone)[0] * spread + mean
        return recovered


def looks_like(tensors: Mapping[str, Tensor]) -> str | None:
    """What a checkpoint is, judged by the names and shapes of its tensors; None if nothing is recognised."""
    if not tensors:
        return None
    if any(name.startswith("transformer.") and ("joints_embed" in name or "self_attn" in name) for name in tensors):
        return "a DeciWatch"
    if any(name.startswith("res_blocks.") for name in tensors):
        return "a SmoothNet"
    return image_kind(tensors)


# --- original checkpoints ---------------------------------------------------------------------------------------------


def _load_original(path: Path, given: Mapping[str, Any]) -> Network:
    checkpoint = read_checkpoint(path)
    kind = looks_like(checkpoint.tensors)
    with sizes_from(path):
        network: Network
        if kind == "a DeciWatch":
            network = _original_deciwatch(checkpoint, given)
        elif kind == "a SmoothNet" or _is_bare_smoothnet(checkpoint.tensors):
            network = _original_smoothnet(checkpoint)
            refuse_contradictions(network.config, given, f"{path} says")
        else:
            raise other_method(checkpoint, kind, "neither a SmoothNet nor a DeciWatch")
    load_strict(network, checkpoint.tensors, source=str(path), looks_like=looks_like)
    return ready(network, str(path), checkpoint.sha256)


def _is_bare_smoothnet(tensors: Mapping[str, Tensor]) -> bool:
    """One without residual blocks, or with some of its tensors missing."""
    return "encoder.0.weight" in tensors and "decoder.weight" in tensors


def _original_smoothnet(checkpoint: Checkpoint) -> SmoothNet:
    """An untrained network of the checkpoint's sizes; where a tensor is missing another one tells."""
    tensors = checkpoint.tensors
    window = size_of(tensors, ("encoder.0.weight", 1), ("decoder.weight", 0))
    hidden = size_of(tensors, ("encoder.0.weight", 0), ("decoder.weight", 1), ("encoder.0.bias", 0))
    output = size_of(tensors, ("decoder.weight", 0), ("decoder.bias", 0), default=window)
    numbers = numbers_after(tensors, "res_blocks.")
    first = f"res_blocks.{min(numbers, default=0)}"
    narrow = size_of(tensors, (f"{first}.linear1.weight", 0), (f"{first}.linear2.weight", 1))
    known = smoothnet_sizes(hidden, narrow, len(numbers))
    config = SmoothNetConfig(
        window=window,
        output=output,
        hidden=hidden,
        residual_hidden=narrow,
        blocks=len(numbers),
        dropout=known[1]["dropout"] if known else 0.5,
    )
    network = SmoothNet(config)
    if known and (preparation := published_weights()[f"smoothnet-{known[0]}-w32"].preparation):
        network.preparation = preparation
    return network


def _original_deciwatch(checkpoint: Checkpoint, given: Mapping[str, Any]) -> DeciWatch:
    """An untrained network of the checkpoint's sizes; interval and q from the name or the options."""
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in checkpoint.tensors.items()}
    name = parse_file_name(checkpoint.source)
    interval, q = _interval_and_q(checkpoint.source, name, given)
    channels = size_of(
        tensors, ("encoder_embed.weight", 1), ("decoder_embed.weight", 1), ("decoder_joints_embed.bias", 0)
    )
    first = f"encoder.layers.{min(numbers_after(tensors, 'encoder.layers.'), default=0)}"
    config = DeciWatchConfig(
        channels=channels,
        interval=interval,
        q=q,
        width=size_of(tensors, ("encoder_embed.weight", 0), ("decoder_embed.weight", 0), ("decoder.norm.weight", 0)),
        heads=given.get("heads", 4),
        feedforward=size_of(tensors, (f"{first}.linear1.weight", 0), (f"{first}.linear2.weight", 1)),
        layers=max(len(numbers_after(tensors, "encoder.layers.")), len(numbers_after(tensors, "decoder.layers.")), 1),
        pre_norm="encoder.norm.weight" in tensors,
        cross_attention=given.get("cross_attention", name.cross_attention),
    )
    network = DeciWatch(config)
    network.preparation = deciwatch_preparation(channels, name.origin)
    return network


def _interval_and_q(source: str, name: FileName, given: Mapping[str, Any]) -> tuple[int, int]:
    values = []
    for field, stated in (("interval", name.interval), ("q", name.q)):
        option = given.get(field)
        if stated is not None and option is not None and stated != option:
            raise ConfigError(
                f"{field}: the file name {Path(source).name} says {stated}, the option says {option}. "
                "Leave the option out, or rename the file if its name is wrong."
            )
        value = stated if option is None else option
        if value is None:
            raise ConfigError(
                f"{source}: a DeciWatch, whose tensors do not tell interval and q, and neither does its name. "
                "State both, --interval 10 --q 3 (in Python: load(file, interval=10, q=3)), or name the file as "
                "published, deciwatch_interval10_q3.pth.tar."
            )
        values.append(value)
    return values[0], values[1]
