"""Stores as rules hand them on: an opaque handle that holds place and credentials, and threads of their own.

A handle is a text that only capabilities look into, so nothing is kept between passes but open connections. What
blocks on a store blocks threads that nobody else needs. Not an ability itself. Neighbours: `store_open` makes
handles, the other capabilities of stores open them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, TypeVar

from engine.base.errors import CapabilityError
from engine.base.values import Opaque
from engine.ports.stores.contract import Store
from engine.ports.stores.s3place import S3Place
from engine.ports.stores.threads import Threads

T = TypeVar("T")

LOOK_S: Final = 15.0
"""How long a look into a store may take in a pass."""

_THREADS: Final = 4
_OPEN: Final = 8


def handle_of(place: S3Place | Path) -> Opaque:
    """The handle of a store at this place."""
    if isinstance(place, S3Place):
        return Opaque(json.dumps({"s3": asdict(place)}, sort_keys=True))
    return Opaque(json.dumps({"directory": str(place)}))


def opened(handle: Opaque) -> Store:
    """The store behind a handle; sends nothing. Raises CapabilityError where its library is missing."""
    return _opened(handle.reveal())


async def beside(work: Callable[[], T]) -> T:
    """Run what blocks on a store in a thread that is there for it."""
    return await asyncio.wrap_future(_threads().submit(work))


@cache
def _threads() -> Threads:
    return Threads(_THREADS, "store")


@lru_cache(maxsize=_OPEN)
def _opened(text: str) -> Store:
    told = json.loads(text)
    if "directory" in told:
        from engine.ports.stores.directory import DirectoryStore

        return DirectoryStore(Path(told["directory"]))
    try:
        from engine.ports.stores.s3 import S3Store
    except ImportError:
        message = "object stores need the library boto3; install talos-operator[s3]"
        raise CapabilityError(message, sent="no", code="NoLibrary") from None
    return S3Store(S3Place(**told["s3"]))
