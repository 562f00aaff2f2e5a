"""`talos-operator secrets`: the keys, authorities and tokens of a cluster.

Draws real randomness and tells nobody. Neighbours: `machineconfig.secretsbundle` makes them, `configfiles` writes.
"""

from __future__ import annotations

import secrets
import time

import click

from engine.cli.configfiles import keys_option, telling_where, warn, write_keys


@click.group("secrets", short_help="Make the secrets of a cluster.")
def command() -> None:
    """Make the keys, authorities and tokens of a cluster.

    \b
    Examples:
      talos-operator secrets generate --contract 1.13 -o secrets.yaml
      talos-operator machineconfig render --secrets secrets.yaml --input cluster.yaml --role worker -o worker.yaml
    """


@command.command("generate", short_help="Make a new secrets bundle.")
@click.option(
    "--contract", default="", metavar="VERSION", help="Talos version to make them for; the newest one."
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@keys_option
def generate(contract: str, force: bool, output: str | None) -> int:
    """Make a new secrets bundle, as talosctl gen secrets does. Authorities are valid for ten years.

    \b
    Examples:
      talos-operator secrets generate --contract 1.13 -o secrets.yaml
      talos-operator secrets generate | kubectl create secret generic demo --from-file secretBundle=/dev/stdin

    Ends with 0 when it is done, 1 when the contract is not supported or the file is there, 2 when it is misused.
    """
    from engine.machineconfig import contracts, secretsbundle
    from engine.machineconfig.checks import Problem

    with telling_where("--contract"):
        found = contracts.contract(contract, ahead=True)
    if contract and contracts.parse_version(contract) > found.version:
        message = f"newer than what is known; taken for {found.shown}"
        warn("--contract", Problem("", message))
    text = secretsbundle.generate(time.time(), secrets.token_bytes).text()
    write_keys(text, output, replace=force)
    return 0
