"""A socket on which a program takes orders from its own user: one JSON object a line in, one a line out.

Readable and writable for its owner alone (0600). Every request has `op`; the reply is {"ok": true, ...}
or {"ok": false, "error": text}, also for a line that is no request. Knows no operation itself.
Neighbours: the simulator and the embedded API each serve one; the command `meddle` gives orders.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

Order: TypeAlias = Mapping[str, Any]
CarryOut: TypeAlias = Callable[[str, Order], Awaitable[Mapping[str, Any]]]


class ControlSocket:
    """Serves `path`; `carry_out(op, request)` gives what the reply says.

    It raises KeyError for what the request lacks, ValueError for what is wrong in it.
    """

    def __init__(self, path: Path, carry_out: CarryOut) -> None:
        self._path = path
        self._carry_out = carry_out
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, in place of whatever a killed program has left there. OSError when that cannot be."""
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            with _address(self._path) as address:
                self._server = await asyncio.start_unix_server(self._serve, address)
        finally:
            os.umask(before)

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
        except KeyError as error:
            return {"ok": False, "error": f"the request does not say {error}"}
        except ValueError as error:
            return {"ok": False, "error": str(error)}
        except (TypeError, AttributeError, OSError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}


def order(path: Path, request: Order, *, timeout_s: float = 30.0) -> dict[str, Any]:
    """Send one request to the program that listens at `path`: its reply. OSError when nobody answers within the time."""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(timeout_s)
        with _address(path) as address:
            end.connect(address)
        end.sendall((json.dumps(request) + "\n").encode())
        with end.makefile() as replies:
            line = replies.readline()
    if not line.endswith("\n"):
        raise ConnectionResetError("the program ended before it answered")
    reply: dict[str, Any] = json.loads(line)
    return reply


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A unix address holds 107 bytes and the folder may lie deep: name it by its descriptor."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
