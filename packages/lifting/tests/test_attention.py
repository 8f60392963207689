"""Attention maps of tracks: equal to the published ones, written as arrays, drawn as figures that say what they are."""

from __future__ import annotations

import base64
import io
import json
import re
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from poseworks.core import read_poses, write_poses
from poseworks.core.cli import run
from poseworks.core.errors import ConfigError, DataError, ShapeError
from poseworks.core.skeletons import H36M_17
from poseworks.core.testing import reference_cases, walking_poses
from poseworks.lifting import (
    LCN,
    EHGFormer,
    EHGFormerConfig,
    LCNConfig,
    OrdinaryEHGFormer,
    OrdinaryEHGFormerConfig,
    save,
)
from poseworks.lifting.attention import clip_attention, track_attention, write_attention
from poseworks.lifting.attention_figures import Axis, attention_figure
from poseworks.lifting.cli import app
from poseworks.lifting.h36m import normalize
from poseworks.lifting.input_forms import Preparation
from poseworks.lifting.published import ehgformer_names

CASE = reference_cases(Path(__file__).parent / "reference", "ehg_p1_full_t27_a")[0]
SVG = "{http://www.w3.org/2000/svg}"


def tiny(kind: type[EHGFormer] = EHGFormer, **sizes: Any) -> EHGFormer:
    torch.manual_seed(0)
    config = OrdinaryEHGFormerConfig if kind is OrdinaryEHGFormer else EHGFormerConfig
    network = kind(config(**({"frames": 9, "width": 16, "blocks": 2, "heads": 4} | sizes))).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def clip(frames: int = 9) -> Tensor:
    return 0.5 * torch.randn(frames, 17, 3, generator=torch.Generator().manual_seed(0))


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def pictures(svg: str) -> list[np.ndarray]:
    """The maps in a figure, as the levels 0..255 of their colours."""
    found = []
    for element in ET.fromstring(svg).iter(f"{SVG}image"):
        png = base64.b64decode(element.attrib["href"].removeprefix("data:image/png;base64,"))
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        width, height, depth, kind = (int.from_bytes(png[16:20]), int.from_bytes(png[20:24]), png[24], png[25])
        assert (depth, kind) == (8, 3)
        at = png.index(b"IDAT")
        rows = zlib.decompress(png[at + 4 : at + 4 + int.from_bytes(png[at - 4 : at])])
        found.append(np.frombuffer(rows, np.uint8).reshape(height, width + 1)[:, 1:])
    return found


@pytest.mark.long
def test_maps_of_the_first_block_equal_the_published_ones() -> None:
    network = EHGFormer(EHGFormerConfig(frames=27)).eval()
    names, tensors = ehgformer_names(network.state_dict()), CASE.state_dict()
    network.load_state_dict({name: tensors[f"module.{theirs}"] for name, theirs in names.items()})
    (maps,) = clip_attention(network, CASE.inputs["input"][0], block=0, first_frame=100)
    assert maps.group is not None
    assert_allclose(maps.spatial[0], CASE.outputs["attn_spatial_block0_frame0"], atol=2e-6)
    assert_allclose(maps.group[0], CASE.outputs["attn_hyper_block0_frame0"], atol=2e-6)
    assert_allclose(maps.temporal[0], CASE.outputs["attn_temporal_block0_joint0"], atol=2e-6)
    assert (maps.frames[0], maps.frames[-1], maps.heads) == (100, 126, tuple(range(8)))


def test_every_row_of_every_map_sums_to_one() -> None:
    blocks = list(clip_attention(tiny(), clip()))
    assert [one.block for one in blocks] == [0, 1]
    for one in blocks:
        assert one.group is not None
        assert one.spatial.shape == one.group.shape == (9, 4, 17, 17)
        assert one.temporal.shape == (17, 4, 9, 9)
        for maps in (one.spatial, one.group, one.temporal):
            assert_allclose(maps.sum(axis=-1), 1, atol=1e-5)
            assert maps.min() >= 0
    assert not np.allclose(blocks[0].spatial, blocks[1].spatial, atol=1e-3)
    (one,) = clip_attention(tiny(), clip(), block=1, head=2)
    assert_allclose(one.spatial, blocks[1].spatial[:, 2:3], atol=1e-6)
    assert_allclose(one.temporal, blocks[1].temporal[:, 2:3], atol=1e-6)
    assert one.heads == (2,)


def test_blocks_heads_and_clips_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match="block: 2, but this network has 2, numbered from 0 to 1"):
        clip_attention(tiny(), clip(), block=2)
    with pytest.raises(ConfigError, match="head: -1, but this network has 4"):
        clip_attention(tiny(), clip(), head=-1)
    with pytest.raises(ShapeError, match="trained on 9 frames"):
        list(clip_attention(tiny(), clip(10)))


def test_arrays_say_what_they_are(tmp_path: Path) -> None:
    network = tiny()
    network.source, network.sha256 = "my-network", "ab" * 32
    written = write_attention(clip_attention(network, clip(), head=3, first_frame=5), tmp_path / "maps")
    names = ["block-0.npz", "block-1.npz", "group.svg", "spatial.svg", "temporal.svg"]
    assert written == [tmp_path / "maps" / name for name in names]
    for block in (0, 1):
        (expected,) = clip_attention(network, clip(), block=block, head=3)
        with np.load(tmp_path / "maps" / f"block-{block}.npz", allow_pickle=False) as archive:
            found = dict(archive)
        for kind in ("spatial", "group", "temporal"):
            assert_allclose(found[kind], getattr(expected, kind), atol=1e-6)
            assert found[kind].dtype == np.float32
        assert (str(found["format"]), int(found["block"])) == ("poseworks.attention/1", block)
        assert found["heads"].tolist() == [3]
        assert found["frames"].tolist() == list(range(5, 14))
        assert tuple(found["joint_names"]) == H36M_17.joint_names
        assert tuple(found["groups"]) == network.config.groups
        assert str(found["group_meaning"]).startswith("slots, not joints")
        assert (str(found["model"]), str(found["model_sha256"])) == ("my-network", "ab" * 32)
    with pytest.raises(ConfigError, match="already exists"):
        write_attention(clip_attention(network, clip()), tmp_path / "maps")
    without = tiny(group_block=False)
    files = write_attention(clip_attention(without, clip()), tmp_path / "maps", overwrite=True)
    assert "group.svg" not in {file.name for file in files}
    with np.load(files[0]) as archive:
        assert "group" not in archive


def test_figures_name_joints_frames_blocks_and_heads(tmp_path: Path) -> None:
    network = tiny()
    write_attention(clip_attention(network, clip(), first_frame=100), tmp_path / "maps")
    spatial, group, temporal = (
        (tmp_path / "maps" / f"{kind}.svg").read_text() for kind in ("spatial", "group", "temporal")
    )
    texts = words(spatial)
    assert "Spatial attention, joint to joint: mean over frames 100 to 108" in texts
    assert {"queries: joints", "keys: joints", "block 0", "block 1", "head 0", "head 3"} <= set(texts)
    assert [texts.count(name) for name in ("pelvis", "left_wrist")] == [2 + 4, 2 + 4]  # rows, then columns
    assert len(pictures(spatial)) == 8
    texts = words(temporal)
    assert "Temporal attention, frame to frame: mean over joints, frames 100 to 108" in texts
    assert {"queries: frames", "100", "108"} <= set(texts)
    assert "pelvis" not in texts
    assert not any("_" in text for text in words(group))  # no joint's name stands where no joint is
    assert {"queries: slots", "keys: slots"} <= set(words(group))
    assert any(text.startswith("Slots, not joints: the published head split") for text in words(group))


def test_ordinary_groups_are_labelled_with_joints_and_groups(tmp_path: Path) -> None:
    network = tiny(OrdinaryEHGFormer)
    (maps,) = clip_attention(network, clip(), block=0)
    assert maps.group_meaning.startswith("rows are joints")
    assert maps.group is not None
    assert_allclose(maps.group[..., 1], maps.group[..., 2])  # both in the right leg's group
    write_attention([maps], tmp_path / "maps")
    texts = words((tmp_path / "maps" / "group.svg").read_text())
    assert {"queries: joints", "keys: groups", "group 1 (right_hip)", "right_hip"} <= set(texts)


def test_a_frame_or_a_joint_instead_of_the_mean(tmp_path: Path) -> None:
    network = tiny()
    (maps,) = clip_attention(network, clip(), block=1, head=0, first_frame=10)
    write_attention([maps], tmp_path / "one", frame=12, joint="left_knee")
    text = (tmp_path / "one" / "spatial.svg").read_text()
    assert "Spatial attention, joint to joint: frame 12" in words(text)
    (picture,) = pictures(text)
    expected = np.rint(maps.spatial[2, 0] / maps.spatial[2, 0].max() * 255)
    assert_allclose(picture[::8, ::8], expected)
    text = (tmp_path / "one" / "temporal.svg").read_text()
    assert "Temporal attention, frame to frame: left_knee, frames 10 to 18" in words(text)
    (picture,) = pictures(text)
    index = H36M_17.index("left_knee")
    assert_allclose(picture[::15, ::15], np.rint(maps.temporal[index, 0] / maps.temporal[index, 0].max() * 255))
    with pytest.raises(ConfigError, match="frame: 9 is not in the clip, whose frames are 10 to 18"):
        write_attention([maps], tmp_path / "two", frame=9)
    with pytest.raises(ConfigError, match="joint: 'knee' is none of pelvis, right_hip"):
        write_attention([maps], tmp_path / "two", joint="knee")
    assert not (tmp_path / "two").exists()


def test_a_figure_is_white_at_nothing_and_red_at_the_largest_value() -> None:
    maps = np.zeros((1, 2, 3, 4))
    maps[0, 0, 1, 2], maps[0, 1, 0, 0] = 0.8, 0.4
    axis = Axis("a < b & c", [(0, "first"), (2, "<third>")])
    svg = attention_figure(
        maps, title="T", row_names=["r"], column_names=["c", "d"], queries=axis, keys=axis, note="N & M"
    )
    left, right = pictures(svg)
    assert left.shape == (3 * 34, 4 * 34)
    assert (left[34 + 17, 2 * 34 + 17], left.sum() / 255) == (255, 34**2)
    assert right[0, 0] == 128
    palette = base64.b64decode(re.findall(r"base64,([^\"]+)", svg)[0])
    colours = np.frombuffer(palette[palette.index(b"PLTE") + 4 :][:768], np.uint8).reshape(256, 3)
    assert (colours[0].tolist(), colours[255].tolist()) == ([255, 255, 255], [178, 24, 43])
    texts = words(svg)
    assert {"queries: a < b & c", "keys: a < b & c", "<third>", "N & M", "0", "0.8", "0.4"} <= set(texts)
    assert attention_figure(0 * maps, title="T", row_names=["r"], column_names=["c", "d"], queries=axis, keys=axis)
    with pytest.raises(ShapeError, match="maps: expected"):
        attention_figure(maps, title="T", row_names=["r"], column_names=["c"], queries=axis, keys=axis)


def test_pictures_in_figures_are_valid_png() -> None:
    image = pytest.importorskip("PIL.Image")
    axis = Axis("x", [(0, "0")])
    svg = attention_figure(
        np.eye(5)[None, None], title="T", row_names=["r"], column_names=["c"], queries=axis, keys=axis
    )
    data = base64.b64decode(re.findall(r"base64,([^\"]+)", svg)[0])
    pixels = np.asarray(image.open(io.BytesIO(data)).convert("RGB"))
    assert pixels.shape == (135, 135, 3)
    assert pixels[2, 2].tolist() == [178, 24, 43]
    assert pixels[2, 100].tolist() == [255, 255, 255]


@pytest.fixture
def track(tmp_path: Path) -> Path:
    """A walk of 30 frames in which no joint is seen in frames 12 to 19, and one is missing in frame 3."""
    poses = walking_poses(30, dims=2, rng=np.random.default_rng(0))
    positions = poses.positions.copy()
    positions[0, 12:20], positions[0, 3, 6] = np.nan, np.nan
    write_poses(poses.replace(positions=positions), tmp_path / "walk.npz")
    return tmp_path / "walk.npz"


def test_maps_of_a_track_are_those_of_what_lifting_feeds(track: Path) -> None:
    network, poses = tiny(), read_poses(track)
    (maps,) = track_attention(poses.replace(fps=10), network, block=1)
    assert maps.frames == tuple(range(9))
    keypoints = poses.positions[0].astype(np.float64)
    x = np.concatenate([normalize(keypoints, 1280, 720), np.ones((30, 17, 1))], axis=-1)
    (expected,) = clip_attention(network, torch.from_numpy(x[20:29]).float(), block=1, first_frame=20)
    (later,) = track_attention(poses.replace(fps=10), network, block=1, frames=(20, 29))
    assert_allclose(later.spatial, expected.spatial, atol=1e-6)
    assert_allclose(later.temporal, expected.temporal, atol=1e-6)
    network.preparation = Preparation(form="ray", assumed_focal=1.0)
    (other,) = track_attention(poses.replace(fps=10), network, block=1, frames=(20, 29))
    assert not np.allclose(other.spatial, later.spatial, atol=1e-3)


def test_tracks_and_networks_that_have_no_maps(track: Path) -> None:
    poses = read_poses(track).replace(fps=10)
    with pytest.raises(ConfigError, match=r"a LCN has no attention\. Take an EHGFormer"):
        track_attention(poses, LCN(LCNConfig(channels=2)))
    with pytest.raises(ConfigError, match=r"frames: 25:31: expected FIRST:END within the track, which is 0:30"):
        track_attention(poses, tiny(), frames=(25, 31))
    with pytest.raises(ConfigError, match=r"frames: 0:10 are 10, and this network takes 9 at once"):
        track_attention(poses, tiny(), frames=(0, 10))
    with pytest.raises(ConfigError, match=r"frames: frame 12 shows too few joints"):
        track_attention(poses, tiny(), frames=(10, 19))
    both = walking_poses(9, people=2, dims=2, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match=r"2 people, expected one\. Choose with --person"):
        track_attention(both, tiny())
    gone = poses.replace(positions=np.full_like(poses.positions, np.nan))
    with pytest.raises(DataError, match="no frame shows enough"):
        track_attention(gone, tiny())


def test_the_verb(track: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = track.parent
    save(tiny(), folder / "m")
    options = [
        "--frames",
        "20:26",
        "--block",
        "1",
        "--head",
        "0",
        "--frame",
        "21",
        "--joint",
        "left_knee",
        "--fps",
        "30",
    ]
    assert run(app, ["attention", str(folder / "m"), str(track), "-o", str(folder / "maps"), *options, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [Path(file).name for file in facts["files"]] == ["block-1.npz", "group.svg", "spatial.svg", "temporal.svg"]
    with np.load(folder / "maps" / "block-1.npz") as archive:
        assert archive["frames"].tolist() == list(range(20, 26))
        assert archive["spatial"].shape == (6, 1, 17, 17)
    assert "frame 21" in (folder / "maps" / "spatial.svg").read_text()
    for arguments, message in (
        ([str(folder / "maps")], "already exists"),
        ([str(folder / "b"), "--frames", "5"], "--frames 5: expected FIRST:END"),
        ([str(folder / "b"), "--block", "7"], "block: 7, but this network has 2"),
    ):
        assert run(app, ["attention", str(folder / "m"), str(track), "-o", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert not (folder / "b").exists()
