"""What other code calls the tensors of our networks, told by rules. Importing it does not import torch."""

from __future__ import annotations

import re
from collections.abc import Iterable


def renamed(names: Iterable[str], rules: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each name, and what becomes of it by the rules (a regular expression, its replacement), applied in turn."""
    listed = tuple(rules)
    result = {}
    for name in names:
        other = name
        for pattern, replacement in listed:
            other = re.sub(pattern, replacement, other)
        result[name] = other
    return result
