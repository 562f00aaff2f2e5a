"""`talos-operator simulate`: Talos machines on loopback addresses, for trying things out.

Never starts the engine. Neighbour: `simulator`, a program of its own that this only hands its settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click


@click.command("simulate", short_help="Start simulated Talos machines.")
@click.option("--machines", type=int, default=5, show_default=True, metavar="N", help="How many machines.")
@click.option(
    "--first-address", default="127.0.1.1", show_default=True, metavar="IP", help="Address of the first one."
)
@click.option(
    "--port", type=int, default=50000, show_default=True, help="Port of the Talos API on each address."
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the machines' disks in DIR; without it they are gone at the end.",
)
@click.option(
    "--calls", type=click.Path(path_type=Path), metavar="FILE", help="Write one JSON line per call received."
)
@click.option(
    "--speed", type=float, default=1.0, show_default=True, help="2 boots and installs twice as fast."
)
@click.option(
    "--talos-version",
    multiple=True,
    default=["v1.13.0"],
    show_default=True,
    help="Talos version of the boot medium. Repeatable: handed round the machines.",
)
@click.option(
    "--disks",
    multiple=True,
    default=["sda:20,sdb:50:hdd,sr0"],
    show_default=True,
    metavar="LIST",
    help="Disks of a new machine: names, with GiB, hdd, ro, boot behind colons. Repeatable: handed round.",
)
def command(
    machines: int,
    first_address: str,
    port: int,
    directory: Path | None,
    calls: Path | None,
    speed: float,
    talos_version: Sequence[str],
    disks: Sequence[str],
) -> int:
    """Start Talos machines in maintenance mode on consecutive loopback addresses, until Ctrl-C.

    They speak the real Talos API over real TLS: talosctl, the engine and any other client can talk to them.

    \b
    Examples:
      talos-operator simulate --machines 5 --calls calls.jsonl
      talos-operator simulate --machines 3 --directory disks --speed 10
      talos-operator simulate --machines 2 --disks nvme0n1:100,sda,sr0 --disks sda,sdb:8:boot
    """
    from engine.simulator.process import run
    from engine.simulator.settings import SimulatorSettings

    settings = SimulatorSettings(
        machines=machines,
        first_address=first_address,
        directory=directory,
        calls=calls,
        speed=speed,
        versions=tuple(talos_version),
        disks=tuple(tuple(texts.split(",")) for texts in disks),
        port=port,
    )
    settings.check()
    run(settings)
    return 0
