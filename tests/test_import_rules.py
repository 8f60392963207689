"""core <- methods <- pipeline, no side effects of importing, and help that answers at once."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.name for path in (ROOT / "packages").iterdir() if (path / "pyproject.toml").exists())


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_layers_hold() -> None:
    result = subprocess.run(["lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_package_claims_the_namespace() -> None:
    assert not list(ROOT.glob("packages/*/src/poseworks/__init__.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_declares_the_siblings_it_imports_and_no_others(package: str) -> None:
    project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]
    declared = {name.split("[")[0] for name in project["dependencies"] if name.startswith("poseworks")}
    sources = "\n".join(path.read_text() for path in (ROOT / "packages" / package / "src").rglob("*.py"))
    imported = {name for name in PACKAGES if f"poseworks.{name.replace('-', '_')}" in sources and name != package}
    assert declared == {f"poseworks-{name}" for name in imported}


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_changes_nothing(package: str) -> None:
    module = f"poseworks.{package.replace('-', '_')}"
    code = f"""
import json, logging, os, random, sys
import numpy as np, torch
before = (torch.get_num_threads(), torch.initial_seed(), random.getstate(), np.random.get_state()[1].tolist(),
          list(logging.root.handlers), dict(os.environ), torch.get_default_dtype())
import importlib, pkgutil
package = importlib.import_module({module!r})
for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not info.name.endswith("__main__"):
        importlib.import_module(info.name)
after = (torch.get_num_threads(), torch.initial_seed(), random.getstate(), np.random.get_state()[1].tolist(),
         list(logging.root.handlers), dict(os.environ), torch.get_default_dtype())
print(json.dumps(before == after))
"""
    assert json.loads(run_python(code)) is True


@pytest.mark.parametrize(
    "module", ["poseworks.core", "poseworks.core.poses", "poseworks.core.formats", "poseworks.core.report"]
)
def test_what_detectors_need_does_not_import_torch(module: str) -> None:
    assert run_python(f"import sys, {module}; print('torch' in sys.modules)").strip() == "False"


@pytest.mark.parametrize(
    "module", ["poseworks.keypoints.cli", "poseworks.lifting.cli", "poseworks.temporal.cli", "poseworks.pipeline.cli"]
)
def test_help_imports_neither_torch_nor_scipy(module: str) -> None:
    code = f"""
import sys
sys.argv = ["command", "--help"]
from {module} import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print(sorted({{"torch", "scipy", "onnx", "onnxruntime"}} & set(sys.modules)))
"""
    assert run_python(code).splitlines()[-1] == "[]"
