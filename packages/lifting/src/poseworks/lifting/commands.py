"""The verbs of `poseworks-lifting`. Heavy imports stand inside the functions, so that `--help` answers at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from poseworks.core.camera_options import CameraOptions
from poseworks.core.cli import Device, Json, Output, Overwrite, Quiet, Verbose, Whole
from poseworks.core.read_options import ReadOptions
from poseworks.core.train_command import train_verb
from poseworks.lifting.graphs import MaskType
from poseworks.lifting.lift_options import LiftOptions

Source = Annotated[Path, Parameter(help="A shipped name, a saved folder, or an original checkpoint file.")]


@Parameter(name="*")
@dataclass(frozen=True)
class LoadOptions:
    """What tensors do not tell; where they do, an option must agree."""

    knn: Annotated[int | None, Whole, Parameter(help="LCN: how far its mask reaches, 3 in all published commands.")] = (
        None
    )
    mask_type: Annotated[MaskType | None, Parameter(help="LCN: the kind of its mask.")] = None
    limb_lengths: Annotated[str, Parameter(help="LCN, mask type laplacian: mean limb lengths, comma-separated.")] = ""
    partition: Annotated[str, Parameter(help="EHGFormer: 1, 2 or the groups of the 17 joints, comma-separated.")] = ""
    joint_bias: Annotated[bool | None, Parameter(help="EHGFormer: trained with the learned joint relation.")] = None
    group_by_query: Annotated[bool | None, Parameter(help="EHGFormer: groups weighed by queries.")] = None
    group_by_bias: Annotated[bool | None, Parameter(help="EHGFormer: groups weighed by a learned bias.")] = None

    def given(self) -> dict[str, Any]:
        """The options of `load` that were stated.

        Raises:
            ConfigError: something in a list is no number.
        """
        groups = _numbers("--partition", self.partition, int)
        lengths = _numbers("--limb-lengths", self.limb_lengths, float)
        options = {
            "knn": self.knn,
            "mask_type": self.mask_type,
            "limb_lengths": lengths or None,
            "partition": groups[0] if len(groups) == 1 else groups or None,
            "joint_bias": self.joint_bias,
            "group_by_query": self.group_by_query,
            "group_by_bias": self.group_by_bias,
        }
        return {name: value for name, value in options.items() if value is not None}


def _numbers(option: str, text: str, kind: type[int] | type[float]) -> list[Any]:
    from poseworks.core.errors import ConfigError

    try:
        return [kind(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigError(f"{option}: {text!r}: expected numbers with commas between.") from error


def lift(
    *inputs: Annotated[Path, Parameter(name="INPUT", help="2D poses in any known format.")],
    output: Output,
    model: Annotated[
        str | None,
        Parameter(
            help="A shipped name, a saved folder, or an original checkpoint file. Default: the shipped weights for a "
            "focal length that is known or not."
        ),
    ] = None,
    lifting: LiftOptions = LiftOptions(),  # noqa: B008 (frozen)
    report: Annotated[Path | None, Parameter(help="Write this HTML page: keypoints, 3D joints, people.")] = None,
    video: Annotated[Path | None, Parameter(help="The recording, shown in the report.")] = None,
    options: LoadOptions = LoadOptions(),
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """2D poses lifted to 3D: h36m17 in camera axes, x right, y down, z away.

    Without a height or a bone the unit is normalised (the history says what 1.0 is); without a focal length or a camera
    positions are relative to the root. With one INPUT, OUTPUT is a file (.npz, .csv, .trc by its suffix); with several,
    a folder of .npz files, and REPORT a folder of pages.
    """
    from poseworks.core.poses_command import Paths
    from poseworks.lifting.lift_command import ModelChoice, run_lift

    paths = Paths(inputs, output, report, video, overwrite)
    run_lift(paths, ModelChoice(model, options.given(), device), lifting, reading, json=json, quiet=quiet)


def models(*, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Every model, shipped or published: size, licence, training data, claimed accuracy, where it is."""
    from poseworks.core.verbs import show_models
    from poseworks.lifting.models import model_cards

    show_models(model_cards(), json=json, quiet=quiet)


def inspect(
    file: Path,
    *,
    options: LoadOptions = LoadOptions(),
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What a file is: poses, published data, or a checkpoint with its method, variant, sizes and partition."""
    from poseworks.core.cli import print_result
    from poseworks.lifting.inspection import inspect_file

    print_result(inspect_file(file, reading, options.given()), json=json, quiet=quiet)


def convert(
    file: Source,
    *,
    output: Output,
    options: LoadOptions = LoadOptions(),
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """An original checkpoint as a folder of model.safetensors, config.json and README.md.

    LCN's TensorFlow checkpoints (a folder with NAME.index and NAME.data-...) need the extra tensorflow.
    """
    from poseworks.core.verbs import convert_checkpoint
    from poseworks.lifting.loading import load, load_tensorflow, save
    from poseworks.lifting.tensorflow_files import tensorflow_prefix

    given = options.given()
    read = load if tensorflow_prefix(file) is None else load_tensorflow
    convert_checkpoint(
        file, output, lambda: read(str(file), **given), save, overwrite=overwrite, json=json, quiet=quiet
    )


def attention(
    model: Annotated[str, Parameter(help="An EHGFormer: a shipped name, a saved folder, or an original checkpoint.")],
    track: Annotated[Path, Parameter(help="2D keypoints of one person, in any known format.")],
    *,
    output: Output,
    block: Annotated[int | None, Whole, Parameter(help="This block alone, counted from 0. Default: all.")] = None,
    head: Annotated[int | None, Whole, Parameter(help="This head alone, counted from 0. Default: all.")] = None,
    frames: Annotated[
        str,
        Parameter(help="FIRST:END, such as 100:127, up to the network's window. Default: the first that can be used."),
    ] = "",
    frame: Annotated[
        int | None, Whole, Parameter(help="Draw joint maps of this frame. Default: their mean over frames.")
    ] = None,
    joint: Annotated[
        str | None, Parameter(help="Draw temporal maps of this joint, such as left_knee. Default: their mean.")
    ] = None,
    camera: CameraOptions = CameraOptions(),  # noqa: B008 (frozen)
    options: LoadOptions = LoadOptions(),
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Attention maps on a clip of a track: a folder of arrays (block-N.npz) and figures (SVG).

    spatial: joint to joint, of each frame; temporal: frame to frame, of each joint; group: joint to group, which in a
    published network are no joints but slots, as its figure says. Rows are queries, columns keys.
    """
    from poseworks.core.cli import print_result
    from poseworks.core.files import refuse_existing
    from poseworks.lifting.attention import track_attention, write_attention
    from poseworks.lifting.loading import load

    refuse_existing(output, overwrite)
    network, poses = load(model, **options.given()), reading.read(track)
    maps = track_attention(
        poses,
        network,
        frames=_frames(frames),
        block=block,
        head=head,
        camera=camera.pinhole(poses.image_size),
    )
    files = write_attention(maps, output, frame=frame, joint=joint, overwrite=overwrite)
    facts = {"model": model, "model_sha256": network.sha256, "input": track, "output": output, "files": files}
    print_result(facts, json=json, text=[str(file) for file in files], quiet=quiet)


def _frames(text: str) -> tuple[int, int] | None:
    from poseworks.core.errors import ConfigError

    if not text:
        return None
    first, colon, end = text.partition(":")
    if not (colon and first.strip().isdecimal() and end.strip().isdecimal()):
        raise ConfigError(f"--frames {text}: expected FIRST:END, such as 100:127 for frames 100 to 126.")
    return int(first), int(end)


def export(
    model: Annotated[str, Parameter(help="A shipped name, a saved folder, or an original checkpoint file.")],
    *,
    output: Output,
    int8: Annotated[
        Path | None,
        Parameter(
            help="Also write NAME.int8.onnx, and say what its 8 bits change on these 2D keypoints of one person."
        ),
    ] = None,
    camera: CameraOptions = CameraOptions(),  # noqa: B008 (frozen)
    options: LoadOptions = LoadOptions(),
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A model as ONNX, verified against torch at other sizes before the file appears; a .json says how to use it."""
    from poseworks.core.verbs import export_model
    from poseworks.lifting.loading import export_onnx, load

    given = options.given()
    write: Callable[..., Any] = export_onnx
    if int8 is not None:
        from poseworks.lifting.quantisation import export_int8

        poses = reading.read(int8)
        write = partial(export_int8, poses=poses, camera=camera.pinhole(poses.image_size))
    export_model(output, lambda: load(model, **given), write, overwrite=overwrite, json=json, quiet=quiet)


train = train_verb("poseworks.lifting.learning.training")


def evaluate(
    model: Annotated[str, Parameter(help="A shipped or published name, a saved folder, or a checkpoint file.")],
    *,
    protocol: Annotated[
        Literal["lcn", "ehgformer"] | None, Parameter(help="Default: the one of the network's kind; it takes no other.")
    ] = None,
    data: Annotated[Path | None, Parameter(help="Folder of the data sets. Default: POSEWORKS_DATA.")] = None,
    flip: Annotated[
        bool | None, Parameter(help="Average with the mirrored answer. Default: as published, EHGFormer alone.")
    ] = None,
    mode: Annotated[
        Literal["gt", "dt_ft"] | None, Parameter(help="LCN: true keypoints (default), or the finetuned detector's.")
    ] = None,
    procrustes: Annotated[bool, Parameter(negative="", help="LCN: protocol 2 as well.")] = False,
    per_joint: Annotated[
        bool, Parameter(negative="", help="LCN: a row for each joint instead of each action.")
    ] = False,
    static: Annotated[
        bool | None,
        Parameter(
            negative="--dynamic",
            help="EHGFormer: trained with root-relative labels, or with the root's path. Default: both.",
        ),
    ] = None,
    gt_2d: Annotated[bool, Parameter(name="--gt-2d", negative="", help="EHGFormer: keep the input's x and y.")] = False,
    options: LoadOptions = LoadOptions(),
    device: Device = "cpu",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The published protocol on Human3.6M in the published layout: the error beside the claim, with frames counted."""
    from poseworks.lifting.evaluate_command import Options, run_evaluate

    asked = Options(protocol, data, flip, mode, procrustes, per_joint, static, gt_2d, device)
    run_evaluate(model, options.given(), asked, json=json, quiet=quiet)


def build(
    *inputs: Annotated[Path, Parameter(name="INPUT", help="3D poses named s_09_act_05_subact_02_ca_01.npz.")],
    output: Output,
    synthetic: Annotated[
        bool, Parameter(negative="", help="People made up instead of INPUT, to try all with.")
    ] = False,
    camera: Annotated[Path | None, Parameter(help="JSON of fx, fy, cx, cy in pixels.")] = None,
    keypoints: Annotated[
        Path | None, Parameter(help="Folder of detected 2D poses under the same names. Default: true projections.")
    ] = None,
    frames: Annotated[int, Whole, Parameter(help="Frames of each synthetic recording.")] = 500,
    seed: Annotated[int, Whole, Parameter(help="Of the synthetic recordings.")] = 0,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Human3.6M's published layouts from 3D poses in camera axes, for `train` and `evaluate`.

    INPUT: one person each, 17 joints, frame camera, in m or mm; subjects 09 and 11 are the test split. Put OUTPUT into
    a folder that POSEWORKS_DATA names, as h36m.
    """
    from poseworks.lifting.build_command import run_build

    run_build(
        inputs, output, synthetic=synthetic, camera=camera, keypoints=keypoints, frames=frames, seed=seed,
        overwrite=overwrite, json=json, quiet=quiet,
    )  # fmt: skip
