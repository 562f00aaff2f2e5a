"""Hold the lease that says which of several engines works, or wait for it.

Renewing extends the process's tenure; whoever cannot renew until the renew deadline, or sees another holder, has lost
it and is told at once, in a thread that nothing else delays. Never works on objects itself. Neighbours: `election`
decides, `app` starts the engine when it leads and ends the process when it has lost.
"""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from engine.base.errors import Conflict, Missing, RemoteError
from engine.base.kinds import Key, Kind
from engine.base.tenure import Clock, Tenure, boot_time
from engine.election import Move, Sight, Terms, is_past, looked, move, rest
from engine.ports.kube.lease import given_up, held, record_of, written

log = logging.getLogger(__name__)

_WATCH_S: Final = 0.2
"""How often the holder looks at the clock: waiting does not count the time that a machine sleeps."""


class LeaseClient(Protocol):
    """As much of the client as an election needs. It must not write within the tenure that it is to extend."""

    def get(self, key: Key) -> dict[str, Any]: ...

    def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]: ...

    def replace(self, key: Key, body: Mapping[str, Any]) -> dict[str, Any]: ...


def new_identity() -> str:
    """`HOSTNAME_uuid`: another one for each process, so that nobody takes a former life's lease for its own."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


class Election:
    """One candidate for the lease `key`. `on_lost` is told why it does not lead any more; it should not return."""

    def __init__(
        self,
        client: LeaseClient,
        key: Key,
        terms: Terms,
        tenure: Tenure,
        on_lost: Callable[[str], None],
        *,
        identity: str = "",
        clock: Clock = boot_time,
        wall: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.key = key
        self.identity = identity or new_identity()
        self.leads = False
        self.lease: dict[str, Any] | None = None
        """The lease as it was seen last; None: it is not there."""
        self._client = client
        self._terms = terms
        self._tenure = tenure
        self._on_lost = on_lost
        self._clock, self._wall, self._draw = clock, wall, draw
        self._sight = Sight()
        self._ending = threading.Event()
        self._losing = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._told = ""

    def campaign(self, stopping: threading.Event) -> bool:
        """Wait until this process leads; False when `stopping` was set before. The lease is kept from then on."""
        while not stopping.is_set():
            self._try()
            if self.leads:
                self._keep()
                return True
            stopping.wait(self._rest())
        return False

    def attempt(self) -> None:
        """Take or renew the lease if that may be done now; raises RemoteError."""
        if self._ending.is_set() or (self.leads and self._is_late()):
            return
        if self.leads and self._carry_out("take"):
            # Nobody had written since, as mostly.
            return
        self._look()
        self._carry_out(move(self._sight, self.identity, self._clock(), self._terms, leads=self.leads))

    def release(self) -> None:
        """Leave the lease to whoever comes first. Only when nothing is under way any more."""
        self._ending.set()
        for thread in self._threads:
            thread.join(self._terms.renew_s)
        if not self.leads or self.lease is None:
            return
        self.leads = False
        self._tenure.end()
        try:
            self._client.replace(self.key, written(self.lease, given_up(record_of(self.lease), self._wall())))
            log.info("gave up the lease %s", self.key.path)
        except RemoteError as error:
            log.warning("the lease %s was not given up, it will run out: %s", self.key.path, error)

    def _keep(self) -> None:
        for name, run in (("lease", self._renew), ("lease-watch", self._watch)):
            thread = threading.Thread(target=run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _renew(self) -> None:
        while not self._ending.wait(self._rest()):
            self._try()

    def _watch(self) -> None:
        """Notice that the lease was not renewed, whatever renewing it is waiting for."""
        while not self._ending.wait(min(_WATCH_S, max(0.0, self._tenure.begin_by - self._clock()))):
            if self._is_late():
                return

    def _is_late(self) -> bool:
        """Whether the renew deadline is over, and with it this process's time."""
        if self._clock() < self._tenure.begin_by:
            return False
        told = f": {self._told}" if self._told else ""
        self._lose(f"it was not renewed for {self._terms.renew_s:g} s{told}")
        return True

    def _try(self) -> None:
        try:
            self.attempt()
            self._told = ""
        except RemoteError as error:
            self._fail(str(error))
        except Exception as error:
            log.exception("the election ended with a bug of ours")
            self._fail(f"a bug of ours ({type(error).__name__})")

    def _fail(self, text: str) -> None:
        if text != self._told:
            log.warning("the lease %s can be neither had nor kept at the moment: %s", self.key.path, text)
        self._told = text

    def _rest(self) -> float:
        now = self._clock()
        return rest(self._sight, self.identity, now, self._terms, leads=self.leads, draw=self._draw())

    def _look(self) -> None:
        try:
            lease = self._client.get(self.key)
        except Missing:
            self._see(None)
            return
        if not is_past(self._sight, _version(lease), leads=self.leads):
            self._see(lease)

    def _see(self, lease: dict[str, Any] | None) -> None:
        before = self._sight.record
        record, version = (None, "") if lease is None else (record_of(lease), _version(lease))
        self.lease = lease
        self._sight = looked(self._sight, record, version, self._clock(), self._terms, self.identity)
        holder = "" if record is None else record.holder
        if holder not in ("", self.identity) and (before is None or before.holder != holder):
            log.info("the lease %s is held by %s", self.key.path, holder)

    def _carry_out(self, what: Move) -> bool:
        """True when the lease is ours by that."""
        if what == "lose":
            holder = "" if self._sight.record is None else self._sight.record.holder
            self._lose(f"{holder} holds it now")
        if what in ("lose", "wait"):
            return False
        # The lease counts from before it was asked for: nobody else can have seen it earlier.
        began = self._clock()
        try:
            lease = self._write()
        except (Conflict, Missing):
            return False
        self._see(lease)
        self._tenure.extend(
            begin_by=began + self._terms.renew_s, end_by=began + self._terms.lease_s - self._terms.margin_s
        )
        if not self.leads:
            log.info("leads, by the lease %s, as %s", self.key.path, self.identity)
        self.leads = True
        return True

    def _write(self) -> dict[str, Any]:
        before = None if self.lease is None else record_of(self.lease)
        body = written(self.lease, held(before, self.identity, self._terms.lease_s, self._wall()))
        if self.lease is None:
            metadata = {"name": self.key.name, "namespace": self.key.namespace}
            return self._client.create(self.key.kind, self.key.namespace, {"metadata": metadata, **body})
        return self._client.replace(self.key, body)

    def _lose(self, why: str) -> None:
        # Once it is over nothing may begin, not even while somebody is told.
        self._tenure.end()
        with self._losing:
            if not self.leads or self._ending.is_set():
                return
            self.leads = False
            self._ending.set()
        self._on_lost(f"lost the lease {self.key.path}: {why}")


def _version(lease: Mapping[str, Any]) -> str:
    return str(lease["metadata"]["resourceVersion"])
