"""Make the kinds known that a rule file brings along itself.

A rule whose kind has no CustomResourceDefinition of its own carries a schema, from which the loader made
one; here it is applied before anything watches the kind. Kinds that are installed with the operator are
not touched. Neighbours: `app` calls it between connecting and starting.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from engine.base.errors import Missing, SettingsError
from engine.base.kinds import Key
from engine.ports.kube.client import KubeClient
from engine.ruleset.model import RuleSet

_SERVED_S = 30.0
_POLL_S = 0.1


def install_kinds(client: KubeClient, rules: RuleSet) -> None:
    """Apply the definition of every kind that a rule brings, and wait until each is served.

    Raises RemoteError when the server refuses one, SettingsError when it is not served in time.
    """
    brought = [rule.crd for rule in rules.rules.values() if rule.crd is not None]
    for definition in brought:
        kind = client.kind_named(definition["apiVersion"], definition["kind"])
        client.apply(Key(kind, "", definition["metadata"]["name"]), definition)
    deadline = time.monotonic() + _SERVED_S
    for definition in brought:
        while not _is_served(client, definition):
            if time.monotonic() > deadline:
                name = definition["metadata"]["name"]
                raise SettingsError(
                    f"{name} was applied and is not served after {_SERVED_S:g} s; see its conditions"
                )
            time.sleep(_POLL_S)


def missing_kinds(client: KubeClient, rules: RuleSet) -> list[str]:
    """The kinds of rules that the API server does not serve, for a message that says what to install."""
    missing = []
    for kind in sorted(rules.rules):
        try:
            client.kind_named(kind.api_version, kind.name)
        except Missing:
            missing.append(f"{kind.plural}.{kind.group}")
    return missing


def _is_served(client: KubeClient, definition: Mapping[str, Any]) -> bool:
    spec = definition["spec"]
    try:
        client.kind_named(f"{spec['group']}/{spec['versions'][0]['name']}", spec["names"]["kind"])
    except Missing:
        return False
    return True
