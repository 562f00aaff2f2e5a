"""`talos-operator machineconfig render`: the configuration that a cluster's secrets and a file of wishes give.

The operator's own code renders. Neighbours: `machineconfig.request` and `machineconfig.asked` read what is asked
for, `configfiles` reads and writes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.configfiles import FILE, STANDARD, keys_option, place, read, telling_where, warn, write_keys
from engine.cli.failures import CommandFailed

if TYPE_CHECKING:
    from engine.machineconfig.request import Answer, Secrets


@click.command("render", short_help="Render the configuration of a machine.")
@click.option(
    "--secrets",
    required=True,
    type=FILE,
    metavar="FILE",
    help="Secrets bundle, or the Secret <control plane>-state of the operator as YAML.",
)
@click.option(
    "--input",
    "wishes",
    required=True,
    type=FILE,
    metavar="FILE",
    help="What to render: the cluster with its options and patches, or a machine's object as YAML.",
)
@click.option(
    "--role",
    required=True,
    type=click.Choice(["controlplane", "worker", "talosconfig"]),
    help="What it is for; talosconfig renders the file for talosctl.",
)
@keys_option
def command(secrets: str, wishes: str, role: str, output: str | None) -> int:
    """Render what a machine is to run, and print it. Patches that the input names lie beside it.

    \b
    The input:
      contract: v1.13                   # version of Talos; the newest one where it is not given
      clusterName: demo
      endpoint: https://10.5.0.2:6443
      kubernetesVersion: 1.36.3
      options: {installDisk: /dev/sda, additionalSANs: [api.example.org]}
      patches: {all: [ntp.yaml], worker: [gpu.yaml]}

    \b
    Examples:
      talos-operator machineconfig render --secrets secrets.yaml --input cluster.yaml --role worker -o worker.yaml
      talos-operator machineconfig render --secrets secrets.yaml --input cluster.yaml --role talosconfig -o talosconfig

    \b
    What the operator wants a machine to run:
      kubectl get secret demo-state -o yaml >state.yaml
      kubectl get talosmachine demo-10.5.0.2 -o yaml |
        talos-operator machineconfig render --secrets state.yaml --input - --role controlplane

    Ends with 0 when it is done, with a warning where a machine would refuse the result; 1 when secrets, input or a
    patch cannot be used; 2 when it is misused.
    """
    from engine.machineconfig.render import Fault
    from engine.machineconfig.request import load_secrets

    text = read(secrets)
    with telling_where(secrets):
        kept = load_secrets(text, now=time.time())
    made = _rendered(kept, secrets, wishes, role)
    if isinstance(made, Fault):
        raise CommandFailed(
            made.message, where=place(wishes, ": ".join(filter(None, (made.patch, made.path))))
        )
    for problem in made.problems:
        warn("a machine would refuse this", problem)
    write_keys(made.text, output, shown=made.redacted)
    return 0


def _rendered(kept: Secrets, secrets: str, wishes: str, role: Any) -> Answer | Any:
    from engine.machineconfig import request
    from engine.machineconfig.asked import load_asked

    text = read(wishes)
    with telling_where(wishes):
        given = request.object_of(text)
    if given is not None:
        if role == "talosconfig":
            raise CommandFailed("a talosconfig is not rendered from an object", where=wishes)
        with telling_where(secrets):
            return request.render_object(given, kept, role)
    with telling_where(wishes):
        asked = load_asked(text)
    if role == "talosconfig":
        return request.talosconfig_of(asked, kept, now=time.time())
    folder = Path() if wishes == STANDARD else Path(wishes).parent
    files = [(name, read(str(folder / name))) for name in asked.patches_of(role)]
    return request.render_asked(asked, kept, role, files)
