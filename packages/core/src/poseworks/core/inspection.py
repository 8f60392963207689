"""What poses are, as facts for `inspect` and for the commands that write them."""

from __future__ import annotations

from typing import Any

from poseworks.core.poses import PoseSequence


def poses_facts(poses: PoseSequence) -> dict[str, Any]:
    """Sizes, units and how much was observed."""
    seen = poses.observed
    return {
        "people": poses.num_people,
        "person_ids": poses.person_ids,
        "frames": poses.num_frames,
        "joints": poses.num_joints,
        "dimensions": poses.num_dims,
        "skeleton": poses.skeleton,
        "joint_names": poses.joint_names,
        "fps": poses.fps,
        "seconds": poses.num_frames / poses.fps,
        "unit": poses.unit,
        "frame": poses.frame,
        "image_size": poses.image_size,
        "observed": float(seen.mean()) if seen.size else None,
        "history": poses.history,
    }
