"""Streams: the offline result with the same look-ahead, frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from poseworks.core import COCO_17, H36M_17, PoseSequence, SkeletonError, read_poses
from poseworks.core.cameras import Pinhole
from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.skeletons import JHMDB_15
from poseworks.lifting import LCN, EHGFormer, EHGFormerConfig, LCNConfig
from poseworks.lifting.input_forms import PUBLISHED, Preparation
from poseworks.lifting.lifter import lift_people
from poseworks.lifting.settings import LiftSettings
from poseworks.lifting.streaming import LiftedFrame, LiftStream

RAY = Preparation(form="ray", assumed_focal=1.2)


def lcn(preparation: Preparation = RAY) -> LCN:
    torch.manual_seed(1)
    network = LCN(LCNConfig(in_features=3, channels=4, layers=1)).eval()
    network.preparation = preparation
    return network


def ehgformer() -> EHGFormer:
    torch.manual_seed(2)
    network = EHGFormer(EHGFormerConfig(frames=9, width=16, blocks=1, heads=2)).eval()
    torch.nn.init.normal_(network.frame_embedding)
    network.preparation = RAY
    return network


@pytest.fixture
def walk() -> PoseSequence:
    """40 frames of somebody who walks past; a wrist is hidden at times, and the person for some frames."""
    poses = read_poses(Path(__file__).parent / "data" / "walk_side_coco17.npz")
    positions = poses.positions[:, :40].copy()
    positions[:, 5:9, COCO_17.index("left_wrist")] = np.nan
    positions[:, 25:28] = np.nan
    return poses.replace(positions=positions, confidence=poses.confidence[:, :40])


def streamed(stream: LiftStream, poses: PoseSequence) -> tuple[list[LiftedFrame], list[int]]:
    """All frames, and how many had come out after each push."""
    out: list[LiftedFrame] = []
    counts = []
    for points, sure in zip(poses.positions[0], poses.confidence[0], strict=True):
        out += stream.push(points, sure)
        counts.append(len(out))
    return out + stream.finish(), counts


@pytest.mark.parametrize(
    ("network", "latency"), [(lcn(), 0), (lcn(PUBLISHED), 0), (ehgformer(), 0), (ehgformer(), 3), (ehgformer(), 20)],
    ids=["lcn", "lcn-image", "ehgformer-0", "ehgformer-3", "ehgformer-20"],
)  # fmt: skip
@pytest.mark.parametrize("camera", [None, Pinhole(900, 900, 640, 190)], ids=["unknown", "camera"])
def test_a_stream_is_the_offline_result_with_that_latency(
    walk: PoseSequence, network: LCN | EHGFormer, latency: int, camera: Pinhole | None
) -> None:
    settings = LiftSettings(latency_frames=latency, min_confidence=0.1)
    stream = LiftStream(network, settings, image_size=(1280, 380), camera=camera)
    frames, counts = streamed(stream, walk)
    assert [frame.frame for frame in frames] == list(range(40))
    assert stream.latency_frames == (latency if isinstance(network, EHGFormer) else 0)
    assert all(count >= t + 1 - stream.latency_frames for t, count in enumerate(counts))
    # A camera does not enter the image form; offline it would place the root, for which the unit is made steady first.
    offline = lift_people(
        walk, network, settings, camera=camera if network.preparation.form == "ray" else None
    ).poses.positions[0]
    offline = offline - offline[:, :1]
    found = np.stack([frame.joints for frame in frames])
    np.testing.assert_allclose(found, offline, atol=1e-5)
    assert np.isnan(found[25:28]).all()


def test_confidence_is_that_of_the_keypoints(walk: PoseSequence) -> None:
    frames, _ = streamed(LiftStream(lcn(), image_size=(1280, 380)), walk)
    offline = lift_people(walk, lcn(), LiftSettings(latency_frames=0)).poses.confidence[0]
    np.testing.assert_allclose(np.stack([frame.confidence for frame in frames]), offline)
    assert frames[6].confidence[H36M_17.index("left_wrist")] == 0


def test_a_stated_unit_makes_metres(walk: PoseSequence) -> None:
    plain, metres = (
        streamed(LiftStream(lcn(), image_size=(1280, 380), metres_per_unit=factor), walk)[0] for factor in (1.0, 0.9)
    )
    np.testing.assert_allclose(metres[0].joints, 0.9 * plain[0].joints)


def test_memory_does_not_grow_with_the_stream(walk: PoseSequence) -> None:
    stream = LiftStream(ehgformer(), LiftSettings(latency_frames=2, flip=False), image_size=(1280, 380))
    for _ in range(60):
        stream.push(walk.positions[0, 0])
    assert len(stream._waiting) == 2


def test_misuse(walk: PoseSequence) -> None:
    stream = LiftStream(lcn(), image_size=(1280, 380))
    with pytest.raises(ShapeError, match="coco17"):
        stream.push(np.zeros((16, 2)))
    with pytest.raises(ShapeError, match="confidence"):
        stream.push(np.zeros((17, 2)), np.zeros(3))
    assert stream.finish() == []
    with pytest.raises(DataError, match="Start a new LiftStream"):
        stream.push(walk.positions[0, 0])
    with pytest.raises(DataError, match="finished before"):
        stream.finish()
    with pytest.raises(ConfigError, match="metres_per_unit"):
        LiftStream(lcn(), LiftSettings(height=1.7), image_size=(9, 9))
    with pytest.raises(ConfigError, match="focal length"):
        LiftStream(lcn(Preparation(form="ray")), image_size=(9, 9))
    with pytest.raises(SkeletonError, match="jhmdb15"):
        LiftStream(lcn(), image_size=(9, 9), skeleton=JHMDB_15)
