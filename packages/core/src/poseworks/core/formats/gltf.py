"""glTF 2.0, binary (.glb): people as skinned meshes on animated skeletons. Written alone.

For each person who is there at some time: a mesh at rest with normals, four joints and weights a vertex; a skin of 24
joints, named as ours; one animation that turns every joint and moves the root, linear between the frames. Where a
person is not there, the root's scale is 0, which is the format's way of hiding; no pose is stored for such frames.
Seconds count from the first frame.

The standard says metres and y up; another unit or axis is for programs that read the numbers as they stand. A camera
counts as level. Pose-dependent shape (`posedirs`) is not in the file: skin slides a little where a body has it. Names
of several people begin with ``person_N_``. `asset.extras` says body, gender, betas and history; `asset.copyright` whose
mesh it is.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.body_models.rigs import Axes, LengthUnit, Rig, UpAxis, people_there, person_name, rig
from poseworks.core.body_models.smpl import SMPL
from poseworks.core.errors import DataError
from poseworks.core.files import atomic_path, refuse_existing
from poseworks.core.rotations import matrix_to_quaternion

MAGIC, VERSION = b"glTF", 2
INFLUENCES = 4  # joints a vertex
_COMPONENTS = {"f4": 5126, "u4": 5125, "u2": 5123, "u1": 5121}
_TYPES: dict[tuple[int, ...], str] = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_VERTICES, _INDICES = 34962, 34963  # what a part of the buffer is for
_COLOURS = ((0.55, 0.62, 0.72), (0.80, 0.58, 0.42), (0.50, 0.68, 0.50), (0.72, 0.55, 0.70))


def write_gltf(
    motion: BodyMotion,
    body: SMPL,
    path: str | os.PathLike[str],
    *,
    up: UpAxis = "y",
    unit: LengthUnit = "m",
    overwrite: bool = False,
) -> None:
    """Writes all people of a motion as a .glb; it appears whole or not at all.

    Args:
        motion: whose numbers are about `body`.
        body: mesh, joints and weights.
        path: of the file.
        up: axis that points up.
        unit: of lengths.
        overwrite: replace what is there.

    Raises:
        ConfigError: the file exists, `body` is another one, or an option is unknown.
        DataError: nobody is there in any frame, frames are closer than float32 seconds can tell, or it cannot be
            written.
    """
    refuse_existing(path, overwrite)
    axes = Axes(up, unit)
    rows = people_there(motion)
    seconds = (motion.seconds - motion.seconds[0]).astype(np.float32)
    if (np.diff(seconds) <= 0).any():
        raise DataError("times: glTF holds seconds as float32, in which frames of this motion coincide. Cut the clip.")
    document = _Document(body)
    for row in rows:
        person = rig(motion, body, row, axes)
        document.add_person(person, seconds, f"{person_name(motion, row)}_" if len(rows) > 1 else "")
    extras = {
        "body": motion.body,
        "gender": motion.gender,
        "betas": motion.betas[rows].tolist(),
        "history": [dict(entry) for entry in motion.history],
    }
    data = document.glb(extras)
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(data)


class _Document:
    """A glTF document that grows: a JSON object and one buffer."""

    def __init__(self, body: SMPL) -> None:
        self.licence = body.info.licence
        self.buffer = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self.nodes: list[dict[str, Any]] = []
        self.meshes: list[dict[str, Any]] = []
        self.materials: list[dict[str, Any]] = []
        self.skins: list[dict[str, Any]] = []
        self.samplers: list[dict[str, Any]] = []
        self.channels: list[dict[str, Any]] = []
        self.roots: list[int] = []
        self.faces = body.faces.cpu().numpy()
        joints, weights = strongest(body.surface.weights.double().cpu().numpy())
        index = "u2" if len(weights) <= 0xFFFF else "u4"  # the largest number of a type may not occur
        self.indices = self.add(self.faces.reshape(-1).astype(index), target=_INDICES)
        self.joints = self.add(joints.astype("u1"), target=_VERTICES)
        self.weights = self.add(weights.astype("f4"), target=_VERTICES)

    def add(self, array: NDArray[Any], *, target: int | None = None, bounds: bool = False) -> int:
        """Number of a new accessor of an array whose first axis counts elements."""
        self.buffer.extend(bytes(-len(self.buffer) % 4))
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.buffer), "byteLength": array.nbytes}
        if target is not None:
            view["target"] = target
        self.buffer.extend(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
        accessor: dict[str, Any] = {
            "bufferView": len(self.views),
            "componentType": _COMPONENTS[array.dtype.str[1:]],
            "count": len(array),
            "type": _TYPES[array.shape[1:]],
        }
        if bounds:
            flat = array.reshape(len(array), -1)
            accessor |= {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
        self.views.append(view)
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def add_person(self, person: Rig, seconds: NDArray[np.float32], prefix: str) -> None:
        """Skeleton, mesh, skin and animation of one person."""
        first = len(self.nodes)
        for joint, name in enumerate(person.joint_names):
            node: dict[str, Any] = {"name": prefix + name, "translation": person.offsets[joint].tolist()}
            children = person.children(joint)
            if children:
                node["children"] = [first + child for child in children]
            self.nodes.append(node)
        self.roots.append(first)
        self._add_mesh(person, first, prefix)
        self._animate(person, seconds, first)

    def _add_mesh(self, person: Rig, first: int, prefix: str) -> None:
        inverse_bind = np.tile(np.eye(4), (len(person.rest), 1, 1))
        inverse_bind[:, 3, :3] = -person.rest  # transposed: matrices are stored column by column
        joints = list(range(first, first + len(person.rest)))
        self.skins.append(
            {
                "joints": joints,
                "skeleton": first,
                "inverseBindMatrices": self.add(inverse_bind.astype("f4")),
            }
        )
        colour = [*_COLOURS[len(self.materials) % len(_COLOURS)], 1.0]
        self.materials.append(
            {"pbrMetallicRoughness": {"baseColorFactor": colour, "metallicFactor": 0.0, "roughnessFactor": 0.8}}
        )
        attributes = {
            "POSITION": self.add(person.vertices.astype("f4"), target=_VERTICES, bounds=True),
            "NORMAL": self.add(vertex_normals(person.vertices, self.faces).astype("f4"), target=_VERTICES),
            "JOINTS_0": self.joints,
            "WEIGHTS_0": self.weights,
        }
        primitive = {"attributes": attributes, "indices": self.indices, "material": len(self.materials) - 1}
        self.meshes.append({"name": f"{prefix}body", "primitives": [primitive]})
        self.nodes.append(
            {"name": f"{prefix}body", "mesh": len(self.meshes) - 1, "skin": len(self.skins) - 1}
        )  # beside the skeleton: transforms of a skinned mesh's own parents mean nothing
        self.roots.append(len(self.nodes) - 1)

    def _animate(self, person: Rig, seconds: NDArray[np.float32], first: int) -> None:
        there = person.present
        at = self.add(seconds[there], bounds=True)
        quaternions = _continuous(matrix_to_quaternion(torch.from_numpy(person.rotations[there])).numpy())
        for joint in range(len(person.rest)):
            xyzw = np.roll(quaternions[:, joint], -1, axis=-1)
            self._add_channel(first + joint, "rotation", at, self.add(xyzw.astype("f4")))
        self._add_channel(first, "translation", at, self.add(person.root[there].astype("f4")))
        if not there.all():
            changes = np.flatnonzero(np.concatenate(([True], there[1:] != there[:-1])))
            scale = np.repeat(there[changes, None], 3, axis=1).astype("f4")
            self._add_channel(first, "scale", self.add(seconds[changes], bounds=True), self.add(scale), "STEP")

    def _add_channel(self, node: int, path: str, times: int, values: int, interpolation: str = "LINEAR") -> None:
        self.channels.append({"sampler": len(self.samplers), "target": {"node": node, "path": path}})
        self.samplers.append({"input": times, "output": values, "interpolation": interpolation})

    def glb(self, extras: dict[str, Any]) -> bytes:
        """The file."""
        content = {
            "asset": {
                "version": "2.0",
                "generator": "poseworks",
                **({"copyright": self.licence} if self.licence else {}),
                "extras": extras,
            },
            "scene": 0,
            "scenes": [{"nodes": self.roots}],
            "nodes": self.nodes,
            "meshes": self.meshes,
            "materials": self.materials,
            "skins": self.skins,
            "animations": [{"name": "motion", "channels": self.channels, "samplers": self.samplers}],
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": len(self.buffer)}],
        }
        text = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        binary = bytes(self.buffer) + bytes(-len(self.buffer) % 4)
        total = 12 + 8 + len(text) + 8 + len(binary)
        if total >= 1 << 32:
            raise DataError(f"glTF: {total} bytes, more than a .glb can hold. Cut the clip, or write fewer people.")
        head = struct.pack("<4sII", MAGIC, VERSION, total)
        return b"".join(
            (head, struct.pack("<I4s", len(text), b"JSON"), text, struct.pack("<I4s", len(binary), b"BIN\0"), binary)
        )


def strongest(weights: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(V, 4) joints of the largest of (V, 24) weights, and these weights, which sum to 1; joint 0 where one is 0."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    kept = np.take_along_axis(weights, joints, axis=1)
    return np.where(kept > 0, joints, 0), kept / kept.sum(axis=1, keepdims=True)


def vertex_normals(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """(V, 3) unit normals: of the triangles around each vertex, weighted by area; +y where there are none."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], np.cross(b - a, c - a))
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1), (0.0, 1.0, 0.0))


def _continuous(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same rotations (T, J, 4), each with the sign that is nearer to the one before."""
    flips = np.sign((quaternions[1:] * quaternions[:-1]).sum(-1))
    signs = np.cumprod(np.concatenate((np.ones_like(quaternions[:1, :, 0]), np.where(flips < 0, -1.0, 1.0))), axis=0)
    return quaternions * signs[..., None]
