"""The folder that a run writes: checked before any work, and written as a whole."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from poseworks.core.errors import DataError
from poseworks.core.files import atomic_folder, refuse_existing
from poseworks.core.report import Report, write_report

REPORT = "report.html"

Writer = Callable[[Path], None]
"""Writes one file."""


@dataclass(frozen=True)
class Target:
    """A folder and the files that a run writes into it.

    Attributes:
        folder: made if it is not there; of an existing one only these files are touched.
        names: of the files, by what they are; ``report`` is one of them.
        overwrite: replace these files where they exist.
    """

    folder: Path
    names: dict[str, str]
    overwrite: bool

    @property
    def files(self) -> dict[str, Path]:
        """Path of each file."""
        return {what: self.folder / name for what, name in self.names.items()}

    def check(self) -> None:
        """Nothing, if the files can be written.

        Raises:
            ConfigError: a file exists and `overwrite` is false.
            DataError: the folder is a file, or nothing can be written into it.
        """
        for path in self.files.values():
            refuse_existing(path, self.overwrite)
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"{self.folder}: is a file; expected a folder to write into.")
        there = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        try:
            with tempfile.TemporaryDirectory(prefix=".run-", dir=there):
                pass
        except OSError as error:
            raise self._not_written(error) from error

    def write(self, writers: Mapping[str, Writer], report: Report) -> dict[str, Path]:
        """Path of each file written, by what it is; not all that has a name need be there.

        A new folder appears as a whole; in an existing one nothing is replaced before everything is written.

        Raises:
            DataError: the folder cannot be written, or the report's video cannot be read.
        """
        if not self.folder.exists():
            with atomic_folder(self.folder) as temporary:
                for what, write in writers.items():
                    write(temporary / self.names[what])
                write_report(temporary / self.names["report"], report)
            return self._written(writers)
        try:
            with tempfile.TemporaryDirectory(prefix=".run-", dir=self.folder) as name:
                for what, write in writers.items():
                    write(Path(name) / self.names[what])
                write_report(self.files["report"], report, overwrite=True)
                for what in writers:
                    (Path(name) / self.names[what]).replace(self.files[what])
        except OSError as error:
            raise self._not_written(error) from error
        return self._written(writers)

    def _written(self, writers: Mapping[str, Writer]) -> dict[str, Path]:
        return {what: path for what, path in self.files.items() if what in writers or what == "report"}

    def _not_written(self, error: OSError) -> DataError:
        reason = error.strerror or type(error).__name__
        return DataError(f"{self.folder}: cannot be written ({reason}). Name another folder.")


def names_of(
    dims: int, *, lifted: bool = False, recognized: bool = False, fitted: bool = False, glb: bool = False
) -> dict[str, str]:
    """Names of the files for poses of so many dimensions, by what they are.

    Args:
        dims: 2 or 3.
        lifted: those of 3D poses besides.
        recognized: that of actions besides.
        fitted: that of bodies besides.
        glb: bodies as glTF too.
    """
    names = {"poses": f"poses{dims}d.npz", "smooth": f"poses{dims}d.smooth.npz"}
    if recognized:
        names["actions"] = "actions.csv"
    if lifted:
        names |= {"lifted": "poses3d.npz", "lifted_smooth": "poses3d.smooth.npz"}
    if fitted:
        names["body"] = "body.npz"
    if glb:
        names["glb"] = "body.glb"
    return names | {"report": REPORT}
