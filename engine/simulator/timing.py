"""How long each part of a machine's life takes, in seconds at speed 1.

Chosen short against real hardware but in its proportions, so that five machines go from
maintenance to a Ready cluster in about eight seconds. Pure but for `Pace.pause`, which waits.
Neighbours: `life` uses every value.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

REPLY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in seconds at speed 1, in the order in which a new machine meets them."""

    firmware: float = 0.8  # power on or reboot until the kernel has an address
    maintenance_apply: float = 0.1  # from the reply to ApplyConfiguration until the installer runs
    install: float = 1.5  # pull and write the system to the disk
    stop_services: float = 0.3  # before a reboot, shutdown or reset
    apid: float = 0.4  # until the API answers on a configured machine
    trustd: float = 0.2
    cri: float = 0.3  # Bootstrap is refused before this
    kubelet: float = 0.7
    etcd_start: float = 0.6  # a member with data, or a new one once it may join
    etcd_promote: float = 0.4  # a learner becomes a voter
    static_pods: float = 0.8  # API server, controller manager and scheduler
    node_ready: float = 0.4  # after the Kubernetes API answers
    wipe: float = 0.5


class Pace:
    """Durations divided by a speed factor."""

    def __init__(self, speed: float, timing: Timing | None = None) -> None:
        self.speed = speed
        self.timing = timing or Timing()

    def set(self, speed: float) -> None:
        """Go on at this speed; what is waited for already keeps its time. Raises ValueError at 0 and below."""
        if not speed > 0:
            raise ValueError(f"speed {speed}: a number above 0, 1 is normal")
        self.speed = speed

    async def pause(self, seconds: float) -> None:
        """Wait `seconds` of the machines' time."""
        await asyncio.sleep(seconds / self.speed)

    async def wind_down(self, seconds: float) -> None:
        """Wait as `pause` does, but at any speed long enough for the reply to the order to leave."""
        await asyncio.sleep(max(seconds / self.speed, REPLY_S))
