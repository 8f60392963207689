"""What a user does, run where the built wheels alone are installed and no checkout is near."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path


def run(*words: str) -> str:
    """Standard output of an installed command."""
    command = shutil.which(words[0], path=str(Path(sys.executable).parent))
    assert command, f"{words[0]} was not installed"
    result = subprocess.run([command, *words[1:]], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(words)}: {result.stderr}"
    return result.stdout


def main() -> None:
    """Help, demo, smoothing of the demo's poses, the list of models, and that no file came from a checkout."""
    for distribution in (
        "poseworks-core",
        "poseworks-keypoints",
        "poseworks-lifting",
        "poseworks-mesh-recovery",
        "poseworks-skeleton-action",
        "poseworks-temporal",
        "poseworks",
    ):
        files = metadata.files(distribution) or []
        assert any(str(file).endswith("py.typed") for file in files), f"{distribution}: no py.typed"
        assert not any(str(file) == "poseworks/__init__.py" for file in files), f"{distribution}: claims the namespace"
        assert not any("/tests/" in str(file) for file in files), f"{distribution}: holds its tests"
    methods = ("keypoints", "lifting", "mesh-recovery", "skeleton-action", "temporal")
    for command in ("poseworks", *(f"poseworks-{method}" for method in methods)):
        assert "Usage" in run(command, "--help")
    run("poseworks", "demo", "-o", "demo")
    assert (Path("demo") / "report.html").stat().st_size > 100_000
    clip = next(Path(sys.prefix).rglob("walk_side.mp4"))
    found = json.loads(run("poseworks-keypoints", "detect", str(clip), "-o", "tracks.npz", "--every", "10", "--json"))
    assert len(found["people"]) == 1
    smoothed = run("poseworks-temporal", "smooth", "demo/poses2d.npz", "-o", "smooth.npz", "--json")
    assert isinstance(json.loads(smoothed), dict)
    assert Path("smooth.npz").exists()
    models = json.loads(run("poseworks-temporal", "models", "--json"))
    assert "smoothnet-general-w32" in json.dumps(models)
    assert "ehgformer-dynamic-p2" in run("poseworks-lifting", "models", "--json")
    recognized = json.loads(run("poseworks-skeleton-action", "recognize", "demo/poses2d.npz", "--json"))
    assert recognized["timelines"]
    run("poseworks-mesh-recovery", "fit", "demo/poses2d.npz", "-o", "body.npz")
    run("poseworks", "convert", "body.npz", "-o", "body.glb")
    assert Path("body.glb").read_bytes().startswith(b"glTF")
    print("wheels: all checks passed")


if __name__ == "__main__":
    main()
