"""Keep a local copy of every kind that the rules name, and tell of each change.

Reads of passes come from here. Of kinds kept on demand (Secrets, say) only what was looked at by
name, and what one of our kinds owns, is kept; the first look asks the API server. Objects are shared
and must not be changed. Never writes. Neighbours: a Reflector for each kind brings the objects,
`store` holds them, `engine` is told, passes read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any, Final

from engine.base.errors import Missing, RemoteError
from engine.base.kinds import Key, Kind
from engine.base.versions import is_older
from engine.ports.kube.client import KubeClient
from engine.ports.kube.reflector import Reflector
from engine.ports.kube.stream import WatchEvent
from engine.store import Name, Object, Store, name_of, version_of

log = logging.getLogger(__name__)

Changed = Callable[[Kind, Object | None, Object | None], None]

_STOP_S: Final = 5.0


class Cache:
    """The objects of many kinds. Safe for use by many threads."""

    def __init__(
        self,
        client: KubeClient,
        kinds: Collection[Kind],
        *,
        on_demand: Collection[Kind] = (),
        owners: Collection[Kind] = (),
        waits_s: tuple[float, float] = (0.8, 30.0),
    ) -> None:
        """`owners` are our kinds; `waits_s` the shortest and longest wait after a failed watch."""
        self._client = client
        self._on_demand = frozenset(on_demand)
        self._owners = frozenset((kind.group, kind.name) for kind in owners)
        self._lock = threading.Lock()
        self._looks: dict[Key, Future[None]] = {}
        self._stores = {kind: Store(self._keeper(kind)) for kind in kinds}
        self._changed: list[Changed] = []
        self._reflectors = [
            Reflector(client, kind, _Shelf(kind, self._stores[kind], self._tell), waits_s=waits_s)
            for kind in sorted(self._stores)
        ]

    def subscribe(self, changed: Changed) -> None:
        """Have `changed(kind, old, new)` called for each change; before `start`.

        It is called in the thread of the kind's watch and should return soon.
        """
        self._changed.append(changed)

    def start(self, timeout_s: float = 60.0) -> None:
        """Start all watches and wait until each has listed once; raises the first failure's error."""
        for reflector in self._reflectors:
            reflector.start()
        deadline = time.monotonic() + timeout_s
        for reflector in self._reflectors:
            if not reflector.synced.wait(max(0.0, deadline - time.monotonic())):
                text = f"no list of {reflector.kind.plural} within {timeout_s:g} s"
                raise reflector.failure or RemoteError(text, code="NotListed")

    def synced(self) -> bool:
        """Whether every kind has been listed."""
        return self.readiness() is None

    def readiness(self) -> str | None:
        """What is not listed yet; None when everything is. A check for /readyz."""
        missing = [item.kind.plural for item in self._reflectors if not item.synced.is_set()]
        return f"not listed yet: {', '.join(missing)}" if missing else None

    def liveness(self) -> str | None:
        """Which watch has died or hangs; None when all turn, reach the server or not. For /healthz."""
        return next((told for item in self._reflectors if (told := item.trouble()) is not None), None)

    def heard(self) -> list[tuple[Kind, float]]:
        """When the API server last told something of each kind, in seconds since 1970; not of those it never did."""
        heard = ((item.kind, item.heard_at) for item in self._reflectors)
        return [(kind, at) for kind, at in heard if at is not None]

    def stop(self) -> None:
        """End all watches."""
        for reflector in self._reflectors:
            reflector.halt()
        deadline = time.monotonic() + _STOP_S
        for reflector in self._reflectors:
            if reflector.is_alive():
                reflector.join(max(0.0, deadline - time.monotonic()))

    def get(self, key: Key) -> Object | None:
        """One object, or None when there is none.

        The first look at an object kept on demand asks the API server, and raises RemoteError when
        that fails: nothing here says that an object is absent before somebody has looked.
        """
        if key.kind in self._on_demand:
            self.want(key)
        return self._stores[key.kind].get((key.namespace, key.name))

    def list(
        self, kind: Kind, namespace: str | None = None, match: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Objects that have these texts at these dotted paths, by name; `namespace` None means all."""
        return self._stores[kind].select(namespace if kind.namespaced else None, match or {})

    def is_known(self, key: Key) -> bool:
        """Whether `get` answers from memory; False only before the first look at an object kept on demand."""
        if key.kind not in self._on_demand:
            return True
        look = self._looks.get(key)
        return look is not None and look.done()

    def want(self, key: Key) -> None:
        """Keep this object from now on; returns when its state is known. Raises RemoteError."""
        with self._lock:
            look = self._looks.get(key)
            is_mine = look is None
            if look is None:
                look = self._looks[key] = Future()
        if is_mine:
            self._look(key, look)
        look.result()

    def _look(self, key: Key, look: Future[None]) -> None:
        name, store = (key.namespace, key.name), self._stores[key.kind]
        store.ask(name)
        found = None
        try:
            found = self._client.get(key)
        except Missing:
            pass
        except Exception as error:  # noqa: BLE001  # raised again by everybody who waits for this look
            with self._lock:
                del self._looks[key]
            look.set_exception(error)
            return
        finally:
            store.answer(name, found)
        look.set_result(None)

    def _keeper(self, kind: Kind) -> Callable[[Name, Object], bool]:
        if kind not in self._on_demand:
            return lambda _name, _item: True
        return lambda name, item: Key(kind, *name) in self._looks or self._is_owned(item)

    def _is_owned(self, item: Object) -> bool:
        references = item["metadata"].get("ownerReferences") or ()
        return any(
            (each["apiVersion"].rpartition("/")[0], each["kind"]) in self._owners for each in references
        )

    def _tell(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if old is new:
            return
        for changed in self._changed:
            try:
                changed(kind, old, new)
            except Exception:
                log.exception("a change of %s could not be told", kind)


class _Shelf:
    """Puts what a Reflector brings into a store, and tells what changed by that."""

    def __init__(self, kind: Kind, store: Store, tell: Changed) -> None:
        self._kind = kind
        self._store = store
        self._tell = tell
        self._seen: set[Name] = set()
        self._version = ""

    def page(self, items: list[dict[str, Any]], *, first: bool) -> None:
        """Take the objects in at once, so that no whole list is ever held."""
        if first:
            self._seen.clear()
        for item in items:
            self._seen.add(name_of(item))
            self._tell(self._kind, *self._store.put(item, listed=True))

    def listed(self, version: str) -> None:
        """What is here and was not listed is gone."""
        # A server restored from a backup counts versions anew; what we have is then worth nothing.
        went_back = is_older(version, self._version)
        for name in self._store.names() - self._seen:
            self._tell(self._kind, self._store.remove(name, "" if went_back else version), None)
        self._seen, self._version = set(), version

    def event(self, event: WatchEvent) -> None:
        """One change."""
        self._version = version_of(event.object)
        if event.type == "DELETED":
            name, version = name_of(event.object), version_of(event.object)
            self._tell(self._kind, self._store.remove(name, version), None)
        else:
            self._tell(self._kind, *self._store.put(event.object))
