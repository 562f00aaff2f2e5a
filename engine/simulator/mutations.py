"""The calls that change a machine, in the order in which they came, and the order to kill a caller at one of them.

That is how a test kills the engine at every point between two effects: learn the calls of an
undisturbed run from `list`, then order a kill at each of them in turn. Pure bookkeeping: the
killing itself is in `meddling`. Neighbours: `control` orders and lists, `meddling` asks at each call.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.base.kills import Kill, KillOrder, Moment

_MACHINE: Final = "machine.MachineService/"
_NAMES: Final = (
    "ApplyConfiguration",
    "Bootstrap",
    "EtcdAlarmDisarm",
    "EtcdDefragment",
    "EtcdDowngradeCancel",
    "EtcdDowngradeEnable",
    "EtcdForfeitLeadership",
    "EtcdLeaveCluster",
    "EtcdRecover",
    "EtcdRemoveMemberByID",
    "ImagePull",
    "MetaDelete",
    "MetaWrite",
    "Reboot",
    "Reset",
    "Restart",
    "Rollback",
    "ServiceRestart",
    "ServiceStart",
    "ServiceStop",
    "Shutdown",
    "Upgrade",
)
MUTATING: Final = frozenset(
    [
        *(_MACHINE + name for name in _NAMES),
        "machine.ImageService/Import",
        "machine.ImageService/Pull",
        "machine.ImageService/Remove",
        "machine.LifecycleService/Install",
        "machine.LifecycleService/Upgrade",
        "storage.StorageService/BlockDeviceWipe",
        "cosi.resource.State/Create",
        "cosi.resource.State/Destroy",
        "cosi.resource.State/Update",
    ]
)


@dataclass(slots=True)
class Mutation:
    """One call: `code` is empty while it is under way or was never carried out, `killed` the moment at which its caller was killed.

    `etcd` counts the members of the machine's etcd cluster when the call came in: those that vote, those
    of them that run, and whether the machine has one of these (0 or 1); None when it has no member.
    """

    number: int
    time: float
    machine: str
    method: str
    etcd: Mapping[str, int] | None = None
    code: str = ""
    killed: Moment | None = None


class Mutations:
    """Every mutating call since the start or the last order, numbered from 1."""

    def __init__(self) -> None:
        self._calls: list[Mutation] = []
        self._order = KillOrder()

    def order(self, kill: Kill | None) -> None:
        """Begin to count anew, with this order and no other one (None: only count)."""
        self._calls = []
        self._order.give(kill)

    def receive(
        self, machine: str, method: str, request: Any, etcd: Mapping[str, int] | None = None
    ) -> tuple[Mutation | None, Kill | None]:
        """Note a call that has come in, if it would change something; the kill that meets it, used up by that."""
        if method not in MUTATING or getattr(request, "dry_run", False):
            return None, None
        mutation = Mutation(len(self._calls) + 1, time.time(), machine, method, etcd)
        self._calls.append(mutation)
        kill = self._order.meeting(mutation.number)
        if kill is not None:
            mutation.killed = kill.moment
        return mutation, kill

    def list(self) -> list[Mapping[str, Any]]:
        """The calls as the control socket shows them; no payload."""
        return [
            {
                "number": call.number,
                "time": round(call.time, 3),
                "machine": call.machine,
                "method": call.method,
                "etcd": call.etcd,
                "code": call.code or None,
                "killed": call.killed,
            }
            for call in self._calls
        ]

    @property
    def pending(self) -> bool:
        """Whether an ordered kill still waits for its call."""
        return self._order.is_pending
