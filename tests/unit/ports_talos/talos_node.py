"""Talos-like nodes for tests: real TLS by Python's ssl in front of a grpcio server, and nodes that misbehave."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from engine import protocol
from engine.machineconfig import certificates
from engine.machineconfig.certificates import Pair
from engine.ports.talos.identity import Identity

NOW = time.time()
DAY_S = 86400
# Two runs of these tests on one machine must not meet.
_NET = f"127.{70 + os.getpid() % 50}.{1 + os.getpid() // 50 % 250}"
OWN = certificates.make_authority("ed25519", "talos", now=NOW - 60)
FOREIGN = certificates.make_authority("ed25519", "talos", now=NOW - 60)

Handler = Callable[[Any, grpc.ServicerContext], Any]


def address(number: int) -> str:
    return f"{_NET}.{number}"


def identity(
    authority: Pair = OWN, *, trusts: Pair = OWN, since_s: float = 60, ttl_s: float = DAY_S
) -> Identity:
    pair = certificates.issue(
        authority, now=NOW - since_s, ttl_s=ttl_s, organizations=["os:admin"], client=True
    )
    return Identity(ca=trusts.crt, certificate=pair.crt, key=pair.key)


def server_context(
    names: Iterable[str], *, authority: Pair = OWN, clients: Pair | None = OWN, since_s: float = 60
) -> ssl.SSLContext:
    pair = certificates.issue(authority, now=NOW - since_s, ttl_s=DAY_S, server=True, addresses=names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.crt)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as chain:
        chain.write(pair.crt + certificates.relabel(pair.key))
        chain.flush()
        context.load_cert_chain(chain.name)
    return context


class Network:
    """Starts nodes and ends them. One loop thread carries all TLS, one gRPC server a node answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._nodes: list[Node] = []
        self._sockets: list[socket.socket] = []

    def node(self, number: int, context: ssl.SSLContext | None = None) -> Node:
        node = Node(self, address(number), self._folder / f"n{number}-{len(self._nodes)}")
        self._nodes.append(node)
        self.do(node.listen(context or server_context([node.address])))
        return node

    def silent(self, number: int) -> socket.socket:
        """A socket that takes connections and never says a word."""
        listener = socket.create_server((address(number), 50000), backlog=128)
        self._sockets.append(listener)
        return listener

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def close(self) -> None:
        for node in self._nodes:
            self.do(node.end())
        for listener in self._sockets:
            listener.close()
        self.do(_end_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


class Node:
    """`handlers` by method name answer; `received` counts what reached gRPC, `accepted` the connections."""

    def __init__(self, network: Network, where: str, path: Path) -> None:
        self.address = where
        self.handlers: dict[str, Handler] = {"Version": version}
        self.received: Counter[str] = Counter()
        self.accepted = 0
        self.open: set[asyncio.StreamWriter] = set()
        self._network = network
        self._path = path
        self._listener: asyncio.Server | None = None
        self._grpc = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        self._grpc.add_generic_rpc_handlers((_Dispatch(self),))
        self._grpc.add_insecure_port(f"unix:{path}")
        self._grpc.start()

    async def listen(self, context: ssl.SSLContext) -> None:
        self._listener = await asyncio.start_server(
            self._serve, self.address, 50000, ssl=context, backlog=256
        )

    async def end(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for writer in list(self.open):
            writer.transport.abort()
        self._grpc.stop(0)

    def cut(self, *, reset: bool) -> None:
        """End every connection: by RST, or politely."""
        self._network.loop.call_soon_threadsafe(self._cut, reset)

    def _cut(self, reset: bool) -> None:
        for writer in list(self.open):
            if reset:
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open.add(writer)
        try:
            up, down = await asyncio.open_unix_connection(str(self._path))
            await asyncio.gather(_pump(reader, down), _pump(up, writer))
        except OSError:
            pass
        finally:
            self.open.discard(writer)
            writer.close()


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()


class _Dispatch(grpc.GenericRpcHandler):
    def __init__(self, node: Node) -> None:
        self._node = node

    def service(self, details: Any) -> Any:
        method = protocol.methods()[details.method.lstrip("/")]
        handler = self._node.handlers.get(method.name)
        if handler is None:
            return None
        take = protocol.message_class(method.input.full_name).FromString

        def serve(request: Any, context: grpc.ServicerContext) -> Any:
            self._node.received[method.name] += 1
            return handler(request, context)

        give = protocol.message_class(method.output.full_name).SerializeToString
        make: Any = (
            grpc.stream_unary_rpc_method_handler
            if method.client_streaming
            else grpc.unary_stream_rpc_method_handler
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return make(serve, take, give)


def reply(name: str) -> Any:
    """An empty message of package machine."""
    return protocol.message_class(f"machine.{name}")()


def version(_request: Any, _context: grpc.ServicerContext) -> Any:
    answer = reply("VersionResponse")
    answer.messages.add().version.tag = "v1.13.0"
    return answer


def refuse(code: grpc.StatusCode, text: str) -> Handler:
    def handler(_request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(code, text)

    return handler


def eventually(holds: Callable[[], bool], within_s: float = 5.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.01)
    return holds()
