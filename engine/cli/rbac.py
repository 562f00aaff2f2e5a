"""`talos-operator rbac`: the ClusterRole that the engine needs for a set of rules.

Reads files and nothing else. Neighbours: `permissions` works it out, `ruleset.load` reads the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from engine.cli.failures import FAILED
from engine.cli.validate import tell


@click.command("rbac", short_help="Print the ClusterRole that rules need.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="talos-operator-manager-role", show_default=True, help="Name of the role.")
def command(paths: Sequence[Path], name: str) -> int:
    """Print the ClusterRole that the engine needs for the rule files and folders PATHS; without any, the shipped ones.

    It has what the rules read and write, and what the engine needs for itself. What a `machineRef` names may
    be of any kind: grant it by a ClusterRole with the label talos.alperen.cloud/machine-refs: "true".

    \b
    Examples:
      talos-operator rbac | kubectl apply -f -
      talos-operator rbac my-rules/ > role.yaml

    Ends with 1 when the rules have mistakes; `talos-operator validate` shows them.
    """
    from engine.base.assets import asset
    from engine.base.yamltext import dump
    from engine.ruleset.errors import RuleErrors

    try:
        role = cluster_role(tuple(paths) or (asset("rules"),), name)
    except RuleErrors as found:
        tell(found.errors)
        return FAILED
    click.echo(dump(role), nl=False)
    return 0


def cluster_role(paths: Sequence[Path], name: str) -> dict[str, Any]:
    """The ClusterRole for the rules at these paths; raises RuleErrors."""
    from engine.base.assets import asset
    from engine.permissions import permissions
    from engine.ruleset.catalog import load_catalog
    from engine.ruleset.load import load_rules

    rules = load_rules(paths, load_catalog(asset("schemas")))
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [
            {"apiGroups": [item.group], "resources": [item.resource], "verbs": list(item.verbs)}
            for item in permissions(rules)
        ],
    }
