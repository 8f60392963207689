"""`python -m benchmarks [PACKAGE ...] [--quick]`: measures the named packages, all by default."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from benchmarks.common import HERE, Table, format_cell, write_summary, write_table


def show(table: Table) -> None:
    """The table on the terminal, as text."""
    cells = [list(map(str, table.columns)), *([format_cell(cell) for cell in row] for row in table.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.columns))]
    print(f"\n{table.title}")
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for note in table.notes:
        print(f"  * {note}")


def main() -> int:
    packages = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"of {', '.join(packages)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer clips and repeats; prints, and writes no file")
    options = parser.parse_args()
    unknown = sorted(set(options.packages) - set(packages))
    if unknown:
        parser.error(f"unknown package {', '.join(unknown)}; expected of {', '.join(packages)}")
    for package in options.packages or packages:
        module = importlib.import_module(f"benchmarks.bench_{package}")
        for measure in module.MEASURES:
            started = time.perf_counter()
            table = measure(options.quick)
            show(table)
            print(f"  [{time.perf_counter() - started:.0f} s]", flush=True)
            if not options.quick:
                write_table(table)
    if not options.quick:
        print(f"\nwritten: {write_summary().relative_to(HERE.parent)} and benchmarks/results/*.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
