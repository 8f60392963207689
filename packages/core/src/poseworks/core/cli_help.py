"""The text of ``--help``, without rich: importing it would take as long as everything else that help needs."""

from __future__ import annotations

import inspect
import shutil
import textwrap
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import cyclopts


def help_text(app: cyclopts.App, arguments: Sequence[str]) -> str:
    """Help for the verb that `arguments` (without the help flag) name, or for the program.

    Raises:
        CycloptsError: there is no such verb.
    """
    chain, apps, rest = app.parse_commands(list(arguments))
    verb = apps[-1]
    if rest and verb.default_command is None:
        app.parse_args(list(arguments), print_error=False, exit_on_error=False)  # raises; it names near misses
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    name = " ".join([app.name[0], *chain])
    parts = [f"Usage: {name} COMMAND"]
    about, items = verb.help or "", []
    if verb.default_command is not None:
        items = [item for item in verb.assemble_argument_collection(parse_docstring=True) if item.show]
        parts = [f"Usage: {' '.join([name, *_usage(items)])}"]
        about = _before_sections(inspect.getdoc(verb.default_command) or about)
    parts.append(_filled(about, width))
    commands = [(name, _command_help(verb, name)) for name in verb if not name.startswith("-")]
    if commands:
        parts.append(_columns("Commands:", commands, width))
    if items:
        parts.append(_columns("Parameters:", [(_names(item), _meaning(item)) for item in items], width))
    else:
        flags = [("--help, -h", "Show this, or the help of a command."), ("--version", "Show the version.")]
        parts.append(_columns("Flags:", flags, width))
    return "\n\n".join(part for part in parts if part)


def _command_help(app: cyclopts.App, name: str) -> str:
    """The line given at registration: asking the command itself would import it."""
    return str(getattr(getattr(app, "_commands", {}).get(name), "help", None) or "")


def _positional(item: Any) -> bool:
    return bool(item.field_info.kind is not inspect.Parameter.KEYWORD_ONLY)


def _many(item: Any) -> bool:
    return bool(item.field_info.kind is inspect.Parameter.VAR_POSITIONAL)


def _usage(items: Iterable[Any]) -> list[str]:
    """Positional arguments and required options, by the order in which one writes them."""
    words = []
    for item in items:
        word = item.names[0]
        if _positional(item):
            word = word.lstrip("-").upper().replace("-", "_") + ("..." if _many(item) else "")
        elif item.required:
            word = f"{word} {_kind(item.hint)}"
        else:
            continue
        words.append(word if item.required or _many(item) else f"[{word}]")
    return [*words, "[OPTIONS]"]


def _names(item: Any) -> str:
    if _positional(item):
        return str(item.names[0].lstrip("-").upper().replace("-", "_")) + ("..." if _many(item) else "")
    kind = _kind(item.hint)
    return ", ".join(item.names) + (f" {kind}" if kind else "")


def _kind(hint: Any) -> str:
    """PATH, TEXT, a|b: what an option takes; nothing for a switch."""
    if get_origin(hint) in (Union, types.UnionType):
        return "|".join(kind for kind in (_kind(part) for part in get_args(hint) if part is not type(None)) if kind)
    if get_origin(hint) is Literal:
        return "|".join(str(choice) for choice in get_args(hint))
    if get_origin(hint) in (list, tuple, set) and get_args(hint):
        return _kind(get_args(hint)[0])
    if hint is bool:
        return ""
    if isinstance(hint, type) and issubclass(hint, Path):
        return "PATH"
    return {str: "TEXT", int: "N", float: "X"}.get(hint, "VALUE")


def _meaning(item: Any) -> str:
    """The help of an option with its default, where that says something."""
    text = str(item.parameter.help or "")
    default = item.field_info.default
    if item.required:
        return f"{text} Required.".strip()
    if default is inspect.Parameter.empty or default is None or default is False or default in ("", (), []):
        return text
    return text if "Default" in text else f"{text} Default: {default}.".strip()


def _before_sections(docstring: str) -> str:
    """The prose of a docstring, without its lists of arguments and errors."""
    lines: list[str] = []
    for line in docstring.splitlines():
        if line.strip() in {"Args:", "Returns:", "Raises:", "Attributes:", "Yields:"}:
            break
        lines.append(line)
    return "\n".join(lines).strip()


def _filled(text: str, width: int) -> str:
    return "\n\n".join(textwrap.fill(" ".join(part.split()), width) for part in text.split("\n\n"))


def _columns(title: str, rows: Sequence[tuple[str, str]], width: int) -> str:
    """Names to the left and what they mean beside them, or below where a name is long."""
    left = min(max(len(name) for name, _ in rows), 28) + 4
    lines = [title]
    for name, text in rows:
        wrapped = textwrap.wrap(text, max(width - left, 20), break_on_hyphens=False) or [""]
        if len(name) + 4 <= left:
            lines.append(f"  {name}".ljust(left) + wrapped.pop(0))
        else:
            lines.append(f"  {name}")
        lines.extend(" " * left + line for line in wrapped)
    return "\n".join(line.rstrip() for line in lines)
