"""Candidates for one lease in an API server's place, with clocks that go as a test says: no thread, no sleep.

`Leases` keeps one lease and refuses what the real server refuses; each `Candidate` has a clock of its own, which
runs at its own rate and starts at its own time. Neighbours: the tests of this folder.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from engine.base.errors import AlreadyExists, Conflict, LeadershipLost, Missing, RemoteError, Unreachable
from engine.base.kinds import Key, Kind
from engine.base.tenure import Tenure
from engine.election import Terms
from engine.leader import Election
from engine.ports.kube.lease import LEASE

KEY = Key(LEASE, "here", "lease")
TERMS = Terms(lease_s=15, renew_s=10, retry_s=2)


@dataclass
class Leases:
    """The server: one lease, its versions, and what it is told to answer wrongly."""

    now: float = 1000.0
    lease: dict[str, Any] | None = None
    version: int = 0
    writes: int = 0
    conflicts: int = 0
    """So many of the next writes come too late for somebody else's."""
    unreachable: set[str] = field(default_factory=set)

    def put(self, spec: Any) -> None:
        """Somebody writes the lease as it pleases."""
        self.version += 1
        metadata = {"name": "lease", "namespace": "here", "resourceVersion": str(self.version)}
        self.lease = {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": metadata, "spec": spec}

    def holder(self) -> str:
        return "" if self.lease is None else self.lease["spec"].get("holderIdentity", "")


@dataclass
class Line:
    """One candidate's connection."""

    server: Leases
    name: str

    def get(self, key: Key) -> dict[str, Any]:
        self._check()
        if self.server.lease is None:
            raise Missing("not found", sent="yes")
        return copy.deepcopy(self.server.lease)

    def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self._check()
        if self.server.lease is not None:
            raise AlreadyExists("already exists", sent="yes")
        return self._written(body)

    def replace(self, key: Key, body: Mapping[str, Any]) -> dict[str, Any]:
        self._check()
        if self.server.lease is None:
            raise Missing("not found", sent="yes")
        if self.server.conflicts:
            self.server.conflicts -= 1
            self.server.put(self.server.lease["spec"])
        if body["metadata"]["resourceVersion"] != str(self.server.version):
            raise Conflict("the object has been modified", sent="yes")
        return self._written(body)

    def _written(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.server.writes += 1
        self.server.put(copy.deepcopy(body["spec"]))
        return copy.deepcopy(self.server.lease or {})

    def _check(self) -> None:
        if self.name in self.server.unreachable:
            raise Unreachable("cannot connect", sent="no")


class Candidate:
    """One process that would lead. `rate`: how fast its clock goes."""

    def __init__(
        self,
        server: Leases,
        name: str,
        *,
        rate: float = 1.0,
        terms: Terms = TERMS,
        draw: random.Random | None = None,
    ) -> None:
        self.server, self.name, self.terms = server, name, terms
        self._rate, self._offset = rate, 100.0 * len(name) + ord(name[-1])
        self.lost: list[str] = []
        self.tenure = Tenure(self.clock)
        source = draw or random.Random(0)
        self.election = Election(
            Line(server, name),
            KEY,
            terms,
            self.tenure,
            self.lost.append,
            identity=name,
            clock=self.clock,
            wall=lambda: server.now % 100,  # nobody reads it as a time; it only has to change
            draw=source.random,
        )
        self.next_at = server.now

    def clock(self) -> float:
        return self._offset + self.server.now * self._rate

    def look(self) -> None:
        """One attempt, as its thread makes one; then it rests."""
        with suppress(RemoteError):
            self.election.attempt()
        self.next_at = self.server.now + self.election._rest() / self._rate

    @property
    def leads(self) -> bool:
        return self.election.leads

    def may_act(self) -> bool:
        """Whether the tenure lets an effect begin now."""
        try:
            self.tenure.check("test")
        except LeadershipLost:
            return False
        return True
