"""Have objects looked at as soon as their machines say that something has changed.

A rule names the resources that matter (`on.streams`); after each pass the object's watch is made to fit what the pass
knows: which machine, as whom, and whether at all. An event only wakes: what is true is read by the pass, so a burst of
events costs few passes and a lost one none. A watch that ends wakes too, and so does one that is open again.
Never decides and never writes. Neighbours: `worker` tells after each pass, `ports.talos.watches` keeps the connections.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

from engine import protocol
from engine.base.errors import EngineError, RemoteError
from engine.base.kinds import Key
from engine.base.values import Unknown, Value
from engine.capabilities.identities import Identities
from engine.decide.steps import connection
from engine.evaluate import Evaluation
from engine.ports.talos.address import parse_address
from engine.ports.talos.client import TalosClient
from engine.ports.talos.watched import Stream, Wanted
from engine.ruleset.model import Rule

if TYPE_CHECKING:
    from engine.ports.talos.watches import Watches

log = logging.getLogger(__name__)

APART_S: Final = 0.25
"""The passes that one machine's events ask for are so far apart; the first event of a burst waits for nothing."""
_WATCH: Final = "cosi.resource.State/Watch"
_RESPONSE: Final = "cosi.resource.WatchResponse"
_API_VERSION: Final = 1
_CHANGES: Final = frozenset({"CREATED", "UPDATED", "DESTROYED"})


class Streams:
    """The watches that objects want. `wake(key, delay_s)` has an object looked at."""

    def __init__(
        self, client: TalosClient, identities: Identities, wake: Callable[[Key, float], None]
    ) -> None:
        self._client = client
        self._identities = identities
        self._wake = wake
        self._watches: Watches | None = None
        self._woken: dict[Hashable, float] = {}
        self._heard: dict[str, float] = {}

    def start(self) -> None:
        """Begin to keep watches; after the client was started."""
        self._watches = self._client.watches
        self._watches.tell(self)

    def want(self, rule: Rule, key: Key, names: Evaluation, now: float) -> None:
        """Make the watch of an object fit what its pass knows; what is unknown leaves it as it is."""
        if self._watches is None or not rule.streams:
            return
        try:
            wanted = self._wanted(rule, names, now)
        except EngineError as error:
            log.debug("%s: its streams stay as they are: %s", key, error)
            return
        if not isinstance(wanted, Unknown):
            self._watches.keep(key, wanted)

    def forget(self, key: Key) -> None:
        """The object is gone, or nobody is to look at it."""
        if self._watches is not None:
            self._watches.keep(key, None)
        self._woken.pop(key, None)

    def figures(self) -> Value:
        """For each kind that watches machines: how many are `wanted` and `open`, and when the last change was `heard`.

        The latter in seconds since 1970, 0 before the first.
        """
        watches = self._watches
        counts: Counter[tuple[str, bool]] = Counter()
        for token in watches.tokens() if watches is not None else ():
            counts[_controller(token), watches is not None and watches.is_open(token)] += 1
        return [
            {
                "controller": name,
                "wanted": counts[name, True] + counts[name, False],
                "open": counts[name, True],
                "heard": self._heard.get(name, 0.0),
            }
            for name in sorted({name for name, _ in counts} | self._heard.keys())
        ]

    def opened(self, token: Hashable) -> None:
        """What changed before is seen by the pass that this asks for, what changes from now on is told."""
        self._soon(token)

    def message(self, token: Hashable, message: memoryview) -> bool:
        """Something has changed; False when the machine has lost count of what it has told."""
        reply: Any = protocol.message_class(_RESPONSE).FromString(bytes(message))
        kinds = {_event_type(event) for event in reply.event}
        if kinds & _CHANGES:
            self._heard[_controller(token)] = time.time()
            self._soon(token)
        return "ERRORED" not in kinds

    def ended(self, token: Hashable, error: RemoteError) -> None:
        """Nobody tells any more: whether the machine is still there is for the pass to find out."""
        log.info("%s: %s", token, error)
        self._soon(token, at_once=True)

    def refused(self, token: Hashable, stream: int, error: RemoteError) -> None:
        """Then changes of this resource are seen when the object is next looked at."""
        log.warning("%s: stream %d of its rule is not served: %s", token, stream + 1, error)

    def _wanted(self, rule: Rule, names: Evaluation, now: float) -> Wanted | None | Unknown:
        streams = watched(rule, names)
        if isinstance(streams, Unknown):
            return streams
        if not streams:
            return None
        assert rule.connect is not None  # the loader asks for it where there are streams
        node = connection(rule.connect, names.scope)
        if isinstance(node, Unknown):
            return node
        address, bundle = node
        return Wanted(
            parse_address(address, loopback_only=self._client.loopback_only),
            None if bundle is None else self._identities.of(bundle, now),
            tuple(_stream(verb, resource, name) for verb, resource, name in streams),
        )

    def _soon(self, token: Hashable, *, at_once: bool = False) -> None:
        """Wake an object now if it was not woken a moment ago, else when that moment is over; on the loop.

        It may have been looked at for another reason since a later moment was set: then that has to be said again.
        """
        now = time.monotonic()
        last = self._woken.get(token, -APART_S)
        due = now if at_once else max(now, last if last > now else last + APART_S)
        self._woken[token] = due
        self._wake(cast("Key", token), due - now)


def watched(rule: Rule, names: Evaluation) -> list[tuple[str, str, str]] | Unknown:
    """Verb (`get`, `list`), type and id ("": that of the type) of what a rule wants to be told; Unknown as a whole."""
    found: list[tuple[str, str, str]] = []
    for each in rule.streams:
        when = True if each.when is None else each.when.evaluate(names.scope)
        if isinstance(when, Unknown):
            return when
        if not when:
            continue
        name = "" if each.id is None else each.id.evaluate(names.scope)
        if isinstance(name, Unknown):
            return name
        found.append((each.verb, each.type, str(name)))
    return found


@lru_cache(maxsize=1024)
def _stream(verb: str, resource: str, name: str) -> Stream:
    """The watch of one resource or of a type; equal ones are one object for all machines.

    Source of what comes first: an empty message, then, of a single resource, its state.
    """
    kind = protocol.cosi_types()[resource]
    fields = {"namespace": kind.namespace, "type": resource, "api_version": _API_VERSION}
    if verb == "get":
        fields["id"] = name or kind.default_id
    message = protocol.to_message(protocol.methods()[_WATCH], fields)
    return Stream(_WATCH, message.SerializeToString(), preamble=2 if verb == "get" else 1)


def _event_type(event: Any) -> str:
    values = event.DESCRIPTOR.fields_by_name["event_type"].enum_type.values_by_number
    known = values.get(event.event_type)
    return "" if known is None else str(known.name)


def _controller(token: Hashable) -> str:
    return cast("Key", token).kind.name.lower()
