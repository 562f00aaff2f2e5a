"""What a URL asks for, as Kubernetes lays them out: /api/v1/... and /apis/GROUP/VERSION/... .

Pure parsing; whether the kind is served is the caller's question. Neighbours: `api`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Target:
    """The object or collection behind a URL; `namespace` is None for a list over all namespaces."""

    group: str
    version: str
    plural: str
    namespace: str | None = None
    name: str = ""
    subresource: str = ""


def target_of(path: str) -> Target | None:
    """Parse a resource path; None for any other path."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = None
    if (
        rest[0] == "namespaces"
        and len(rest) > 2
        and not (len(rest) == 3 and rest[2] in ("status", "finalize"))
    ):
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3 or not all(rest):
        return None
    rest += [""] * (3 - len(rest))
    return Target(group, version, rest[0], namespace, rest[1], rest[2])


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean query parameter; `1` and `true` mean yes."""
    return query.get(name, "") in ("true", "1")
