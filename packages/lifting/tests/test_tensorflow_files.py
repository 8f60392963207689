"""TensorFlow checkpoints: found, read by TensorFlow where it is installed, refused where it is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from poseworks.core.cli import run
from poseworks.core.errors import CheckpointError, ConfigError
from poseworks.core.testing import reference_cases
from poseworks.lifting import LCN, LCNConfig, load
from poseworks.lifting.cli import app
from poseworks.lifting.loading import load_tensorflow
from poseworks.lifting.published import lcn_names
from poseworks.lifting.tensorflow_files import read_tensorflow, tensorflow_prefix

CASE = reference_cases(Path(__file__).parent / "reference", "lcn_knn3_layers3_in2")[0]
needs_tensorflow = pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")


def variables() -> dict[str, np.ndarray]:
    """Of a small LCN as TensorFlow saves them in training."""
    torch.manual_seed(0)
    network = LCN(LCNConfig(channels=2, layers=1))
    names = lcn_names(network.state_dict())
    arrays = {names[name]: x.numpy() for name, x in network.state_dict().items()}
    slots = {f"{name}/{slot}": np.zeros_like(x) for name, x in arrays.items() for slot in ("Adam", "Adam_1")}
    return {**arrays, **slots, "training/global_step": np.int64(7799), "training/beta1_power": np.float32(0.9)}


def parts(folder: Path, *names: str) -> Path:
    """A folder with the files of checkpoints, which hold nothing."""
    folder.mkdir(exist_ok=True)
    for name in names:
        for part in ("index", "meta", "data-00000-of-00001"):
            (folder / f"{name}.{part}").write_bytes(name.encode())
    return folder


WRITER = """
import sys
import numpy
import tensorflow
with numpy.load(sys.argv[1]) as archive:
    arrays = dict(archive)
tensors = [tensorflow.constant(x) for x in arrays.values()]
tensorflow.raw_ops.SaveV2(
    prefix=sys.argv[2], tensor_names=list(arrays), shape_and_slices=[""] * len(arrays), tensors=tensors
)
"""
PRETENDED = """
import numpy
from pathlib import Path
from types import SimpleNamespace

class Reader:
    def __init__(self, prefix):
        if not Path(prefix + ".index").read_bytes():
            raise ValueError("not an sstable")
        with numpy.load({file!r}) as archive:
            self.arrays = dict(archive)

    def get_variable_to_shape_map(self):
        return {{name: x.shape for name, x in self.arrays.items()}}

    def get_tensor(self, name):
        return self.arrays[name]

train = SimpleNamespace(load_checkpoint=Reader)
"""


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, np.ndarray]], None]:
    """Puts something in the place of TensorFlow that finds these arrays in every checkpoint."""
    home = tmp_path / "site"

    def pretend(arrays: dict[str, np.ndarray]) -> None:
        (home / "tensorflow").mkdir(parents=True, exist_ok=True)
        np.savez(home / "arrays.npz", **arrays)
        (home / "tensorflow" / "__init__.py").write_text(PRETENDED.format(file=str(home / "arrays.npz")))
        monkeypatch.syspath_prepend(home)
        monkeypatch.setenv("PYTHONPATH", str(home))

    return pretend


def test_a_checkpoint_is_found_by_its_folder_its_files_and_its_name(tmp_path: Path) -> None:
    home = parts(tmp_path / "final", "model.ckpt-7799")
    prefix = home / "model.ckpt-7799"
    for path in (home, prefix, f"{prefix}.index", f"{prefix}.meta", f"{prefix}.data-00000-of-00001", str(home)):
        assert tensorflow_prefix(path) == prefix
    for path in (tmp_path, tmp_path / "nothing", home / "model.ckpt", "", "lcn-gt"):
        assert tensorflow_prefix(path) is None
    Path(f"{prefix}.index").unlink()
    with pytest.raises(CheckpointError, match=r"a part of .* whose model\.ckpt-7799\.index is not beside it"):
        tensorflow_prefix(f"{prefix}.data-00000-of-00001")
    with pytest.raises(CheckpointError, match=r"no TensorFlow checkpoint: expected a folder with NAME\.index"):
        read_tensorflow(home)


def test_of_several_the_last_written_is_taken(tmp_path: Path) -> None:
    home = parts(tmp_path, "model-100", "model-200", "model-1000")
    with pytest.raises(
        CheckpointError, match=r"several TensorFlow checkpoints: model-100, model-1000, model-200\. State"
    ):
        tensorflow_prefix(home)
    (home / "checkpoint").write_text(
        'model_checkpoint_path: "/elsewhere/final/model-1000"\nall_model_checkpoint_paths: "x"\n'
    )
    assert tensorflow_prefix(home) == home / "model-1000"
    (home / "checkpoint").write_text("nonsense")
    with pytest.raises(CheckpointError, match="State one"):
        tensorflow_prefix(home)


def test_convert_reads_what_load_refuses(
    tmp_path: Path, pretended: Callable[[dict[str, np.ndarray]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    home = parts(tmp_path / "final", "model-7799")
    arrays = variables()
    pretended({**arrays, "note": np.array(b"text")})
    with pytest.raises(CheckpointError, match=r"a TensorFlow checkpoint\. Convert it once: poseworks-lifting convert"):
        load(home)
    out = tmp_path / "lcn"
    assert run(app, ["convert", str(home), "-o", str(out)]) == 2
    assert "State it: --knn 3" in capsys.readouterr().err
    assert run(app, ["convert", str(home), "-o", str(out), "--knn", "3", "--partition", "1"]) == 2
    assert "groups: this is an LCN, which has no such option" in capsys.readouterr().err
    assert run(app, ["convert", str(home), "-o", str(out), "--knn", "3", "--json"]) == 0
    converted = json.loads(capsys.readouterr().out)
    np.savez(tmp_path / "variables.npz", **arrays)
    expected = load(tmp_path / "variables.npz", knn=3)
    again = load(out)
    assert again.config == expected.config
    for name, tensor in expected.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert read_tensorflow(home).dropped == ("note (not numbers)",)
    assert run(app, ["inspect", str(home), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["name"], facts["sha256"]) == ("tensorflow", "model-7799", converted["sha256"])
    assert facts["next"].startswith("poseworks-lifting convert")


def test_faults_of_a_checkpoint_are_told_in_its_names(
    tmp_path: Path, pretended: Callable[[dict[str, np.ndarray]], None]
) -> None:
    home, arrays = parts(tmp_path / "final", "model-1"), variables()
    pretended({**arrays, "linear_model/b4": np.full(51, np.nan, np.float32)})
    with pytest.raises(CheckpointError, match=r"linear_model/b4: holds NaN or infinity"):
        load_tensorflow(home, knn=3)
    del arrays["linear_model/two_linear_0/b2_0"]
    pretended(arrays)
    with pytest.raises(CheckpointError, match=r"missing \(1\): linear_model/two_linear_0/b2_0"):
        load_tensorflow(home, knn=3)


def test_without_tensorflow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    home = parts(tmp_path / "final", "model-1")
    with pytest.raises(ConfigError, match=r"TensorFlow is not installed\. Install poseworks-lifting\[tensorflow\], or"):
        load_tensorflow(home, knn=3)


def test_what_the_reader_cannot_read_is_told(
    tmp_path: Path, pretended: Callable[[dict[str, np.ndarray]], None]
) -> None:
    home = parts(tmp_path / "final", "model-1")
    (home / "model-1.index").write_bytes(b"")
    pretended(variables())
    with pytest.raises(CheckpointError, match=r"damaged, or no TensorFlow checkpoint \(ValueError: not an sstable\)"):
        load_tensorflow(home, knn=3)


@needs_tensorflow
@pytest.mark.timeout(180)
def test_what_tensorflow_wrote_gives_the_reference_output(tmp_path: Path) -> None:
    arrays = {name: x.numpy() for name, x in CASE.state_dict().items()} | {"training/global_step": np.int64(7799)}
    np.savez(tmp_path / "arrays.npz", **arrays)
    prefix = tmp_path / "model-7799"
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "arrays.npz"), str(prefix)], check=True)
    assert run(app, ["convert", str(tmp_path), "-o", str(tmp_path / "lcn"), "--knn", "3", "-q"]) == 0
    network, x = load(tmp_path / "lcn"), CASE.inputs["input"].view(4, 17, 2)
    with torch.no_grad():
        assert_close(network(x), CASE.outputs["output"].view(4, 17, 3), atol=2e-5, rtol=0)
    data = prefix.with_name("model-7799.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged, or no TensorFlow checkpoint"):
        load_tensorflow(prefix, knn=3)
