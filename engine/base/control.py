"""A socket on which a program takes orders from its own user: one JSON object a line in, one a line out.

Readable and writable for its owner alone (0600). Every request has `op`; the reply is {"ok": true, ...}
or {"ok": false, "error": text}, also for a line that is no request. Knows no operation itself.
Neighbours: the simulator and the embedded API each serve one.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

Order: TypeAlias = Mapping[str, Any]
CarryOut: TypeAlias = Callable[[str, Order], Awaitable[Mapping[str, Any]]]


class ControlSocket:
    """Serves `path`; `carry_out(op, request)` gives what the reply says, or raises what was wrong with the request."""

    def __init__(self, path: Path, carry_out: CarryOut) -> None:
        self._path = path
        self._carry_out = carry_out
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, in place of whatever a killed program has left there. OSError when that cannot be."""
        self._path.unlink(missing_ok=True)
        # A unix address holds 107 bytes and the folder may lie deep: name it by its descriptor.
        folder = os.open(self._path.parent, os.O_RDONLY)
        before = os.umask(0o177)
        try:
            place = f"/proc/self/fd/{folder}/{self._path.name}"
            self._server = await asyncio.start_unix_server(self._serve, place)
        finally:
            os.umask(before)
            os.close(folder)

    async def stop(self) -> None:
        """Take no more orders."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write((json.dumps(await self._answer(line)) + "\n").encode())
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
            return {"ok": True, **await self._carry_out(request["op"], request)}
        except (KeyError, ValueError, TypeError, AttributeError, OSError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
