"""What one run of the engine is asked to do: flags and environment as one frozen value.

The command line makes it, `app` reads it; nothing else of the engine knows flags. Checks what can be
checked without touching the world; opens, connects and creates nothing. Neighbours: `cli.run`, `app`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from engine.base.addresses import bracketed
from engine.base.errors import SettingsError

LogFormat = Literal["text", "json"]

RETRY_JITTER: Final = 1.2
"""As in client-go."""
MOST_MACHINES: Final = 5000
"""Simulated machines stand on one loopback address each; one process carries no more."""


@dataclass(frozen=True, slots=True)
class BindAddress:
    """Where a server listens. An empty `host` means every interface; port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> BindAddress:
        """`HOST:PORT`, `:PORT` or `[IPV6]:PORT`. Raises SettingsError, saying what is wrong."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise SettingsError(
                f"{text!r} is no address to listen on; write HOST:PORT or :PORT, or 0 for none"
            )
        if ":" in host and not (host.startswith("[") and host.endswith("]")):
            raise SettingsError(f"{text!r}: an IPv6 address stands in brackets, as in [::1]:8080")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderElection:
    """How several engines agree on the one that works. Names and times are those that controller-runtime has."""

    name: str = "ffa5cb32.alperen.cloud"
    """The lease's; the operator that these resources come from takes the same."""
    namespace: str | None = None
    """None: that of the pod, or of the kubeconfig's context."""
    lease_s: float = 15.0
    renew_s: float = 10.0
    retry_s: float = 2.0

    def check(self) -> None:
        """Raises SettingsError when the times do not fit together, naming the flags."""
        lease, renew, retry = f"{self.lease_s:g}s", f"{self.renew_s:g}s", f"{self.retry_s:g}s"
        if self.lease_s < 1 or self.retry_s <= 0:
            raise SettingsError(
                f"--leader-elect-lease-duration {lease} and --leader-elect-retry-period {retry}: "
                "at least 1s, and more than nothing"
            )
        if self.lease_s <= self.renew_s:
            raise SettingsError(
                f"--leader-elect-lease-duration {lease} must be longer than --leader-elect-renew-deadline {renew}: "
                "whoever leads has to give up before another one takes over"
            )
        if self.renew_s <= RETRY_JITTER * self.retry_s:
            raise SettingsError(
                f"--leader-elect-renew-deadline {renew} must be longer than {RETRY_JITTER:g} times "
                f"--leader-elect-retry-period {retry}: else the first failure to renew is the last"
            )
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", self.name):
            raise SettingsError(
                f"--leader-election-id {self.name!r} is no name of an object; use a-z, 0-9, - and ."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One run. Times are seconds; an absent bind address means that the server is off."""

    kubeconfig: Path | None = None
    """None: $KUBECONFIG, the service account of the pod, or ~/.kube/config, in this order."""
    standalone: Path | None = None
    """Folder of the embedded API; it takes the place of any other cluster."""
    simulate: int = 0
    """How many simulated machines to start, 127.0.1.1 and on; 0: none, real machines are dialled."""
    apply: tuple[Path, ...] = ()
    until_ready_s: float | None = None
    rules: tuple[Path, ...] = ()
    """Folders or files of rules in place of the shipped ones; empty: the shipped ones."""
    metrics_bind_address: BindAddress | None = field(default=BindAddress("", 8443))
    metrics_secure: bool = True
    metrics_cert_dir: Path | None = None
    """Folder with tls.crt and tls.key for /metrics; None: a certificate of our own."""
    metrics_client_ca_file: Path | None = None
    """Authorities whose client certificates may stand for a token at /metrics; None: tokens only."""
    health_probe_bind_address: BindAddress | None = field(default=BindAddress("", 8081))
    meta_key: bool = False
    """Whether the rules may write network settings to the machines' META partitions."""
    backup_directory: Path | None = None
    """The directory below which etcd backups may be kept; None: none may be."""
    leader_election: LeaderElection | None = None
    """None: this engine works without asking anybody."""
    workers: int = 32
    log_format: LogFormat = "text"

    @property
    def calls(self) -> Path | None:
        """The file in which the simulated machines write down the calls they receive."""
        return self.standalone / "calls.jsonl" if self.standalone and self.simulate else None

    @property
    def loopback_only(self) -> bool:
        """Whether no other machine than simulated ones may be dialled."""
        return self.simulate > 0

    def check(self) -> None:
        """Raises SettingsError for what contradicts itself, naming the flags."""
        if self.simulate and self.standalone is None:
            raise SettingsError("--simulate needs --standalone DIR, where the machines' disks are kept")
        if self.standalone is not None and self.kubeconfig is not None:
            raise SettingsError("--standalone brings its own cluster; leave out --kubeconfig")
        if self.standalone is not None and self.standalone.exists() and not self.standalone.is_dir():
            raise SettingsError(f"--standalone {self.standalone} is a file; name a directory")
        if self.until_ready_s is not None and not self.apply:
            raise SettingsError("--until-ready waits for what --apply names; give at least one --apply FILE")
        if not 0 <= self.simulate <= MOST_MACHINES:
            raise SettingsError(f"--simulate {self.simulate}: between 1 and {MOST_MACHINES} machines")
        for flag, given in (
            ("--metrics-cert-dir", self.metrics_cert_dir),
            ("--metrics-client-ca-file", self.metrics_client_ca_file),
        ):
            if given is not None and not self.metrics_secure:
                raise SettingsError(f"{flag} is for TLS; leave out --metrics-secure=false")
        if self.leader_election is not None:
            self._check_election(self.leader_election)
        if self.workers < 1:
            raise SettingsError(f"--workers {self.workers}: at least 1")
        self._check_paths()

    def _check_election(self, election: LeaderElection) -> None:
        election.check()
        if self.standalone is not None:
            raise SettingsError(
                "--leader-elect is for engines that share a cluster; leave it out with --standalone, which brings its own"
            )
        if self.until_ready_s is not None:
            raise SettingsError(
                "--until-ready is for a run that does not wait for others; leave out --leader-elect"
            )

    def _check_paths(self) -> None:
        if self.backup_directory is not None and not self.backup_directory.is_dir():
            raise SettingsError(
                f"--backup-directory {self.backup_directory} is no directory; create it or mount the volume there"
            )
        for path in (*self.apply, *self.rules):
            if not path.exists():
                raise SettingsError(f"{path} does not exist")
