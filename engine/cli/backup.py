"""`talos-operator backup`: what people ask of backups: which there are, whether one is whole, and another one now.

`list` of a store and `verify` need no cluster. Neighbours: `snapshotfile` verifies, `backups` lists and makes.
"""

from __future__ import annotations

import click

from engine.cli.groups import LazyGroup


@click.group(
    "backup",
    cls=LazyGroup,
    members={
        "list": "engine.cli.backups:show",
        "verify": "engine.cli.backups:verify",
        "create": "engine.cli.backups:create",
    },
    short_help="List, verify and take backups of etcd.",
)
def command() -> None:
    """List, verify and take backups of etcd.

    \b
    Examples:
      talos-operator backup list --directory /backups
      talos-operator backup list --store s3://backups --verify
      talos-operator backup list -n prod
      talos-operator backup verify etcd-snapshot.db
      talos-operator backup create nightly-extra --like nightly
    """
