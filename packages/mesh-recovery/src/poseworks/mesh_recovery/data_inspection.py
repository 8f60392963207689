"""What a data set, a body file or body motion is, as facts for `inspect`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from poseworks.core.body_models.files import read_body
from poseworks.core.body_models.motion_files import motion_file_facts, motion_format
from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.formats.reading import ZIP_MAGIC, npz_keys, read_head
from poseworks.core.formats.spin_npz import is_spin_npz


def data_facts(file: Path) -> dict[str, Any] | None:
    """Facts about a file that is neither poses nor a checkpoint; None: it is none of these.

    Raises:
        FormatError: it is one, but damaged.
        DataError: it cannot be read.
    """
    if file.suffix.lower() not in (".npz", ".pkl") or not file.is_file():
        return None
    found = motion_format(file)
    if found == "human_data":
        return {"file": file, **motion_file_facts(file), **_data_set_facts(file)}
    if found is not None:
        return {"file": file, **motion_file_facts(file)}
    keys = npz_keys(file) if read_head(file).startswith(ZIP_MAGIC) else ()
    if is_spin_npz(keys):
        return {"file": file, "what": "pictures with keypoints and SMPL parameters", **_data_set_facts(file)}
    return _body_facts(file) if "v_template" in keys or file.suffix.lower() == ".pkl" else None


def _data_set_facts(file: Path) -> dict[str, Any]:
    """As a network would be measured on it."""
    from poseworks.mesh_recovery.evaluation.data import choose_protocol, read_evaluation_data

    try:
        data = read_evaluation_data(file)
    except DataError as error:
        return {"cannot_be_measured_on": str(error)}
    try:
        protocol = choose_protocol(data).name
    except ConfigError:  # its name tells no data set
        protocol = None
    return {
        "layout": data.layout,
        "pictures": len(set(data.pictures)),
        "people": len(data),
        "first_picture": data.pictures[0],
        "boxes": data.boxes,
        "body": data.body,
        "with_parameters": int(data.has_body.sum()),
        "genders": None if data.gender is None else dict(Counter(data.gender)),
        "with_3d_joints": {name: int((each[..., 3] > 0).any(axis=1).sum()) for name, each in data.labels.items()},
        "measured_by": protocol,
    }


def _body_facts(file: Path) -> dict[str, Any] | None:
    """None: a pickle that holds no body may be a checkpoint."""
    try:
        body = read_body(file)
    except FormatError:
        if file.suffix.lower() == ".pkl":
            return None
        raise
    return {
        "file": file,
        "what": "body",
        "name": body.info.name,
        "gender": body.info.gender,
        "vertices": len(body.v_template),
        "triangles": len(body.faces),
        "betas": body.shapedirs.shape[2],
        "pose_directions": body.posedirs is not None,
        "licence": body.info.licence,
        "carries_over": body.info.carries_over,
    }
