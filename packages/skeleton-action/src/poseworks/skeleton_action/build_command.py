"""The verb `build`: files of poses and a table of labels as an annotation file, with a preview sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np

from poseworks.core.cli import make_table, print_result, progress, remark
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.files import atomic_path, refuse_existing
from poseworks.core.formats.reading import read_text
from poseworks.core.read_options import ReadOptions
from poseworks.core.skeletons import SKELETONS
from poseworks.skeleton_action.annotation import Annotation
from poseworks.skeleton_action.annotation_files import write_annotations
from poseworks.skeleton_action.build_options import BuildOptions
from poseworks.skeleton_action.building import Built, build_data_set
from poseworks.skeleton_action.label_names import DataSetName, label_names
from poseworks.skeleton_action.label_table import classes_of, read_label_table
from poseworks.skeleton_action.layouts import COCO_LAYOUT, JointLayout, layout_of
from poseworks.skeleton_action.preview import preview_sheet


def run_build(
    tracks: Path,
    labels: Path,
    output: Path,
    preview: Path | None,
    options: BuildOptions,
    reading: ReadOptions,
    *,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Writes the data set and its preview sheet, or nothing, and prints what they hold.

    Raises:
        PoseworksError: the table, a recording, an option or an output is at fault.
    """
    sheet = preview or output.with_suffix(".svg")
    if output.suffix.lower() not in (".pkl", ".pickle") or sheet.suffix.lower() != ".svg":
        raise ConfigError(f"{output}, {sheet}: expected names that end in .pkl and .svg, such as -o mine.pkl.")
    for path in (output, sheet):
        refuse_existing(path, overwrite)
    if not tracks.is_dir():
        raise DataError(f"{tracks}: expected the folder of the files of poses.")
    layout = _layout(options.joints)
    rows = read_label_table(labels)
    numbers, names = classes_of(rows, _class_names(options.classes))
    with progress(1.0, "build", quiet=quiet or json) as advance:
        built = build_data_set(
            tracks,
            rows,
            numbers,
            names,
            table=labels,
            read=reading.read,
            layout=layout,
            shares={"val": options.val, "test": options.test},
            rng=np.random.default_rng(abs(options.seed)),
            skip=options.skip,
            advance=advance,
        )
    examples: dict[str, Annotation] = {}
    for annotation in built.annotations:
        examples.setdefault(built.class_name(annotation.label or 0), annotation)
    page = preview_sheet(examples, built.balance(), layout, f"{output.name}: {len(built.annotations)} recordings")
    with atomic_path(sheet) as temporary:
        temporary.write_text(page, encoding="utf-8")
        wide = write_annotations(
            built.annotations,
            output,
            splits=built.splits,
            label_names=built.label_names,
            subjects=built.subjects,
            overwrite=overwrite,
        )
    _show(built, output, sheet, wide, json=json, quiet=quiet)


def _layout(joints: str) -> JointLayout:
    if joints not in SKELETONS:
        raise ConfigError(f"--joints {joints}: expected one of {', '.join(SKELETONS)}.")
    return COCO_LAYOUT if joints == COCO_LAYOUT.skeleton else layout_of(SKELETONS[joints])


def _class_names(classes: str | None) -> tuple[str, ...]:
    if classes is None:
        return ()
    if classes in get_args(DataSetName):
        return label_names(classes)
    names = tuple(line.strip() for line in read_text(Path(classes)).splitlines() if line.strip())
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"--classes {classes}: expected a name a line, each once.")
    return names


def _show(built: Built, output: Path, sheet: Path, wide: tuple[str, ...], *, json: bool, quiet: bool) -> None:
    """What was built, and everything that a reader has to know about it."""
    notes = list(built.notes)
    if wide:
        notes.append(
            f"keypoints of {len(wide)} recordings lie beyond 2048 px, where float16 is too coarse: written as float32"
        )
    frames = [annotation.num_frames for annotation in built.annotations]
    facts: dict[str, Any] = {
        "output": output,
        "preview": sheet,
        "recordings": len(built.annotations),
        "splits": {split: len(names) for split, names in built.splits.items()},
        "classes": built.balance(),
        "joints": built.annotations[0].num_joints,
        "people": max(annotation.num_people for annotation in built.annotations),
        "frames": {"fewest": min(frames), "median": float(np.median(frames)), "most": max(frames)},
        "left_out": built.left_out,
        "notes": notes,
    }
    for note in () if json else (*(f"left out: {fault}" for fault in built.left_out), *(f"note: {n}" for n in notes)):
        remark(note, quiet=quiet)
    table = [[name, *counts.values()] for name, counts in built.balance().items()]
    text: list[Any] = [
        f"{len(frames)} recordings -> {output}, {sheet}",
        make_table("", ["class", *built.splits], table),
    ]
    print_result(facts, json=json, text=text, quiet=quiet)
