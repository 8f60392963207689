"""Users' own body files: SMPL's official ones under any name, and the joint regressors that go with them.

Body (.pkl as published, v1.0 with 10 shape directions and v1.1 with 300; .npz with the same keys): `v_template`
(6890, 3), `shapedirs` (6890, 3, K), `posedirs` (6890, 3, 207), `J_regressor` (24, 6890), `weights` (6890, 24),
`kintree_table` (2, 24): parents, of which the root's is -1 or 4294967295, above joint numbers; `f` (13776, 3). In the
pickles some are objects of chumpy, and the regressor is sparse. Other keys are ignored.

Regressors (.npy): J_regressor_h36m (17, 6890), of which two files go round that differ in which leg comes first, and
two files named J_regressor_extra, of 9 and of 14 rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.data import EXTRA_NAMES, SMPL_EXTRA_VERTICES, SMPL_PARENTS, BodyData, BodyInfo, Gender
from poseworks.core.body_models.foreign_objects import FOREIGN, plain_array
from poseworks.core.body_models.free import free_body_of
from poseworks.core.body_models.regressors import JointRegressor
from poseworks.core.errors import ConfigError, DataError, FormatError
from poseworks.core.formats.reading import NPY_MAGIC, ZIP_MAGIC, array_header, npz_keys, read_head, read_npy, read_npz
from poseworks.core.skeletons import H36M_17, H36M_17_LEFT_FIRST
from poseworks.core.unpickling import restricted_load, restricted_loads

if TYPE_CHECKING:
    from poseworks.core.body_models.smpl import SMPL

Array = NDArray[Any]

VERTICES = 6890
WHERE_TO_GET = (
    "SMPL's files come from https://smpl.is.tue.mpg.de after registration: give the file or its folder. Without one, "
    "the free body comes with the package: free"
)
EXTRA_9_NAMES = (
    "right_hip_extra", "left_hip_extra", "neck_extra", "headtop", "pelvis_extra", "thorax_extra", "spine_extra",
    "jaw_extra", "head_extra",
)  # fmt: skip
"""Rows of the J_regressor_extra of 9; that of 14 has nose, eyes and ears before them."""

_KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
_GENDER_WORDS: Mapping[str, Gender] = {
    "neutral": "neutral", "n": "neutral", "female": "female", "f": "female", "male": "male", "m": "male"
}  # fmt: skip
# What other files beside the wanted ones hold, by keys that tell them.
_OTHER_FILES = (
    ({"pose", "shape", "cam"}, "mean parameters (smpl_mean_params.npz), from which HMR's head starts"),
    ({"A", "U", "D"}, "a mesh hierarchy (mesh_downsampling.npz), which networks with vertices take as mesh"),
    ({"means", "covars", "weights"}, "a pose prior (gmm_08.pkl)"),
    ({"poses", "betas", "trans"}, "motion of the AMASS kind"),
    ({"imgname", "center", "scale"}, "a data set in SPIN's layout"),
    ({"keypoints2d"}, "a HumanData data set"),
    ({"image_path"}, "a HumanData data set"),
    ({"hands_componentsl"}, "an SMPL-H or SMPL-X body, with hands"),
    ({"format", "body_pose"}, "a motion of poseworks"),
)
_OTHER_SIZES = {10475: "an SMPL-X body", 5023: "a FLAME head", 778: "a MANO hand", 431: "a down-sampled body"}


def find_body(folder: Path, gender: Gender = "neutral") -> Path:
    """The file of SMPL's body of this gender in a folder or in ``smpl`` below it.

    Raises:
        DataError: there is none, or there are several that differ in more than .pkl and .npz.
    """
    places = [place for place in (folder, folder / "smpl") if place.is_dir()]
    files = [file for place in places for file in sorted(place.iterdir()) if file.suffix.lower() in (".pkl", ".npz")]
    bodies = [file for file in files if re.match(r"(smpl|basic_?model)[_-]", file.name, re.IGNORECASE)]
    fitting = [file for file in bodies if gender_in_name(file.name) == gender]
    if len({file.with_suffix("") for file in fitting}) > 1:
        listed = ", ".join(file.name for file in fitting)
        raise DataError(f"{folder}: several {gender} bodies: {listed}. Name the file.")
    if not fitting:
        found = ", ".join(file.name for file in files[:6]) or "no .pkl and no .npz"
        raise DataError(
            f"{folder}: no {gender} body of SMPL here (found: {found}); expected a name such as "
            f"SMPL_{gender.upper()}.pkl. Name the file, if it was renamed. {WHERE_TO_GET}."
        )
    return fitting[0]


def gender_in_name(name: str) -> Gender | None:
    """Which gender a file's name states, as published and as renamed (SMPL_MALE, basicModel_f_lbs_...); None: none."""
    words = re.split(r"[^a-z]+", name.lower())
    found = {_GENDER_WORDS[word] for word in words if word in _GENDER_WORDS}
    return found.pop() if len(found) == 1 else None


def read_body(path: Path, gender: Gender | None = None) -> BodyData:
    """The body in a file.

    Args:
        path: of SMPL, .pkl or .npz under any name; or a copy of the free body.
        gender: of its shape space; None: as the name tells, neutral if it does not.

    Raises:
        FormatError: it holds something else; the message says what.
        ConfigError: the name states another gender.
        DataError: it cannot be read.
    """
    named = gender_in_name(path.name)
    if gender is not None and named is not None and gender != named:
        raise ConfigError(f"{path}: the name says {named}, expected {gender}. Give the file of the {gender} body.")
    if not path.exists():
        raise DataError(f"{path}: does not exist. {WHERE_TO_GET}.")
    head = read_head(path, 256)
    if head.startswith(NPY_MAGIC):
        raise FormatError(f"{path}: not a body, but {_what_array(path)}. {WHERE_TO_GET}.")
    if head.startswith(ZIP_MAGIC):
        keys = npz_keys(path)
        if {"extra_vertex_ids", "lod1_f"} <= set(keys):
            return free_body_of(read_npz(path), path.name)
        _refuse_others(path, keys)
        value: Any = read_npz(path, keys=_KEYS, objects=_objects)
    else:
        value = restricted_load(path, stand_ins=FOREIGN)
        if not isinstance(value, dict):
            raise FormatError(f"{path}: not a body, but a pickled {type(value).__name__}. {WHERE_TO_GET}.")
        _refuse_others(path, value)
    missing = [key for key in _KEYS if key not in value]
    if missing:
        found = ", ".join(map(str, list(value)[:12])) or "nothing"
        raise FormatError(f"{path}: not a body: misses {', '.join(missing)}; has {found}. {WHERE_TO_GET}.")
    try:
        arrays = {key: plain_array(value[key], key) for key in _KEYS}
        _check(arrays)
        return BodyData(
            v_template=arrays["v_template"],
            shapedirs=arrays["shapedirs"],
            posedirs=arrays["posedirs"],
            J_regressor=arrays["J_regressor"],
            weights=arrays["weights"],
            faces=arrays["f"],
            extra_vertices=SMPL_EXTRA_VERTICES,
            info=BodyInfo("smpl", gender or named or "neutral", path.name, "SMPL body model licence: not commercial"),
        )
    except FormatError as error:
        raise FormatError(f"{path}: {str(error).removesuffix('.').removeprefix(f'{path.name}: ')}.") from error


def read_h36m_regressor(path: Path, body: BodyData | SMPL) -> JointRegressor:
    """Human3.6M's 17 joints from SMPL's vertices, with the legs named as they are.

    Which leg comes first is told by the side on which the joints of `body` at rest lie: rows 1 to 3 are the left leg in
    the file of SPIN, GraphCMR and the toolbox, and the right one in Graphormer's J_regressor_h36m_correct.npy.

    Args:
        path: .npy of (17, 6890).
        body: whose vertices they are.

    Raises:
        FormatError: another size, or rows 1 to 3 and 4 to 6 are not the two legs of this body.
        DataError: the file cannot be read.
    """
    matrix = _regressor(path, 17, "J_regressor_h36m.npy")
    x = (matrix @ np.asarray(body.v_template))[:7, 0]
    apart = x[1:4] - x[4:7]
    if abs(np.sign(apart).sum()) != 3 or np.abs(apart).min() < 0.01:
        raise FormatError(
            f"{path}: rows 1 to 3 and 4 to 6 are not the legs of {body.info.source}: hips, knees and ankles do not lie "
            "on opposite sides. Give the regressor that belongs to this body."
        )
    order = H36M_17_LEFT_FIRST if apart[0] > 0 else H36M_17
    return JointRegressor(matrix, order.joint_names)


def read_extra_regressor(path: Path, rows: Literal[9, 14]) -> JointRegressor:
    """The further joints that J_regressor_extra.npy gives, of which two files have this name.

    Args:
        path: .npy of (rows, 6890).
        rows: 9 for HMR, SPIN and PARE (54 joints with SMPL's 45), 14 for GraphCMR and Graphormer (38 with its 24).

    Raises:
        FormatError: it is the other file, or another size.
        DataError: it cannot be read.
    """
    matrix = _regressor(path, rows, f"the J_regressor_extra.npy of {_OWNERS[rows]}")
    return JointRegressor(matrix, EXTRA_9_NAMES if rows == 9 else (*EXTRA_NAMES[:5], *EXTRA_9_NAMES))


_OWNERS = {9: "SPIN and the toolbox, 9 rows", 14: "GraphCMR and Graphormer, 14 rows"}


def _regressor(path: Path, rows: int, wanted: str) -> NDArray[np.float32]:
    """(rows, 6890) of an npy file."""
    matrix = read_npy(path)
    if matrix.shape != (rows, VERTICES) or matrix.dtype.kind != "f":
        raise FormatError(f"{path}: expected {wanted}: ({rows}, {VERTICES}) numbers; it is {_what_array(path)}.")
    if not np.isfinite(matrix).all() or abs(matrix.sum(1) - 1).max() > 1e-2:
        raise FormatError(f"{path}: the weights of a row must sum to 1; damaged, or not a joint regressor.")
    return matrix.astype(np.float32)


def _what_array(path: Path) -> str:
    """What an npy file is, for a message."""
    try:
        shape, _, dtype, _ = array_header(read_head(path))
    except FormatError:
        return "a damaged npy file"
    known: dict[tuple[int, ...], str] = {
        (9, VERTICES): f"the J_regressor_extra.npy of {_OWNERS[9]}",
        (14, VERTICES): f"the J_regressor_extra.npy of {_OWNERS[14]}",
        (17, VERTICES): "a regressor of Human3.6M's joints, 17 rows",
    }
    return known.get(shape, f"an array {shape} of {dtype}")


def _refuse_others(path: Path, keys: Iterable[Any]) -> None:
    """Nothing, unless the keys tell a file of another kind that comes with body models."""
    found = {key for key in keys if isinstance(key, str)}
    if "v_template" in found and "hands_componentsl" not in found:
        return
    for tell, what in _OTHER_FILES:
        if tell <= found:
            hint = "Bodies with hands are used through the extra smplx. " if "hands" in what else ""
            raise FormatError(f"{path}: not a body of SMPL, but {what}. {hint}{WHERE_TO_GET}.")


def _check(arrays: Mapping[str, Array]) -> None:
    """Nothing, unless sizes or joint tree are not SMPL's; the rest is checked by `BodyData`."""
    vertices = arrays["v_template"].shape[:1]
    if vertices != (VERTICES,):
        what = _OTHER_SIZES.get(vertices[0] if vertices else 0, f"a mesh of {vertices} vertices")
        raise FormatError(f"not a body of SMPL: it has {VERTICES} vertices; this is {what}")
    tree = arrays["kintree_table"]
    parents = tree[0].astype(np.int64) if tree.ndim == 2 and tree.dtype.kind in "iu" and len(tree) else np.zeros(0)
    parents = np.where(parents == 2**32 - 1, -1, parents)
    if parents.tolist() != list(SMPL_PARENTS):
        raise FormatError(
            f"kintree_table: expected SMPL's 24 joints, got {tree.shape} with parents {parents[:8].tolist()}"
        )


def _objects(data: memoryview) -> Array:
    """An array of objects in an npz: one sparse matrix or one foreign array."""
    value = restricted_loads(data, stand_ins=FOREIGN)
    if isinstance(value, np.ndarray) and value.dtype.hasobject and value.size == 1:
        value = value.item()
    return plain_array(value, "an array of objects")
