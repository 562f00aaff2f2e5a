"""The kinds that are served: a fixed table of core kinds, and whatever CRDs say.

`Served` is one version of one kind, with all that any other module needs to know of it, so
that nothing else distinguishes kinds by name. `Catalog` finds them by URL. Neighbours:
`core_kinds.yaml` and `definitions` fill it; everything reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.standalone.schema import Schema
from engine.standalone.storage import Place

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Served:
    """One served version of a kind.

    `storage` is `plural.group` under which objects lie, `stored` their apiVersion there; `renames` maps
    top-level field names of this version to the stored ones. `guarded` means that a PUT must name the
    resourceVersion; `counts` that metadata.generation is kept. `schema` covers the whole object.
    """

    group: str
    version: str
    kind: str
    plural: str
    storage: str
    stored: str
    schema: Schema
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    status: bool = False
    custom: bool = True
    guarded: bool = True
    counts: bool = True
    has_rules: bool = False
    ttl_s: int | None = None
    columns: tuple[Mapping[str, Any], ...] = ()
    selectable: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    warning: str = ""

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for core kinds."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def place(self, namespace: str, name: str) -> Place:
        """Where an object of this kind lies in the store."""
        return Place(self.storage, namespace if self.namespaced else "", name)


class Catalog:
    """Every served kind, changed when a CRD comes, changes or goes."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], Served] = {}

    def find(self, group: str, version: str, plural: str) -> Served | None:
        """The kind behind a URL."""
        return self._kinds.get((group, version, plural))

    def serve(self, kinds: list[Served]) -> None:
        """Add kinds; those of the same plural and group are replaced."""
        for storage in {kind.storage for kind in kinds}:
            self.withdraw(storage)
        self._kinds |= {(kind.group, kind.version, kind.plural): kind for kind in kinds}

    def withdraw(self, storage: str) -> None:
        """Stop serving the kind stored as `plural.group`."""
        self._kinds = {key: kind for key, kind in self._kinds.items() if kind.storage != storage}

    def knows(self, api_version: str, kind: str) -> bool:
        """Whether any version of this kind's group is served; owner references name kinds so."""
        group = api_version.rpartition("/")[0]
        return any(one.group == group and one.kind == kind for one in self)

    def groups(self) -> dict[str, list[str]]:
        """Served versions by group, the storage version first."""
        found: dict[str, dict[str, None]] = {}
        for kind in sorted(self, key=lambda one: one.api_version != one.stored):
            found.setdefault(kind.group, {})[kind.version] = None
        return {group: list(versions) for group, versions in sorted(found.items())}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._kinds.values())
