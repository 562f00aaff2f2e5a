"""How a simulator is started: how many machines, where, how fast, and where their disks lie.

Pure values. `run` in `process` takes them; the command line and tests make them.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.base.errors import SettingsError
from engine.simulator.hardware import DEFAULT_DISKS, read_disks

CONTROL_SOCKET: Final = "control.sock"
"""Where in its folder a simulator takes orders."""


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """What `run` needs.

    `machines` listen on consecutive loopback addresses from `first_address`, all on `port`; on ::1 there is one.
    `directory` keeps their disks, the control socket and the ready file (None: a private
    temporary folder, deleted at the end). `calls` is the file that gets one JSON line per call
    received. `speed` divides every duration of `timing`. `versions` are handed round the
    machines: the Talos version of the medium each boots from before it is installed. `disks` are
    sets of disks in the words of `hardware`, handed round the machines that have none yet.
    """

    machines: int
    first_address: str = "127.0.1.1"
    directory: Path | None = None
    calls: Path | None = None
    speed: float = 1.0
    versions: tuple[str, ...] = ("v1.13.0",)
    disks: tuple[tuple[str, ...], ...] = (DEFAULT_DISKS,)
    port: int = 50000

    def addresses(self) -> list[str]:
        """The address of every machine, in order. Raises SettingsError off the loopback network."""
        if self.first_address == "::1" and self.machines == 1:
            return [self.first_address]
        try:
            first = ipaddress.IPv4Address(self.first_address)
        except ValueError as error:
            hint = "use one of 127.0.0.0/8, or ::1 for one machine"
            raise SettingsError(f"first address: {error}; {hint}") from error
        last = first + max(self.machines - 1, 0)
        if not (first.is_loopback and last.is_loopback):
            raise SettingsError(f"machines {first} .. {last} leave the loopback network 127.0.0.0/8")
        return [str(first + index) for index in range(self.machines)]

    def check(self) -> None:
        """Raises SettingsError, naming the setting, when the simulator cannot start with these."""
        if self.machines < 1:
            raise SettingsError(f"machines: {self.machines} is too few; at least 1")
        if self.speed <= 0:
            raise SettingsError(f"speed: {self.speed} is no speed; use a number above 0, 1 is normal")
        if not self.versions:
            raise SettingsError("versions: none given; use for example v1.13.0")
        if not self.disks:
            raise SettingsError("disks: none given; use for example sda,sr0")
        for texts in self.disks:
            try:
                read_disks(texts)
            except ValueError as error:
                raise SettingsError(f"disks: {error}") from error
        self.addresses()
