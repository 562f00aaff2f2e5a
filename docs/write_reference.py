"""Writes docs/reference.md from what the program itself declares: flags, functions, capabilities, metrics.

`python docs/write_reference.py` prints the text; `make docs` writes it, and tests/contract/test_docs.py fails
when the file says something else than the program.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from engine.base.assets import asset
from engine.base.yamlnodes import parse_documents, plain
from engine.capabilities.registry import all_capabilities
from engine.cli.program import VERBS, program
from engine.expr.functions import FUNCTIONS

_HEAD = """# Reference

Written by `make docs` from the program itself; edit the program, not this file.
"""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


def _value(option: click.Option) -> str:
    if option.metavar or option.is_flag:
        return option.metavar or ""
    choices = getattr(option.type, "choices", None)
    return "|".join(choices) if choices else option.type.name.upper()


def _option(option: click.Option) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in option.opts)
    named = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
    variable = ", ".join(f"`{name}`" for name in named)
    return f"{names} {_value(option)}".strip(), option.help or "", variable


def _commands() -> Iterator[tuple[str, click.Command]]:
    """Every verb, and behind one that has verbs of its own those too, with the words that call it."""
    context = click.Context(program)
    for verb in VERBS:
        command = program.get_command(context, verb)
        assert command is not None
        yield verb, command
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                member = command.get_command(context, name)
                assert member is not None
                yield f"{verb} {name}", member


def flags() -> Iterator[str]:
    """The verbs of the command line with their flags."""
    for words, command in _commands():
        yield f"### `talos-operator {words}`\n"
        yield inspect.cleandoc((command.help or "").split("\b")[0]).strip() + "\n"
        options = [
            _option(each) for each in command.params if isinstance(each, click.Option) and not each.hidden
        ]
        if options:
            yield from _table(("Flag", "Meaning", "Environment"), options)


def functions() -> Iterator[str]:
    """The functions of expressions."""
    rows = [(f"`{found.signature}`", found.doc) for _, found in sorted(FUNCTIONS.items())]
    yield from _table(("Function", "Gives"), rows)


def abilities() -> Iterator[str]:
    """The capabilities that rules may call."""
    rows = [
        (
            f"`{name}`",
            found.effect,
            found.summary,
            ", ".join(f"`{key}`" for key in found.input.get("properties", {})),
        )
        for name, found in sorted(all_capabilities().items())
    ]
    yield from _table(("Capability", "Effect", "What it does", "Input"), rows)


def rule_files() -> Iterator[Path]:
    """The shipped rules, each followed by its chapters in their order, and the parts."""
    for path in sorted(asset("rules").glob("*.yaml")):
        yield path
        for document in parse_documents(path.read_text("utf-8"), path.name):
            for chapter in plain(document).get("chapters") or ():
                yield path.with_suffix("") / f"{chapter}.yaml"
    yield from sorted(asset("rules").glob("parts/*.yaml"))


def metrics() -> Iterator[str]:
    """The metrics that the shipped rules declare."""
    rows = []
    for path in rule_files():
        for document in parse_documents(path.read_text("utf-8"), path.name):
            for metric in plain(document).get("metrics") or ():
                labels = ", ".join(f"`{label}`" for label in metric.get("labels", {}))
                rows.append((f"`{metric['name']}`", metric["type"], labels, metric["help"]))
    yield from _table(("Metric", "Type", "Labels", "Meaning"), sorted(rows))


def conditions() -> Iterator[str]:
    """The conditions that the shipped rules set, by kind."""
    rows = []
    for path in rule_files():
        for document in parse_documents(path.read_text("utf-8"), path.name):
            rule = plain(document)
            kind = rule.get("of") or rule.get("for", {}).get("kind")
            for condition in rule.get("conditions") or () if kind else ():
                lines = condition.get("unless") or [condition]
                named = dict.fromkeys(str(line.get("reason", "$")) for line in lines)
                reasons = ", ".join(f"`{reason}`" for reason in named if not reason.startswith("$"))
                counts = "" if condition.get("counts", True) else "no"
                rows.append((kind, f"`{condition['type']}`", reasons, counts))
    yield from _table(("Kind", "Condition", "Reasons when it is not True", "Part of Ready"), rows)


def reference() -> str:
    """The whole page."""
    parts = {
        "Command line": flags(),
        "Functions": functions(),
        "Capabilities": abilities(),
        "Conditions": conditions(),
        "Metrics": metrics(),
    }
    lines = [_HEAD]
    for title, part in parts.items():
        lines += [f"## {title}\n", *part]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
