"""The errors poseworks raises: each message says what was wrong, what was expected and how to mend it."""

from __future__ import annotations


class PoseworksError(Exception):
    """Whatever the input, an option or a file is at fault for; commands turn it into one line and exit status 2."""


class ShapeError(PoseworksError, ValueError):
    """An array has another shape or type than the one stated."""


class SkeletonError(PoseworksError, ValueError):
    """Joints are missing, unknown or cannot be converted."""


class FormatError(PoseworksError, ValueError):
    """A file does not hold what its format prescribes; the message lists every fault found."""


class CheckpointError(PoseworksError, ValueError):
    """A checkpoint does not fit the network; the message lists missing, unexpected and misshapen tensors."""


class ConfigError(PoseworksError, ValueError):
    """An option or a setting is out of its range, or contradicts another."""


class DataError(PoseworksError, ValueError):
    """Well-formed data that cannot be used: no person, too few frames, unknown units, NaN where none may be."""


class MissingHint(ConfigError):
    """A file does not say something that has to be known; `hint` names it (see `formats.hints.Hints`)."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint
