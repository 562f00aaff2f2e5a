"""`talos-operator machineconfig`: what the operator does with machine configurations, on files.

The same code renders, patches and judges here as in the operator. Reads and writes files, and calls nobody.
Neighbours: `engine.machineconfig` does the work, `configfiles` reads and writes, `rendering` is one verb.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from engine.cli.configfiles import FILE, keys_option, place, read, refuse, telling_where, warn, write_keys
from engine.cli.failures import FAILED, MISUSED, CommandFailed
from engine.cli.groups import LazyGroup

if TYPE_CHECKING:
    from engine.machineconfig.config import Config

MODES: Final = ("metal", "container", "cloud")

config_argument: Final = click.argument("config", type=FILE)


@click.group(
    "machineconfig",
    cls=LazyGroup,
    members={
        "render": "engine.cli.rendering",
        "patch": "engine.cli.machineconfig:patch",
        "validate": "engine.cli.machineconfig:judge",
        "diff": "engine.cli.machineconfig:diff",
    },
    short_help="Render, patch, validate and compare configurations.",
)
def command() -> None:
    """Render, patch, validate and compare machine configurations, as the operator does it.

    \b
    Examples:
      talos-operator machineconfig render --secrets secrets.yaml --input cluster.yaml --role worker -o worker.yaml
      talos-operator machineconfig patch worker.yaml --patch gpu.yaml -o gpu-worker.yaml
      talos-operator machineconfig validate gpu-worker.yaml --mode metal
      talos-operator machineconfig diff worker.yaml gpu-worker.yaml
    """


class Patching(click.Command):
    """Takes several files behind one --patch, when CONFIG stands before it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _spread(args))


def _spread(args: Sequence[str]) -> list[str]:
    spread: list[str] = []
    config = following = False
    for before, word in zip(("", *args), args, strict=False):
        if before in ("-p", "--patch", "-o", "--output"):
            spread.append(word)
        elif word != "-" and word.startswith("-"):
            following = word.startswith(("-p", "--patch"))
            spread.append(word)
        else:
            spread.extend(["--patch", word] if following and config else [word])
            config = True
    return spread


@click.command("patch", cls=Patching, short_help="Apply patches to a configuration.")
@config_argument
@click.option(
    "-p",
    "--patch",
    "patches",
    multiple=True,
    required=True,
    type=FILE,
    metavar="FILE...",
    help="A strategic merge patch, or a list of JSON operations. Repeatable: applied in order.",
)
@click.option("--force", is_flag=True, help="Patch also what the machine needs to be reached again.")
@keys_option
def patch(config: str, patches: Sequence[str], force: bool, output: str | None) -> int:
    """Apply patches to the configuration CONFIG, by Talos's own rules, and print it.

    \b
    Examples:
      talos-operator machineconfig patch worker.yaml --patch gpu.yaml --patch disk.yaml -o gpu-worker.yaml
      talos-operator machineconfig patch worker.yaml --patch *.yaml | kubectl create configmap w --from-file w=/dev/stdin
      echo 'machine: {sysctls: {$patch: delete}}' | talos-operator machineconfig patch worker.yaml --patch -

    Ends with 0 when it is done, 1 when CONFIG or a patch cannot be used, 2 when it is misused.
    """
    from engine.machineconfig.lifeline import first_cut
    from engine.machineconfig.patch import apply, load_patch
    from engine.machineconfig.redact import redacted

    loaded = patched = _load(config, FAILED)
    before = []
    for name in patches:
        text = read(name)
        before.append((name, patched))
        with telling_where(name):
            patched = apply(patched, load_patch(text, ahead=patched.ahead))
    found = None if force else first_cut(loaded, patched, before)
    if found is not None:
        hint = "nobody would reach the machine again; --force patches it all the same"
        raise CommandFailed(found[1].message, where=place(found[0], found[1].path), hint=hint)
    write_keys(patched.text(), output, shown=redacted(patched))
    return 0


@click.command("validate", short_help="Say whether a machine would take a configuration.")
@config_argument
@click.option(
    "--mode", type=click.Choice(MODES), default="metal", show_default=True, help="What the machine is."
)
@click.option("--strict", is_flag=True, help="Warnings about the main document count as mistakes.")
@click.option("--talos-version", default="", metavar="VERSION", help="What the machine runs; the newest one.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer."
)
def judge(config: str, mode: str, strict: bool, talos_version: str, output: str) -> int:
    """Check the configuration CONFIG as a machine does before it takes one.

    \b
    Examples:
      talos-operator machineconfig validate worker.yaml --mode metal
      talos-operator machineconfig validate worker.yaml --mode cloud --strict --talos-version v1.12.4
      talos-operator machineconfig validate worker.yaml -o json | jq '.errors[].path'

    Ends with 0 when the machine would take it, 1 when it would not, 2 when CONFIG cannot be opened.
    """
    from engine.machineconfig.checks import Problem
    from engine.machineconfig.config import load
    from engine.machineconfig.contracts import parse_version
    from engine.machineconfig.errors import ConfigError
    from engine.machineconfig.validate import Verdict, validate

    with telling_where("--talos-version", MISUSED):
        parse_version(talos_version or "v1.0")
    text = read(config)
    try:
        verdict = validate(load(text), mode=mode, version=talos_version, strict=strict)
    except ConfigError as error:
        line = f" (line {error.line})" if error.line else ""
        verdict = Verdict((Problem(error.path, error.message + line),), ())
    if output == "json":
        click.echo(
            json.dumps({"errors": _data(verdict.errors), "warnings": _data(verdict.warnings)}, indent=2)
        )
        return FAILED if verdict.errors else 0
    for problem in verdict.warnings:
        warn(config, problem)
    for problem in verdict.errors:
        refuse(config, problem)
    if not verdict.errors:
        click.echo(f"{config} is valid for {mode}")
    return FAILED if verdict.errors else 0


@click.command("diff", short_help="Compare two configurations by their meaning.")
@click.argument("old", metavar="A", type=FILE)
@click.argument("new", metavar="B", type=FILE)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer."
)
def diff(old: str, new: str, output: str) -> int:
    """Compare the configurations A and B: neither comments nor the order of keys count, and no secret is shown.

    \b
    Examples:
      talos-operator machineconfig diff worker.yaml gpu-worker.yaml
      talosctl -n 10.0.0.2 get machineconfig -o yaml | yq .spec | talos-operator machineconfig diff - wanted.yaml
      talos-operator machineconfig diff worker.yaml gpu-worker.yaml -o json | jq '.paths[]'

    Ends as diff does: with 0 when they mean the same, 1 when they differ, 2 when one of them cannot be used.
    """
    from engine.machineconfig import diff as comparison

    before, after = _load(old, MISUSED), _load(new, MISUSED)
    paths = comparison.paths(before, after)
    if output == "json":
        click.echo(json.dumps({"paths": paths}, indent=2))
    else:
        click.echo(comparison.redacted_unified(before, after), nl=False)
    return FAILED if paths else 0


def _load(name: str, code: int) -> Config:
    from engine.machineconfig.config import load

    text = read(name)
    with telling_where(name, code):
        return load(text)


def _data(problems: Sequence[Any]) -> list[dict[str, str]]:
    return [{"path": problem.path, "message": problem.message} for problem in problems]
