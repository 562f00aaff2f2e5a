"""One Talos machine: its disk, what is in its memory, and how it publishes its state.

Holds state and the few operations that keep it consistent; what happens when is in `life`, what
others see of it in `publication`, what callers may do in `api`. Everything but `disk` is lost when
the power is cut. Runs in the simulator's loop only.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from ssl import SSLContext
from typing import Any, Literal, TypeAlias

from engine.simulator.cluster import Cluster
from engine.simulator.configuration import NodeConfig, read_config, stable_hostname
from engine.simulator.disk import Disk, blank_disk
from engine.simulator.etcd import EtcdCluster
from engine.simulator.events import EventLog
from engine.simulator.front import Front
from engine.simulator.hardware import BlockDevice, read_disks
from engine.simulator.resources import ResourceStore
from engine.simulator.services import Service, ServiceTable
from engine.simulator.site import Site

Stage: TypeAlias = Literal[
    "unknown", "booting", "installing", "maintenance", "running", "rebooting", "shutting down", "resetting",
    "upgrading",
]  # fmt: skip
Fault: TypeAlias = Literal["", "silence", "unplug", "refuse", "wrong-certificate"]
_MEMBERSHIP = frozenset({"etcd", "trustd", "kubelet"})


@dataclass(frozen=True, slots=True)
class Order:
    """A sequence that takes over from what the machine does; `actor` tags its events."""

    name: Literal["install", "reboot", "shutdown", "reset", "upgrade"]
    actor: str = ""
    graceful: bool = True
    reboot: bool = True
    wipe_all: bool = True
    keep_system: bool = False
    image: str = ""


@dataclass(frozen=True, slots=True)
class Recovery:
    """A Bootstrap that recovers was accepted, and etcd has not begun with it; `check`: the digest has to be right."""

    check: bool


class Machine:
    """State of one machine. `medium` is the Talos version it boots from while nothing is installed.

    `publish` shows a changed state to those who watch the machine (see `publication`).
    """

    def __init__(
        self,
        address: str,
        medium: str,
        disk: Disk,
        *,
        front: Front,
        site: Site,
        publish: Callable[[Machine], None],
    ) -> None:
        self.address = address
        self.medium = medium
        self.site = site
        self.disk = disk
        self.front = front
        self._publish = publish
        self.events = EventLog()
        self.resources = ResourceStore()
        self.services = ServiceTable(time.time, self._service_changed)
        self.orders: asyncio.Queue[Order] = asyncio.Queue()
        self.shown = asyncio.Event()
        self.fault: Fault = ""
        self.config: NodeConfig | None = None
        self.cluster: Cluster | None = None
        self._refreshing = False
        self._revert: asyncio.TimerHandle | None = None
        self._enrol()
        self._forget()

    def _forget(self) -> None:
        self.keep_tried()
        self.stage: Stage = "unknown"
        self.version = self.medium
        self.boot_id = ""
        self.booted_at = 0.0
        self.maintenance = False
        self.network_up = False
        self.static_pods = False
        self.node_ready = False
        self.busy = ""
        self.recovery: Recovery | None = None
        self.config = None
        self.announced: tuple[str, list[tuple[str, str]]] | None = None

    @property
    def upload(self) -> Path:
        """Where a snapshot lies that was uploaded for a recovery; as real ones, on the disk that a reset wipes."""
        return self.site.store.uploads / f"{self.address}.db"

    @property
    def minor(self) -> tuple[int, int]:
        """The running Talos version as (major, minor)."""
        major, minor = self.version.removeprefix("v").split(".")[:2]
        return int(major), int(minor)

    @property
    def hostname(self) -> str:
        return (
            self.config.host_name(self.disk.identity) if self.config else stable_hostname(self.disk.identity)
        )

    @property
    def disks(self) -> tuple[BlockDevice, ...]:
        """The disks built into it."""
        return read_disks(self.disk.disks)

    @property
    def system_disk(self) -> BlockDevice | None:
        """The disk that Talos is installed on."""
        return next((disk for disk in self.disks if disk.name == self.disk.system), None)

    @property
    def control_plane(self) -> bool:
        return self.config is not None and self.config.control_plane

    def power_up(self) -> None:
        """A new boot: empty memory, a new boot id, the installed version or that of the medium."""
        self._forget()
        self.services.clear()
        self.events.clear()
        self.resources.clear()
        while not self.orders.empty():
            self.orders.get_nowait()
        self.version = self.disk.installed or self.medium
        self.boot_id = str(uuid.uuid4())
        self.booted_at = time.time()
        self.enter("booting")

    def go_dark(self) -> None:
        """Close the API and forget everything in memory: power off or the moment of a reboot."""
        self.front.close()
        self.services.clear()
        self._forget()
        self.touch_cluster()

    def set_fault(self, fault: Fault, impostor: SSLContext | None = None) -> None:
        """Make the network silent, refusing, showing the certificate of `impostor`, or whole again (empty)."""
        self.fault = fault
        self.front.fault(fault, impostor)
        self.touch_cluster()

    def enter(self, stage: Stage) -> None:
        self.stage = stage
        self.refresh()

    def activate(self, text: str) -> None:
        """Make a configuration the active one without saving it."""
        self.config = read_config(text)
        self.refresh()
        self.touch_cluster()

    def try_config(self, loop: asyncio.AbstractEventLoop, text: str, seconds: float) -> None:
        """Activate a configuration in memory and go back to the saved one after `seconds`."""
        self.keep_tried()
        self.activate(text)
        self._revert = loop.call_later(seconds, self._end_trial)

    def keep_tried(self) -> None:
        """Cancel the way back of a trial, as any later apply does."""
        if self._revert is not None:
            self._revert.cancel()
            self._revert = None

    def _end_trial(self) -> None:
        self._revert = None
        if self.disk.config is not None:
            self.activate(self.disk.config)

    def write(self, clusters: Mapping[str, EtcdCluster] | None = None, **changes: Any) -> None:
        """Change fields of the disk and save it, with etcd clusters if given, before returning."""
        changed = replace(self.disk, **changes)
        self.site.store.save({self.address: changed}, clusters)
        self.disk = changed
        if "config" in changes:
            self._enrol()
        self.refresh()
        self.touch_cluster()

    def wipe(self, *, keep_system: bool) -> None:
        """Empty the disk: no configuration, no data, a new identity, and no system unless it is kept."""
        fresh = blank_disk(self.disk.disks)
        if keep_system:
            fresh = replace(fresh, installed=self.disk.installed, system=self.disk.system)
        names = ("identity", "installed", "system", "config", "etcd", "database_bytes", "meta", "images")
        self.upload.unlink(missing_ok=True)
        self.write(**{name: getattr(fresh, name) for name in names})

    def sequence(self, name: str, action: str, actor: str = "", error: str = "") -> None:
        """Announce the start or end of a sequence."""
        value: dict[str, Any] = {"sequence": name, "action": action}
        if error:
            value["error"] = {"code": "FATAL", "message": error}
        self.events.add("SequenceEvent", value, actor)

    def phase(self, name: str, actor: str = "") -> None:
        """Announce a phase that is over at once."""
        self.events.add("PhaseEvent", {"phase": name, "action": "START"}, actor)
        self.events.add("PhaseEvent", {"phase": name, "action": "STOP"}, actor)

    def refresh(self) -> None:
        """Publish the machine's state as resources and events, once per turn of the loop."""
        if not self._refreshing:
            self._refreshing = True
            asyncio.get_running_loop().call_soon(self._show)

    def touch_cluster(self) -> None:
        if self.cluster is not None:
            self.cluster.touch()

    def _show(self) -> None:
        self._refreshing = False
        if self.boot_id:
            self._publish(self)

    def _service_changed(self, service: Service, message: str) -> None:
        value: dict[str, Any] = {"service": service.id, "action": service.state.upper(), "message": message}
        if service.healthy is not None:
            value["health"] = {"healthy": service.healthy, "last_message": service.last_message}
        self.events.add("ServiceStateEvent", value)
        self.refresh()
        if service.id in _MEMBERSHIP:
            self.touch_cluster()

    def _enrol(self) -> None:
        identity = read_config(self.disk.config).cluster_id if self.disk.config else None
        if self.cluster is not None and self.cluster.id != identity:
            self.cluster.machines.pop(self.address, None)
            self.cluster.touch()
            self.cluster = None
        if identity is not None:
            self.cluster = self.site.cluster(identity)
            self.cluster.machines[self.address] = self
