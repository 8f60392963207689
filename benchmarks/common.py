"""What every benchmark shares: the machine's limits, timing, tables and the files they are written to."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE / "data"
Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """Rows under named columns, and what a reader must know to compare them."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: median, and half the distance between the quartiles."""

    median_s: float
    spread_s: float
    repeats: int


@dataclass(frozen=True)
class Machine:
    """The limits of this machine, measured in the same run as what is compared with them."""

    gflops: float
    gbytes_per_s: float
    threads: int
    versions: dict[str, str] = field(default_factory=dict)

    def seconds_at_limit(self, multiply_adds: float, moved_bytes: float = 0.0) -> float:
        """The least time that the arithmetic, or else the memory traffic, takes on this machine."""
        return max(2e-9 * multiply_adds / self.gflops, 1e-9 * moved_bytes / self.gbytes_per_s)


def timed(call: Callable[[], object], *, seconds: float = 1.0, least: int = 5) -> Timing:
    """Timing of `call` after one warm-up, repeated for about `seconds` and at least `least` times."""
    call()
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < least or time.perf_counter() - started < seconds:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    quartiles = statistics.quantiles(times, n=4)
    return Timing(statistics.median(times), (quartiles[2] - quartiles[0]) / 2, len(times))


def measure_machine(threads: int, *, seconds: float = 1.0) -> Machine:
    """GFLOP/s of a large float32 matrix product and GB/s of a large copy (read plus written), on `threads`."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    size = 1536
    a, b = (torch.randn(size, size, generator=generator) for _ in range(2))
    product = torch.empty(size, size)
    best = min(timed(lambda: torch.mm(a, b, out=product), seconds=seconds / 3).median_s for _ in range(3))
    source = torch.randn(32 * 2**20, generator=generator)
    target = torch.empty_like(source)
    copy = timed(lambda: target.copy_(source), seconds=seconds).median_s
    names = (
        "torch",
        "numpy",
        "scipy",
        "onnxruntime",
        "poseworks-core",
        "poseworks-keypoints",
        "poseworks-lifting",
        "poseworks-mesh-recovery",
        "poseworks-skeleton-action",
        "poseworks-temporal",
    )
    versions = {name: metadata.version(name) for name in names}
    return Machine(2e-9 * size**3 / best, 2e-9 * source.nbytes / copy, threads, versions)


@dataclass(frozen=True)
class Job:
    """Something to time, its multiply-adds, the ratio to the limit that it should reach, the bytes that it moves."""

    name: str
    size: str
    call: Callable[[], object]
    multiply_adds: float
    target: float | None = None
    moved_bytes: float = 0.0


def speed_table(name: str, title: str, jobs: Iterable[Job], note: str, quick: bool) -> Table:
    """The time of each job on one thread, as a ratio to what the machine could do in the same run."""
    seconds = 0.5 if quick else 3.0
    machine = measure_machine(threads=1, seconds=seconds)
    rows: list[list[Cell]] = []
    for job in jobs:
        timing = timed(job.call, seconds=seconds)
        ratio = machine.seconds_at_limit(job.multiply_adds, job.moved_bytes) / timing.median_s
        reached = None if job.target is None else "yes" if ratio >= job.target else "MISSED"
        milliseconds = [1e3 * timing.median_s, 1e3 * timing.spread_s]
        rows.append([job.name, job.size, *milliseconds, job.multiply_adds / 1e9, ratio, job.target, reached])
    columns = ("what", "size", "ms", "+- ms", "G multiply-adds", "ratio to the limit", "target", "reached")
    return Table(name, title, columns, rows, [describe(machine), note])


def describe(machine: Machine) -> str:
    """One line for the head of a speed table."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.machine()
    return (
        f"{cpu}, {os.cpu_count()} cores, {machine.threads} thread(s): {machine.gflops:.0f} GFLOP/s float32, "
        f"{machine.gbytes_per_s:.1f} GB/s copy. Python {platform.python_version()}, "
        + ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    )


def write_table(table: Table) -> None:
    """The table as `benchmarks/results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    document = {**asdict(table), "measured": datetime.now(UTC).strftime("%Y-%m-%d")}
    (RESULTS / f"{table.name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def write_summary() -> Path:
    """All stored tables as one page, `benchmarks/RESULTS.md`."""
    parts = ["# Results\n\nMade by `uv run nox -s benchmark`; each table is also a file in `results/`.\n"]
    for path in sorted(RESULTS.glob("*.json")):
        table = json.loads(path.read_text())
        parts.append(f"## {table['title']}\n")
        parts.append("| " + " | ".join(table["columns"]) + " |\n|" + " --- |" * len(table["columns"]))
        parts += ["| " + " | ".join(map(format_cell, row)) + " |" for row in table["rows"]]
        parts.append("".join(f"\n- {note}" for note in table["notes"]) + f"\n\nMeasured {table['measured']}.\n")
    summary = HERE / "RESULTS.md"
    summary.write_text("\n".join(parts))
    return summary


def format_cell(cell: Cell) -> str:
    """A number with three or four significant digits, a dash for what is not there."""
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
