"""Splits of a data set of one's own: by subject where subjects are known, else class by class. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from poseworks.core.errors import ConfigError, DataError

Splits = dict[str, list[str]]
TRAIN = "train"
_USUAL = (TRAIN, "val", "test")


def stated_splits(identifiers: Sequence[str], splits: Sequence[str]) -> Splits:
    """Identifiers by the split that is stated for each; train, val and test come first."""
    found: Splits = {split: [] for split in _USUAL if split in splits}
    for identifier, split in zip(identifiers, splits, strict=True):
        found.setdefault(split, []).append(identifier)
    return found


def check_shares(shares: Mapping[str, float]) -> None:
    """Nothing, if shares of the recordings leave some of them for training.

    Raises:
        ConfigError: they do not.
    """
    if any(not 0 <= share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        told = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise ConfigError(f"shares of the splits: expected 0 or more, and less than 1 together, got {told}.")


def splits_by_subject(
    identifiers: Sequence[str], subjects: Sequence[str], shares: Mapping[str, float], rng: np.random.Generator
) -> Splits:
    """Splits none of whose subjects is in another, each of about its share of the recordings; the rest is train.

    Raises:
        DataError: there are fewer subjects than splits.
    """
    wanted = {name: share for name, share in shares.items() if share}
    names = sorted(set(subjects))
    if len(names) <= len(wanted):
        raise DataError(
            f"subjects: {len(names)} of them cannot be shared among {len(wanted) + 1} splits. State the split in a "
            "column of the table, or make fewer: --val 0."
        )
    count = {name: subjects.count(name) for name in names}
    free = [names[place] for place in rng.permutation(len(names))]
    home: dict[str, str] = {}
    for number, (split, share) in enumerate(wanted.items(), start=1):
        goal = share * len(identifiers)
        taken = 0
        # One at least, as long as that brings the split nearer to its goal, and one is left for each later split.
        while len(free) > len(wanted) - number + 1 and (not taken or abs(taken + count[free[0]] - goal) < goal - taken):
            subject = free.pop(0)
            home[subject] = split
            taken += count[subject]
    return _ordered(identifiers, [home.get(subject, TRAIN) for subject in subjects], wanted)


def splits_by_class(
    identifiers: Sequence[str], labels: Sequence[int], shares: Mapping[str, float], rng: np.random.Generator
) -> Splits:
    """Splits that hold about their share of each class, drawn at random; the rest is train."""
    wanted = {name: share for name, share in shares.items() if share}
    home = [TRAIN] * len(identifiers)
    for label in sorted(set(labels)):
        places = rng.permutation([place for place, other in enumerate(labels) if other == label])
        start = 0
        for split, share in wanted.items():
            stop = min(start + round(share * len(places)), len(places) - 1)  # one is left to train on
            for place in places[start:stop]:
                home[place] = split
            start = max(start, stop)
    return _ordered(identifiers, home, wanted)


def _ordered(identifiers: Sequence[str], homes: Sequence[str], wanted: Mapping[str, float]) -> Splits:
    found = stated_splits(identifiers, homes)
    return {split: found.get(split, []) for split in (TRAIN, *wanted)}
