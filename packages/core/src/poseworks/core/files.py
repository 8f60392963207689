"""Writing so that a killed command leaves either the old file or the new one, never half of one."""

from __future__ import annotations

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
        DataError: the folder does not exist or cannot be written, or the disk is full.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not target.parent.is_dir():
            raise DataError(f"{target}: the folder {target.parent} does not exist. Create it first.") from error
        reason = error.strerror or type(error).__name__
        raise DataError(f"{target}: cannot be written ({reason}). Nothing was changed.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """A folder beside `path` that takes its place when the block ends without an error.

    With `overwrite`, an existing folder is replaced as a whole.

    Raises:
        ConfigError: `path` exists and `overwrite` is false.
        DataError: the folder cannot be written, or the disk is full.
    """
    target = Path(path)
    refuse_existing(target, overwrite)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if target.exists():
            old = temporary.with_name(temporary.name + ".old")
            target.rename(old)
            temporary.rename(target)
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        else:
            temporary.rename(target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"{target}: cannot be written ({reason}). Nothing was changed.") from error
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
