"""What Talos's generator can be asked for beside the cluster itself (`talosctl gen config`).

The operator leaves all of it at its defaults and patches instead; a person may ask for it by a file. Never
reads one. Neighbours: `asked` (the file), `generate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRISM_PORT: Final = 7445


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one generation; the defaults are Talos's own.

    `mirrors` are (registry, URLs), `authorities` (registry, PEM), `sysctls` (name, value); `kubespan` None says
    nothing of KubeSpan; `prism_port` 0 turns KubePrism off; `api_port` 0 leaves the API server's port.
    """

    disk: str = ""
    image: str = ""
    kernel_arguments: tuple[str, ...] = ()
    debug: bool = False
    scheduling: bool = False
    mirrors: tuple[tuple[str, tuple[str, ...]], ...] = ()
    authorities: tuple[tuple[str, str], ...] = ()
    insecure: tuple[str, ...] = ()
    kubespan: bool | None = None
    discovery: bool = True
    prism_port: int = PRISM_PORT
    api_port: int = 0
    sysctls: tuple[tuple[str, str], ...] = ()
    hostname: str = ""

    def registries(self) -> tuple[str, ...]:
        """The registries that have TLS settings, sorted."""
        return tuple(sorted({name for name, _ in self.authorities} | set(self.insecure)))


DEFAULTS: Final = Options()
