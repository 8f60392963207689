"""glTF: checked against the standard's rules by a validator of its own, and played back joint by joint."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from poseworks.core.body_models import SMPL, BodyMotion, load_body
from poseworks.core.errors import ConfigError, DataError
from poseworks.core.formats.gltf import strongest, vertex_normals, write_gltf
from poseworks.core.testing_bodies import random_motion, synthetic_body

Array = NDArray[Any]

COMPONENTS = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
SIZES = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
OUTPUTS = {"translation": "VEC3", "scale": "VEC3", "rotation": "VEC4"}


@pytest.fixture(scope="module")
def free() -> SMPL:
    return load_body("free")


class Gltf:
    """A .glb taken apart; building it checks the rules of the standard (2.0) that apply to such a file."""

    def __init__(self, data: bytes) -> None:
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        assert size % 4 == 0
        self.json: dict[str, Any] = json.loads(data[20 : 20 + size])
        binary_size, kind = struct.unpack_from("<I4s", data, 20 + size)
        assert kind == b"BIN\0"
        assert binary_size % 4 == 0
        assert 28 + size + binary_size == len(data)
        self.binary = data[28 + size :]
        assert self.json["asset"]["version"] == "2.0"
        (buffer,) = self.json["buffers"]
        assert 0 <= len(self.binary) - buffer["byteLength"] <= 3
        assert "uri" not in buffer
        self.check_tree()
        self.arrays = [self.array(accessor) for accessor in self.json["accessors"]]
        for skin in self.json["skins"]:
            self.check_skin(skin)
        for mesh in self.json["meshes"]:
            self.check_mesh(mesh)
        for animation in self.json["animations"]:
            self.check_animation(animation)

    def array(self, accessor: dict[str, Any]) -> Array:
        view = self.json["bufferViews"][accessor["bufferView"]]
        dtype, width = np.dtype(COMPONENTS[accessor["componentType"]]), SIZES[accessor["type"]]
        start = view["byteOffset"]
        assert view["buffer"] == 0
        assert start % 4 == 0
        assert start + view["byteLength"] <= self.json["buffers"][0]["byteLength"]
        assert accessor["count"] >= 1
        assert accessor["count"] * width * dtype.itemsize == view["byteLength"]
        array = np.frombuffer(self.binary, dtype, accessor["count"] * width, start).reshape(-1, width)
        if dtype.kind == "f":
            assert np.isfinite(array).all()
        if "min" in accessor:
            np.testing.assert_array_equal(np.float32(accessor["min"]), array.min(0))
            np.testing.assert_array_equal(np.float32(accessor["max"]), array.max(0))
        return array

    def check_tree(self) -> None:
        """Every node has one parent at most; the scene holds roots alone; no cycle."""
        nodes = self.json["nodes"]
        children = [child for node in nodes for child in node.get("children", ())]
        assert len(set(children)) == len(children)
        assert all(0 <= child < len(nodes) for child in children)
        (scene,) = self.json["scenes"]
        assert sorted([*children, *scene["nodes"]]) == list(range(len(nodes)))
        assert all(child > number for number, node in enumerate(nodes) for child in node.get("children", ()))
        for node in nodes:
            assert ("skin" in node) == ("mesh" in node)
            assert node.get("children") != []

    def check_skin(self, skin: dict[str, Any]) -> None:
        joints = skin["joints"]
        assert len(set(joints)) == len(joints)
        matrices = self.arrays[skin["inverseBindMatrices"]]
        assert matrices.shape == (len(joints), 16)
        np.testing.assert_array_equal(matrices[:, [3, 7, 11, 15]], [[0, 0, 0, 1]] * len(joints))  # the last row
        below = {skin["skeleton"]}
        for number, node in enumerate(self.json["nodes"]):
            below |= set(node.get("children", ())) if number in below else set()
        assert set(joints) <= below

    def check_mesh(self, mesh: dict[str, Any]) -> None:
        (primitive,) = mesh["primitives"]
        at = primitive["attributes"]
        counts = {len(self.arrays[number]) for number in at.values()}
        assert len(counts) == 1
        assert "min" in self.json["accessors"][at["POSITION"]]
        (count,) = counts
        views, accessors = self.json["bufferViews"], self.json["accessors"]
        assert {views[accessors[number]["bufferView"]]["target"] for number in at.values()} == {34962}
        indices = self.arrays[primitive["indices"]]
        assert indices.dtype.kind == "u"
        assert indices.max() < count
        assert len(indices) % 3 == 0
        assert indices.max() < np.iinfo(indices.dtype).max
        assert views[accessors[primitive["indices"]]["bufferView"]]["target"] == 34963
        np.testing.assert_allclose(np.linalg.norm(self.arrays[at["NORMAL"]], axis=1), 1, atol=5e-4)
        joints, weights = self.arrays[at["JOINTS_0"]], self.arrays[at["WEIGHTS_0"]]
        assert joints.dtype == np.uint8
        assert joints.max() < 24
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(1), 1, atol=8e-7)
        assert (joints[weights == 0] == 0).all()
        assert primitive["material"] < len(self.json["materials"])

    def check_animation(self, animation: dict[str, Any]) -> None:
        targets = [(c["target"]["node"], c["target"]["path"]) for c in animation["channels"]]
        assert len(set(targets)) == len(targets)
        for channel, (node, path) in zip(animation["channels"], targets, strict=True):
            sampler = animation["samplers"][channel["sampler"]]
            times, values = self.arrays[sampler["input"]], self.arrays[sampler["output"]]
            assert "matrix" not in self.json["nodes"][node]
            assert sampler["interpolation"] in ("LINEAR", "STEP")
            assert times.dtype == np.float32
            assert times.min() >= 0
            assert (np.diff(times[:, 0]) > 0).all()
            assert {"min", "max"} <= set(self.json["accessors"][sampler["input"]])
            assert len(times) == len(values)
            assert self.json["accessors"][sampler["output"]]["type"] == OUTPUTS[path]
            if path == "rotation":
                np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-6)

    def value(self, node: int, path: str, second: float) -> Array:
        """What a property of a node is at a time."""
        default = {"translation": (0, 0, 0), "rotation": (0, 0, 0, 1), "scale": (1, 1, 1)}[path]
        for animation in self.json["animations"]:
            for channel in animation["channels"]:
                if channel["target"] == {"node": node, "path": path}:
                    sampler = animation["samplers"][channel["sampler"]]
                    times, values = self.arrays[sampler["input"]][:, 0], self.arrays[sampler["output"]]
                    if sampler["interpolation"] == "STEP":
                        return np.asarray(values[max(0, int(np.searchsorted(times, second, side="right")) - 1)])
                    after = min(int(np.searchsorted(times, second)), len(times) - 1)
                    before = max(after - 1, 0)
                    gap = times[after] - times[before]
                    share = np.clip((second - times[before]) / gap, 0, 1) if gap else 1.0
                    mixed = (1 - share) * values[before].astype(float) + share * values[after]
                    return np.asarray(mixed / np.linalg.norm(mixed) if path == "rotation" else mixed)
        return np.array(self.json["nodes"][node].get(path, default), dtype=float)

    def globals_at(self, second: float) -> Array:
        """(N, 4, 4) of every node; parents stand before their children."""
        nodes = self.json["nodes"]
        result = np.tile(np.eye(4), (len(nodes), 1, 1))
        for number, node in enumerate(nodes):
            x, y, z, w = self.value(number, "rotation", second)
            turn = np.array(
                [
                    [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                    [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                    [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
                ]
            )
            local = np.eye(4)
            local[:3, :3] = turn * self.value(number, "scale", second)
            local[:3, 3] = self.value(number, "translation", second)
            result[number] = result[number] @ local
            for child in node.get("children", ()):
                result[child] = result[number]
        return result

    def vertices_at(self, skin_node: int, second: float) -> Array:
        """(V, 3) of a skinned mesh."""
        node = self.json["nodes"][skin_node]
        skin = self.json["skins"][node["skin"]]
        at = self.json["meshes"][node["mesh"]]["primitives"][0]["attributes"]
        inverse = self.arrays[skin["inverseBindMatrices"]].reshape(-1, 4, 4).swapaxes(1, 2)
        matrices = self.globals_at(second)[skin["joints"]] @ inverse
        joints, weights = self.arrays[at["JOINTS_0"]], self.arrays[at["WEIGHTS_0"]]
        blended = np.einsum("vk,vkab->vab", weights, matrices[joints])
        positions = self.arrays[at["POSITION"]]
        return np.asarray(np.einsum("vab,vb->va", blended[:, :3, :3], positions) + blended[:, :3, 3])


def moved(motion: BodyMotion, points: Array, up: str, per_metre: float) -> Array:
    """Points of the motion's frame in the file's axes and unit, written out."""
    x, y, z = np.moveaxis(points, -1, 0)
    if motion.frame == "camera":
        y, z = -y, -z
    return per_metre * (np.stack((x, y, z), -1) if up == "y" else np.stack((x, -z, y), -1))


def seconds_of(motion: BodyMotion) -> list[float]:
    """Of each frame, as the file holds them."""
    return list((motion.seconds - motion.seconds[0]).astype(np.float32).tolist())


@pytest.mark.parametrize(
    ("frame", "up", "unit", "per_metre"),
    [("camera", "y", "m", 1), ("world", "z", "cm", 100), ("camera", "z", "mm", 1000)],
)
def test_played_back_it_is_the_body_in_every_frame(
    tmp_path: Path, free: SMPL, frame: Any, up: Any, unit: Any, per_metre: float
) -> None:
    motion = random_motion(frame=frame, people=2, gaps=True)
    write_gltf(motion, free, tmp_path / "body.glb", up=up, unit=unit)
    gltf = Gltf((tmp_path / "body.glb").read_bytes())
    names = [node["name"] for node in gltf.json["nodes"]]
    with torch.no_grad():
        posed = free(*(torch.from_numpy(x) for x in (motion.betas[:, None], motion.pose, motion.transl)))
    for person in range(2):
        ids = [names.index(f"person_{7 * person + 2}_{name}") for name in free.joint_names[:24]]
        for t, second in enumerate(seconds_of(motion)):
            found = gltf.globals_at(second)[ids]
            if not motion.present[person, t]:
                assert not found[:, :3, :3].any()  # hidden
                continue
            expected = moved(motion, posed.joints[person, t, :24].numpy(), up, per_metre)
            np.testing.assert_allclose(found[:, :3, 3], expected, atol=1e-4 * per_metre)
        skin_node = names.index(f"person_{7 * person + 2}_body")
        expected = moved(motion, posed.vertices[person, 1].numpy(), up, per_metre)
        vertices = gltf.vertices_at(skin_node, seconds_of(motion)[1])
        np.testing.assert_allclose(vertices, expected, atol=1e-4 * per_metre)
    assert gltf.json["asset"]["copyright"] == "Apache-2.0"
    assert gltf.json["asset"]["extras"]["body"] == "free"


def test_at_rest_the_body_stands_upright_in_the_files_axes(tmp_path: Path, free: SMPL) -> None:
    motion = random_motion(people=1)
    write_gltf(motion, free, tmp_path / "body.glb", up="z")
    gltf = Gltf((tmp_path / "body.glb").read_bytes())
    assert gltf.json["nodes"][0]["name"] == "upper_pelvis"  # one person alone: names without a prefix
    gltf.json["animations"] = []
    vertices = gltf.vertices_at(24, 0.0)
    rest = free.rest_vertices(torch.from_numpy(motion.betas[0])).numpy()
    np.testing.assert_allclose(vertices, np.stack((rest[:, 0], -rest[:, 2], rest[:, 1]), 1), atol=1e-6)


def test_half_way_between_frames_the_shorter_arc_is_taken(tmp_path: Path, free: SMPL) -> None:
    orient = np.array([[[0, 3.1, 0], [0, -3.1, 0]]])  # 0.083 rad apart, across pi
    still = random_motion(2).replace(global_orient=orient, fps=10)
    write_gltf(still, free, tmp_path / "body.glb")
    gltf = Gltf((tmp_path / "body.glb").read_bytes())
    np.testing.assert_allclose(gltf.globals_at(0.05)[0, :3, :3], np.diag([-1, 1, -1]), atol=1e-6)


def test_a_body_with_pose_directions_keeps_its_joints(tmp_path: Path) -> None:
    body = SMPL(synthetic_body())
    motion = random_motion().replace(body="smpl")
    write_gltf(motion, body, tmp_path / "body.glb")
    gltf = Gltf((tmp_path / "body.glb").read_bytes())
    joints = body.joints(*(torch.from_numpy(x[0]) for x in (motion.betas[:, None], motion.pose, motion.transl)))
    for t, second in enumerate(seconds_of(motion)):
        np.testing.assert_allclose(gltf.globals_at(second)[:24, :3, 3], joints[t, :24].numpy(), atol=1e-4)
    assert "copyright" not in gltf.json["asset"]


def test_weights_kept_are_the_largest_and_sum_to_one() -> None:
    weights = np.zeros((2, 24))
    weights[0, [3, 5, 7, 9, 11]] = 0.3, 0.1, 0.2, 0.05, 0.35
    weights[1, 8] = 1
    joints, kept = strongest(weights)
    assert joints.tolist() == [[11, 3, 7, 5], [8, 0, 0, 0]]
    np.testing.assert_allclose(kept, np.array([[0.35, 0.3, 0.2, 0.1], [1, 0, 0, 0]]) / [[0.95], [1]])


def test_normals_of_a_cube_point_outwards(free: SMPL) -> None:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d), (a, b, d), (b, c, d))])
    normals = vertex_normals(np.vstack((corners, [[9, 9, 9]])), faces)
    np.testing.assert_allclose(normals[:8], corners / np.sqrt(3), atol=1e-12)
    assert normals[8].tolist() == [0, 1, 0]  # in no triangle


def test_what_cannot_be_written_is_said(tmp_path: Path, free: SMPL) -> None:
    motion = random_motion()
    path = tmp_path / "body.glb"
    with pytest.raises(ConfigError, match="of the free body, got smpl"):
        write_gltf(motion, SMPL(synthetic_body()), path)
    with pytest.raises(ConfigError, match="has 12 betas, the body was loaded with 10"):
        write_gltf(motion.replace(betas=np.zeros((1, 12))), free, path)
    with pytest.raises(ConfigError, match="up: expected one of y, z, got 'x'"):
        write_gltf(motion, free, path, up="x")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="seconds as float32"):
        write_gltf(motion.replace(times=np.array([0, *(1e6 + 1e-3 * np.arange(motion.num_frames - 1))])), free, path)
    gone = {name: np.full_like(getattr(motion, name), np.nan) for name in ("global_orient", "body_pose", "transl")}
    with pytest.raises(DataError, match="nobody is there in any of its"):
        write_gltf(motion.replace(**gone), free, path)
    assert not path.exists()
    path.write_bytes(b"old")
    with pytest.raises(ConfigError, match="exists"):
        write_gltf(motion, free, path)
    write_gltf(motion, free, path, overwrite=True)
    assert path.read_bytes()[:4] == b"glTF"
