"""The role that is worked out from the rules lets the engine do all it does, from bring-up to deletion."""

from __future__ import annotations

import random
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from engine.permissions import permissions
from tests.faults.apart import apart
from tests.faults.stale_proxy import Past, lagging
from tests.rules.world import shipped_rules
from tests.sim.cluster import NAME, patched, quickstart

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def asked(method: str, target: str) -> tuple[str, str, str] | None:
    """Group, resource and verb of a request; None for discovery, which everybody may ask."""
    url = urlsplit(target)
    parts = url.path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1] if len(parts) > 1 else "", parts[3:])
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    if not rest:
        return None
    named = len(rest) > 1
    verb = VERBS.get(method) or ("get" if named else "list")
    if "watch" in parse_qs(url.query):
        verb = "watch"
    return group, "/".join([rest[0], *rest[2:]]), verb


def test_the_role_of_the_rules_has_everything_that_the_engine_asks(tmp_path: Path) -> None:
    past = Past(random.Random(0), 0.0)
    with apart(tmp_path / "run", "permissions", lambda path: lagging(path, past)) as (_, cluster):
        document = quickstart(1, 1)
        cluster.apply(document)
        cluster.ready()
        cluster.apply(patched(document, {"machine": {"env": {"GREETING": "hello"}}}))
        cluster.ready()
        cluster.delete("TalosCluster", NAME)
        cluster.gone("TalosCluster", NAME)
    granted = {
        (item.group, item.resource, verb) for item in permissions(shipped_rules()) for verb in item.verbs
    }
    needed = {found for method, target in past.requests if (found := asked(method, target)) is not None}
    assert ("talos.alperen.cloud", "talosmachines", "watch") in needed
    assert needed - granted == set()
