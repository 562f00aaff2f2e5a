"""Prepare one declared read: look in the cache, compute, or say what to ask over the network.

Never waits and never writes. Neighbours: `snapshot` runs what is prepared here; the client of
Talos, the cache of API objects and the capabilities give the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from engine.base.errors import EngineError, ExpressionError
from engine.base.fieldtree import FieldTree, merged
from engine.base.kinds import Key, Kind
from engine.base.model import KindMatch
from engine.base.values import Unknown, Value, first_unknown
from engine.capabilities.contract import Capability, Ports
from engine.capabilities.inputs import check_input
from engine.capabilities.memo import Memo
from engine.decide.steps import connection
from engine.evaluate import Evaluation, NotObserved
from engine.expr import Scope
from engine.nodes import Nodes
from engine.observe.answers import Read, opened
from engine.ruleset.model import CallRead, CosiRead, KubeGet, KubeList, ObserveRule, TalosRead


class ObjectCache(Protocol):
    """The watch cache, as far as reads need it."""

    def get(self, key: Key) -> Mapping[str, Any] | None: ...

    def is_known(self, key: Key) -> bool: ...

    def list(self, kind: Kind, namespace: str, match: Mapping[str, str]) -> list[Mapping[str, Any]]: ...


class Reader:
    """Knows for each sort of source where its answer comes from."""

    def __init__(self, cache: ObjectCache, nodes: Nodes, memo: Memo) -> None:
        self._cache = cache
        self._nodes = nodes
        self._memo = memo

    def prepare(
        self,
        rule: ObserveRule,
        names: Evaluation,
        ports: Ports,
        objects: dict[Key, FieldTree | None],
        lists: set[KindMatch],
    ) -> list[Read]:
        """One Read, or one an item; notes in `objects` and `lists` what it depends on.

        Raises NotObserved when another observation has to come first, RemoteError when the
        cache cannot answer, ExpressionError when the rule does not fit the object. An item that
        cannot be read for such a reason spares the others: its Read carries the error.
        """
        if rule.for_each is None:
            return [self._one(rule, "", names.scope, ports, objects, lists)]
        items = rule.for_each.items.evaluate(names.scope)
        if isinstance(items, Unknown):
            raise DependencyUnknown(f"{items.source}: {items.reason}")
        reads = []
        for item in items or ():
            scope = names.scope.child({rule.for_each.name: item})
            key = _text(rule.for_each.key, scope)
            try:
                reads.append(self._one(rule, key, scope, ports, objects, lists))
            except NotObserved:
                raise
            except EngineError as error:
                reads.append(Read(key, scope, error=error))
        return reads

    def _one(
        self,
        rule: ObserveRule,
        item: str,
        scope: Scope,
        ports: Ports,
        objects: dict[Key, FieldTree | None],
        lists: set[KindMatch],
    ) -> Read:
        source = rule.source
        if isinstance(source, KubeGet):
            namespace = _text(source.namespace, scope) if source.namespace else ports.namespace
            key = Key(source.kind, namespace if source.kind.namespaced else "", _text(source.name, scope))
            objects[key] = merged(objects[key], source.fields) if key in objects else source.fields
            if self._cache.is_known(key):
                return Read(item, scope, opened(self._cache.get(key)))
            return Read(item, scope, work=lambda: self._first_look(key))
        if isinstance(source, KubeList):
            namespace = _text(source.namespace, scope) if source.namespace else ports.namespace
            match = {path: _text(form, scope) for path, form in source.match.items()}
            lists.add(KindMatch(source.kind, namespace, tuple(match.items())))
            return Read(
                item, scope, [opened(found) for found in self._cache.list(source.kind, namespace, match)]
            )
        if isinstance(source, CallRead):
            return self._call(source.capability, _known(source.input.evaluate(scope)), item, scope, ports)
        return Read(item, scope, work=self._remote(source, scope, rule.deadline_s, ports.now))

    async def _first_look(self, key: Key) -> Any:
        """Ask the API server once for an object that is kept on demand; not while computing."""
        return opened(await asyncio.to_thread(self._cache.get, key))

    def _call(self, capability: Capability, given: Any, item: str, scope: Scope, ports: Ports) -> Read:
        check_input(capability, given)
        if capability.run is not None:
            return Read(item, scope, self._memo.run(capability, given, ports.now))
        start = capability.start
        if start is None:
            raise ExpressionError(f"capability {capability.name} has nothing to run")
        return Read(item, scope, work=lambda: start(ports, given))

    def _remote(
        self, source: TalosRead | CosiRead, scope: Scope, deadline_s: float, now: float
    ) -> Callable[[], Awaitable[Any]]:
        where = connection(source.connect, scope)
        if isinstance(where, Unknown):
            raise DependencyUnknown(f"{where.source}: {where.reason}")
        address, bundle = where
        if isinstance(source, CosiRead):
            wanted = "" if source.id is None else _text(source.id, scope)
            return lambda: self._nodes.resources(address, bundle, source, wanted, now, deadline_s)
        request = {} if source.request is None else _known(source.request.evaluate(scope))
        return lambda: self._nodes.read(address, bundle, source, request, now, deadline_s)


def _known(value: Value) -> Any:
    unknown = first_unknown(value)
    if unknown is not None:
        raise DependencyUnknown(f"{unknown.source}: {unknown.reason}")
    return value


def _text(form: Any, scope: Scope) -> str:
    value = _known(form.evaluate(scope))
    if not isinstance(value, str) or not value:
        raise DependencyUnknown(f"{form.position}: needs a name, got {value!r}")
    return value


class DependencyUnknown(ExpressionError):
    """Something that the read needs has no answer in this pass."""
