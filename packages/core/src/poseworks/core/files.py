"""Writing so that a killed command leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from poseworks.core.errors import ConfigError, DataError


def refuse_existing(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Nothing, unless `path` exists and `overwrite` is false.

    Raises:
        ConfigError: the output is already there.
    """
    if Path(path).exists() and not overwrite:
        raise ConfigError(f"{path}: already exists. Name another output, or allow it with --overwrite.")


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path beside `path`, with its suffix, that takes its place when the block ends without an error.

    Raises:
        DataError: the folder does not exist or cannot be written, the disk is full, or `path` is no regular file.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        raise DataError(f"{target}: is no regular file and cannot be replaced by one. Name another output.")
    temporary: Path | None = None
    try:
        prefix = _hidden(target.stem)
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=target.suffix, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        if _elsewhere(error, target.parent):
            raise
        raise _not_written(target, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """A folder beside `path` that takes its place when the block ends without an error.

    With `overwrite`, an existing folder is replaced as a whole, unless it holds folders or kinds of files that the
    new one has none of: those were not written by the same command, and are not ours to delete.

    Raises:
        ConfigError: `path` exists and `overwrite` is false.
        DataError: the folder cannot be written, holds other things, or the disk is full.
    """
    target = Path(path)
    refuse_existing(target, overwrite)
    if target.exists() and not target.is_dir():
        raise DataError(f"{target}: is no folder and cannot be replaced by one. Name another output.")
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_hidden(target.name), dir=target.parent))
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if target.exists():
            _refuse_foreign(target, temporary)
            _exchange(temporary, target)
        else:
            temporary.rename(target)
    except OSError as error:
        if _elsewhere(error, target.parent):
            raise
        raise _not_written(target, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _hidden(name: str) -> str:
    """Start of a temporary name, short enough that the longest file name still has room for the rest."""
    return f".{name[:30]}-"


def _elsewhere(error: OSError, folder: Path) -> bool:
    """The error names a file that is not in `folder`: reading something failed inside the block, not writing."""
    if not isinstance(error.filename, str):
        return False
    return not Path(error.filename).absolute().is_relative_to(folder.absolute())


def _not_written(target: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError) and not target.parent.is_dir():
        return DataError(f"{target}: the folder {target.parent} does not exist. Create it first.")
    reason = error.strerror or type(error).__name__
    return DataError(f"{target}: cannot be written ({reason}). Nothing was changed.")


def _refuse_foreign(old: Path, new: Path) -> None:
    """Nothing, if each folder in `old` has its name in `new`, and each file its ending."""

    def kind(entry: Path) -> str:
        return entry.name if entry.is_dir() else f"*{entry.suffix}"

    written = {kind(entry) for entry in new.iterdir()}
    foreign = sorted(entry.name for entry in old.iterdir() if kind(entry) not in written)
    if foreign:
        listed = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
        raise DataError(f"{old}: holds what this does not write: {listed}. Remove it, or name another output.")


def _exchange(a: Path, b: Path) -> None:
    """Swap two folders: in one step where the system can (Linux), else in three, undone if one of them fails."""
    swap = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if swap is not None and swap(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0:
        return
    aside = a.with_name(a.name + ".old")
    b.rename(aside)
    try:
        a.rename(b)
    except OSError:
        aside.rename(b)
        raise
    aside.rename(a)
