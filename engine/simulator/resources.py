"""A store of COSI resources with versions, times and followers (talos-api 1.6).

A machine computes what its resources should be and hands the whole set to `sync`, which finds
out what was created, updated and destroyed. Pure state: no gRPC, no encoding. Neighbours:
`projection` computes, `api.cosi` serves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

Name: TypeAlias = tuple[str, str]
Spec: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. `spec` is shaped like its protobuf message; times in seconds since the epoch."""

    type: str
    id: str
    version: int
    created: float
    updated: float
    spec: Spec


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one resource; `old` only for an update."""

    kind: Literal["CREATED", "UPDATED", "DESTROYED"]
    resource: Resource
    old: Resource | None = None


class ResourceStore:
    """Resources by (type, id)."""

    def __init__(self) -> None:
        self._resources: dict[Name, Resource] = {}
        self._followers: list[Callable[[Change], None]] = []

    def get(self, kind: str, name: str) -> Resource | None:
        return self._resources.get((kind, name))

    def list(self, kind: str) -> list[Resource]:
        """All of a type, by id."""
        return [self._resources[key] for key in sorted(self._resources) if key[0] == kind]

    def sync(self, wanted: Mapping[Name, Spec]) -> None:
        """Make the store hold exactly `wanted`, telling followers of every difference."""
        now = time.time()
        for name in [name for name in self._resources if name not in wanted]:
            self._tell(Change("DESTROYED", self._resources.pop(name)))
        for name, spec in wanted.items():
            old = self._resources.get(name)
            if old is None:
                self._resources[name] = Resource(name[0], name[1], 1, now, now, spec)
                self._tell(Change("CREATED", self._resources[name]))
            elif old.spec != spec:
                self._resources[name] = replace(old, version=old.version + 1, updated=now, spec=spec)
                self._tell(Change("UPDATED", self._resources[name], old))

    def follow(self, follower: Callable[[Change], None]) -> Callable[[], None]:
        """Call `follower` for each change to come; the result ends that."""
        self._followers.append(follower)
        return lambda: self._followers.remove(follower)

    def clear(self) -> None:
        """Forget everything without telling anybody: a power cut."""
        self._resources.clear()

    def _tell(self, change: Change) -> None:
        for follower in list(self._followers):
            follower(change)
