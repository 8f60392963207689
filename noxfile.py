"""Every check of the workspace, each in an environment of its own. Bare `nox` runs what CI runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "no"
# A Python that neither the machine nor uv has is skipped, and said so; CI's matrix names each one it wants.
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13"]
PACKAGES = {
    "core": "poseworks-core",
    "keypoints": "poseworks-keypoints",
    "lifting": "poseworks-lifting",
    "mesh-recovery": "poseworks-mesh-recovery",
    "skeleton-action": "poseworks-skeleton-action",
    "temporal": "poseworks-temporal",
    "pipeline": "poseworks",
}


def sync(session: nox.Session, *arguments: str) -> None:
    """Installs from uv.lock into the session's environment; our own packages are built afresh, not editable."""
    fresh = [word for name in PACKAGES.values() for word in ("--reinstall-package", name)]
    location = session.virtualenv.location
    session.run_install(
        "uv", "sync", "--locked", "--no-editable", "--no-default-groups", f"--python={location}", *fresh, *arguments,
        env={"UV_PROJECT_ENVIRONMENT": location}, silent=True,
    )  # fmt: skip


def install_group(session: nox.Session, group: str) -> None:
    """Adds the tools of one dependency group, in the versions of uv.lock."""
    requirements = Path(session.create_tmp()) / f"{group}.txt"
    session.run_install(
        "uv", "export", "--locked", "--only-group", group, "--no-hashes", "-q", "-o", str(requirements), silent=True
    )
    session.install("-q", "-r", str(requirements))


def pytest(session: nox.Session, *arguments: str) -> None:
    """Runs pytest with one computing thread a worker, so that workers do not fight for the cores."""
    session.run("pytest", "-q", "-n", "auto", *arguments, *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session(python=PYTHONS, tags=["ci"])
@nox.parametrize("package", list(PACKAGES))
def tests(session: nox.Session, package: str) -> None:
    """A package's tests where it and what it declares are installed, and nothing else; long ones on one Python."""
    apart = {"core": ("--no-extra", "smplx"), "lifting": ("--no-extra", "tensorflow")}  # sessions of their own
    extras = ["--all-extras", *apart.get(package, ())]
    sync(session, "--package", PACKAGES[package], *extras)
    install_group(session, "test")
    which = () if session.python == PYTHONS[0] else ("-m", "not long")
    pytest(session, f"packages/{package}/tests", *which)


@nox.session(python=PYTHONS[:1], tags=["ci"])
def tensorflow(session: nox.Session) -> None:
    """Reading TensorFlow's checkpoints, with TensorFlow: too large to install for every test."""
    sync(session, "--package", PACKAGES["lifting"], "--extra", "tensorflow")
    install_group(session, "test")
    pytest(session, "packages/lifting/tests/test_tensorflow_files.py")


@nox.session(python=PYTHONS[:1], tags=["ci"])
def smplx(session: nox.Session) -> None:
    """Our body beside that of the package smplx, which is licensed for research alone: nothing else installs it."""
    sync(session, "--package", PACKAGES["core"], "--extra", "smplx")
    install_group(session, "test")
    pytest(session, "packages/core/tests/body_models/test_smplx_adapter.py")


@nox.session(tags=["ci"])
def workspace(session: nox.Session) -> None:
    """What no one package can test: import layers, public names, README examples, end to end."""
    sync(session, "--all-packages")
    install_group(session, "workspace")
    pytest(session, "tests", "--ignore=tests/browser")


@nox.session(tags=["ci"])
def wheels(session: nox.Session) -> None:
    """Builds every wheel, installs them with no checkout on the path and runs the commands."""
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run_install("uv", "build", "--all-packages", "--wheel", "-q", "-o", str(dist))
    constraints = dist / "constraints.txt"
    session.run_install(
        "uv", "export", "--locked", "--all-packages", "--no-emit-workspace", "--no-hashes", "--no-default-groups",
        "-q", "-o", str(constraints), silent=True,
    )  # fmt: skip
    session.install("-q", "-c", str(constraints), *map(str, sorted(dist.glob("*.whl"))))
    checks = Path("tests/wheels/check_wheels.py").resolve()
    with tempfile.TemporaryDirectory() as elsewhere, session.chdir(elsewhere):
        session.run("python", str(checks))


@nox.session(tags=["ci"])
def lint(session: nox.Session) -> None:
    """Style, formatting and declared dependencies."""
    install_group(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    # One namespace hides siblings from deptry, and it sees no module that only a library or a child process imports.
    ours = (name for name in PACKAGES.values() if name != "poseworks")
    unseen = "|".join([*ours, "onnxscript", "smplx", "tensorboard", "tensorflow"])
    for package in PACKAGES:
        with session.chdir(f"packages/{package}"):
            session.run("deptry", "src", "--known-first-party", "poseworks", "-pri", f"DEP002={unseen}", silent=True)


@nox.session(tags=["ci"])
def types(session: nox.Session) -> None:
    """The strict type checker over all sources."""
    sync(session, "--all-packages")
    install_group(session, "types")
    session.run("mypy", *(f"packages/{package}/src" for package in PACKAGES))
    session.run("mypy", "benchmarks")


@nox.session(tags=["ci"])
def browser(session: nox.Session) -> None:
    """Opens the demo's report in headless Chromium (the system's) and looks at what is drawn."""
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        session.skip("no Chromium on this machine: install the system's package chromium")
    sync(session, "--all-packages")
    install_group(session, "browser")
    session.run("pytest", "-q", "tests/browser", *session.posargs, env={"POSEWORKS_REQUIRE_BROWSER": "1"})


@nox.session(default=False)
def benchmark(session: nox.Session) -> None:
    """Measures, and writes benchmarks/results/*.json and benchmarks/RESULTS.md: `-- temporal --quick`."""
    sync(session, "--all-packages")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(python="3.11", default=False)
@nox.parametrize("package", list(PACKAGES))
def lowest(session: nox.Session, package: str) -> None:
    """A package's tests with the lowest versions that its pyproject allows."""
    ours = [f"./packages/{name}" for name in PACKAGES if name in {"core", package} or package == "pipeline"]
    session.install("-q", "--resolution", "lowest-direct", *ours)
    tools = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test")
    session.install("-q", *tools)  # what is there already stays as it is
    pytest(session, f"packages/{package}/tests")


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Builds the sdists and wheels of all packages into dist/."""
    session.run_install("uv", "build", "--all-packages", "-o", os.fspath(Path("dist")))
