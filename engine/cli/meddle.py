"""`talos-operator meddle`: pull plugs, cut power and break things on simulated machines.

Only says to the simulator what a person wants. Neighbours: `simulator/control.py` knows the orders, `base/control.py` the way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from engine.base.control import order
from engine.base.yamltext import YAMLError, load_documents
from engine.cli.failures import MISUSED, CommandFailed


@click.command("meddle", short_help="Pull plugs and cut power on simulated machines.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path(".run/machines"),
    show_default=True,
    metavar="DIR",
    help="Where the simulator keeps its machines; of `run --standalone DIR` it is DIR/machines.",
)
@click.argument("operation")
@click.argument("words", nargs=-1, metavar="[MACHINE] [NAME=VALUE]...")
def command(directory: Path, operation: str, words: Sequence[str]) -> int:
    """Do something to simulated machines: OPERATION is one of docs/simulator.md, MACHINE an address, or '*' for all.

    \b
    Examples:
      talos-operator meddle list
      talos-operator meddle unplug 127.0.1.2
      talos-operator meddle heal '*'
      talos-operator meddle unhealthy 127.0.1.4 service=kubelet
      talos-operator meddle slow method=machine.MachineService/Version seconds=3

    Ends with 0 when it was done, 1 when no simulator answers there, 2 when it does not understand or know the machine.
    """
    from engine.simulator.settings import CONTROL_SOCKET

    request = {"op": operation, **_named(words)}
    try:
        reply = order(directory / CONTROL_SOCKET, request)
    except (FileNotFoundError, ConnectionError) as error:
        raise CommandFailed(
            f"no simulated machines are there: {(error.strerror or str(error)).lower()}",
            where=f"in {directory}",
            hint="--directory names their folder; `make run` and `talos-operator simulate --directory` make one",
        ) from None
    if not reply.pop("ok"):
        raise CommandFailed(
            f"refused: {reply['error']}",
            where=f"in {json.dumps(request)}",
            hint="docs/simulator.md lists the operations; `talos-operator meddle list` the machines",
            code=MISUSED,
        )
    click.echo(json.dumps(reply, indent=2) if reply else "done")
    return 0


def _named(words: Sequence[str]) -> Mapping[str, Any]:
    """What the words say by name; a value is read as YAML, so that 4 is a number and [a, b] a list."""
    found: dict[str, Any] = {}
    for word in words:
        name, given, value = word.partition("=")
        if not given:
            name, value = "machine", word
        if name in found:
            raise click.UsageError(f"{name} is said twice: {word!r}")
        try:
            values = load_documents(value) if given else [value]
        except YAMLError:
            raise click.UsageError(f"{word!r}: the value is no YAML") from None
        found[name] = values[0] if values else ""
    return found
