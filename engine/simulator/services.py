"""The system services of a machine as ServiceList shows them: state, events, health.

States, ids and texts are those of talos-api 1.3. Up to 64 events are kept per service, oldest
first. Every change is told to one listener. Knows no timeline: `life` decides when what happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

EVENTS_KEPT: Final = 64
BASE: Final = ("auditd", "containerd", "dashboard", "machined", "syslogd", "udevd")
WITHOUT_HEALTH: Final = frozenset({"auditd", "dashboard"})


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """One change of state; `at` in seconds since the epoch."""

    state: str
    message: str
    at: float


@dataclass(slots=True)
class Service:
    """One service; `healthy` is None while its health is unknown."""

    id: str
    state: str = "Initialized"
    healthy: bool | None = None
    last_message: str = ""
    last_change: float = 0.0
    events: deque[ServiceEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))

    @property
    def running(self) -> bool:
        return self.state == "Running"

    @property
    def well(self) -> bool:
        """Running, and healthy as far as its health is checked at all."""
        return self.running and (self.healthy is True or self.id in WITHOUT_HEALTH)


class ServiceTable:
    """The services of one boot. `changed(service, message)` is called after each change."""

    def __init__(self, clock: Callable[[], float], changed: Callable[[Service, str], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._services: dict[str, Service] = {}

    def all(self) -> list[Service]:
        """Every loaded service, by id."""
        return [self._services[name] for name in sorted(self._services)]

    def get(self, name: str) -> Service | None:
        return self._services.get(name)

    def state(self, name: str) -> str:
        """The state of a service, "" of one that is not loaded."""
        service = self._services.get(name)
        return service.state if service is not None else ""

    def is_running(self, name: str) -> bool:
        service = self._services.get(name)
        return service is not None and service.running

    def is_well(self, name: str) -> bool:
        service = self._services.get(name)
        return service is not None and service.well

    def move(self, name: str, state: str, message: str) -> None:
        """Put a service, loading it if need be, into `state`; leaving Running makes health unknown."""
        service = self._services.setdefault(name, Service(name))
        service.state = state
        service.events.append(ServiceEvent(state, message, self._clock()))
        if state != "Running":
            service.healthy = None
        self._changed(service, message)

    def set_health(self, name: str, healthy: bool, message: str = "") -> None:
        """Record the outcome of a health check; unchanged outcomes change nothing."""
        service = self._services[name]
        if service.healthy is healthy and service.last_message == message:
            return
        service.healthy = healthy
        service.last_message = message
        service.last_change = self._clock()
        self._changed(service, message or "Health check successful")

    def start(self, name: str, message: str | None = None) -> None:
        """Running and, where health is checked, healthy."""
        self.move(name, "Running", message or f"Started task {name}")
        if name not in WITHOUT_HEALTH:
            self.set_health(name, True)

    def stop(self, names: Iterable[str]) -> None:
        """Stop those of `names` that run."""
        for name in names:
            if self.is_running(name):
                self.move(name, "Stopping", "Sending SIGTERM to task")
                self.move(name, "Finished", "Service finished successfully")

    def clear(self) -> None:
        self._services.clear()
