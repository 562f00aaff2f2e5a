"""How the engine names a kind and an object of it, without knowing any kind.

`Kind` comes from CRDs and from the table of core kinds; `Key` is what travels through the
work queue. Never looks anything up; no neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """One kind of API object. `plural` is the path segment; `group` is empty for core kinds."""

    group: str
    version: str
    name: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, or `version` alone for core kinds."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One object: its kind, its namespace ("" when cluster-wide) and its name."""

    kind: Kind
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """`namespace/name`, as logs and messages show it."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        return f"{self.kind.name} {self.path}"
