"""Keep the results of pure capabilities by their input, so that a pass at rest computes nothing.

Bounded: the least recently used results go. Never keeps a result of a capability that is not
`memo`. Thread-safe. Neighbour: `observe` runs pure capabilities through it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from engine.base.values import Opaque
from engine.capabilities.contract import Capability


class Memo:
    """Results of pure capabilities, at most `capacity` of them."""

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._results: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, capability: Capability, given: Mapping[str, Any], now: float) -> Any:
        """The result for this input; raises what the capability raises and keeps no failure."""
        if capability.run is None:
            raise TypeError(f"{capability.name} is not pure")
        if not capability.memo:
            return capability.run(given, now)
        key = _key(capability.name, given)
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]
        result = capability.run(given, now)
        with self._lock:
            self._results[key] = result
            while len(self._results) > self._capacity:
                self._results.popitem(last=False)
        return result


def _key(name: str, given: Mapping[str, Any]) -> str:
    text = json.dumps(given, sort_keys=True, default=_opaque)
    return hashlib.blake2b(f"{name}\0{text}".encode(), digest_size=16).hexdigest()


def _opaque(value: object) -> str:
    if isinstance(value, Opaque):
        return value.digest()
    raise TypeError(f"a capability's input cannot hold {type(value).__name__}")
