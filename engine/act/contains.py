"""Whether a live object already holds everything that is wanted of it.

Maps are compared key by key, so that defaults and other writers' fields do not count; lists
item by item and of equal length, but for owner references and finalizers, which others add to.
`says_more` tells whether the live one has something that may once have been wanted. Pure. Neighbour: `kube`
asks before each write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.values import Opaque

_SHARED_LISTS = frozenset({"ownerReferences", "finalizers"})


def contains(live: Any, wanted: Any) -> bool:
    """True when nothing of `wanted` would change `live`. A wanted null is an absent key."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(_has(live, str(key), item) for key, item in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(live, list) or len(live) != len(wanted):
            return False
        return all(contains(there, item) for there, item in zip(live, wanted, strict=True))
    if isinstance(wanted, Opaque):
        return isinstance(live, str) and live == wanted.reveal()
    if _is_number(wanted):
        return _is_number(live) and bool(live == wanted)
    return type(live) is type(wanted) and bool(live == wanted)


def _is_number(value: Any) -> bool:
    """JSON knows one sort of numbers: what was computed as 2.0 comes back as 2."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has(live: Mapping[str, Any], key: str, wanted: Any) -> bool:
    if wanted is None:
        return live.get(key) is None
    if key not in live:
        return wanted in ({}, [])
    if key in _SHARED_LISTS:
        return all(any(contains(there, item) for there in live[key]) for item in wanted)
    return bool(contains(live[key], wanted))


def says_more(live: Any, wanted: Any) -> bool:
    """Whether a live value that contains the wanted one has a key, at any depth, that is not wanted any more."""
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return False
        said = {str(key): item for key, item in wanted.items() if item is not None}
        return bool(live.keys() - said.keys()) or any(
            says_more(live.get(key), item) for key, item in said.items()
        )
    if isinstance(wanted, list):
        return isinstance(live, list) and any(map(says_more, live, wanted))
    return False
