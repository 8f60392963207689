"""Bodies as text that a page can hold: a mesh for all of them, its shape for each person, and poses.

The page turns the joints and moves the skin itself, so a frame takes 108 bytes a person. Faces, skin and shapes are
those of the free body's middle level, the first 1723 vertices, which no licence forbids to pass on.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseworks.core.body_models.data import SMPL_PARENTS
from poseworks.core.body_models.free import free_body
from poseworks.core.body_models.motion import BodyMotion
from poseworks.core.report.embed import Blob, base64_of, embed_numbers
from poseworks.core.report.types import ReportBody
from poseworks.core.skeletons import SMPL_24

INFLUENCES = 4  # joints a vertex


def embed_bodies(bodies: tuple[ReportBody, ...], exact: bool) -> tuple[dict[str, Any], list[Blob]]:
    """The mesh and what describes each body, and their numbers as text; nothing where there are no bodies.

    Args:
        bodies: of the report.
        exact: poses in float32; otherwise rounded to int16.
    """
    if not bodies:
        return {"mesh": None, "bodies": []}, []
    mesh, blobs = _embed_mesh()
    described = []
    for number, body in enumerate(bodies):
        facts, texts = _embed_body(body, number, exact)
        described.append(facts)
        blobs += texts
    return {"mesh": mesh, "bodies": described}, blobs


@cache
def _surface() -> tuple[int, NDArray[np.int64], NDArray[np.float64]]:
    """(V, joints (V, 4), weights (V, 4)) of the mesh on show; a row's weights sum to 1."""
    body = free_body()
    size = int(body.lower_faces[0].max()) + 1
    weights = body.weights[:size].astype(np.float64)
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    kept = np.take_along_axis(weights, joints, axis=1)
    return size, joints, kept / kept.sum(axis=1, keepdims=True)


def _embed_mesh() -> tuple[dict[str, Any], list[Blob]]:
    """What all bodies share; the coarse faces are on the first vertices of the same mesh, for shadows."""
    faces, coarse = free_body().lower_faces
    size, joints, weights = _surface()
    facts = {
        "vertices": size,
        "parents": list(SMPL_PARENTS),
        "faces": "mesh-faces",
        "coarse": "mesh-coarse",
        "skinJoints": "mesh-joints",
        "skinWeights": "mesh-weights",
    }
    blobs = [
        Blob("mesh-faces", base64_of(faces.astype("<u2"))),
        Blob("mesh-coarse", base64_of(coarse.astype("<u2"))),
        Blob("mesh-joints", base64_of(joints.astype("u1"))),
        Blob("mesh-weights", base64_of(np.rint(weights * 65535).astype("<u2"))),
    ]
    return facts, blobs


def rest_shapes(motion: BodyMotion) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(vertices (P, V, 3) of the mesh on show, joints (P, 24, 3)) in T-pose; of SMPL's body the free one's mean shape.

    More betas than the free body has shape directions mean nothing on it either, and are left out.
    """
    body = free_body()
    size, *_ = _surface()
    betas = motion.betas[:, : body.shapedirs.shape[2]].astype(np.float64)
    if motion.body != "free":
        betas = np.zeros_like(betas)
    shaped = body.v_template + np.einsum("vck,pk->pvc", body.shapedirs[..., : betas.shape[1]], betas)
    joints = np.einsum("jv,pvc->pjc", body.J_regressor.astype(np.float64), shaped)
    return shaped[:, :size], joints


def _embed_body(body: ReportBody, number: int, exact: bool) -> tuple[dict[str, Any], list[Blob]]:
    motion = body.motion
    vertices, joints = rest_shapes(motion)
    numbers, blobs = {}, []
    for name, array, as_it_is in (
        ("pose", motion.pose, exact),
        ("transl", motion.transl, exact),
        ("rest", vertices.astype(np.float32), False),
        ("restJoints", joints.astype(np.float32), True),
    ):
        numbers[name], blob = embed_numbers(array, f"{name}-{number}", exact=as_it_is)
        blobs.append(blob)
    facts: dict[str, Any] = {
        "label": body.label,
        "colour": body.colour,
        "bold": True,
        "shape": [motion.num_people, motion.num_frames, SMPL_24.num_joints, 3],
        "joints": list(SMPL_24.joint_names),
        "bones": [list(bone) for bone in SMPL_24.bone_indices],
        "fps": motion.fps,
        "unit": "m",
        "frame": motion.frame,
        "skeleton": "free body"
        if motion.body == "free"
        else f"{motion.body} body, shown on the free body's mean shape",
        "imageSize": list(motion.image_size) if motion.image_size else None,
        "people": [int(p) for p in motion.person_ids] if motion.person_ids is not None else None,
        "focal": motion.focal,
        **numbers,
    }
    if motion.times is not None:
        facts["times"] = f"body-times-{number}"
        blobs.append(Blob(f"body-times-{number}", base64_of(motion.times.astype("<f8"))))
    return facts, blobs
