"""The embedded API server: one thread, one event loop, one directory, loopback only.

`start` returns when requests are answered; a directory in use, a taken port, an unusable database
are StandaloneErrors with what to do. `stop` ends the thread; a kill loses nothing that was
acknowledged. Neighbours: `http`, `cluster`, `credentials`; cli and tests start it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from aiohttp import web

from engine.standalone.api import Api
from engine.standalone.cluster import Cluster
from engine.standalone.control import control_socket
from engine.standalone.credentials import Credentials, credentials, last_port, write_kubeconfig
from engine.standalone.door import cut
from engine.standalone.failures import StandaloneError
from engine.standalone.http import Edge, by_token
from engine.standalone.mutations import Mutations
from engine.standalone.storage import DEFAULT_LOG_LIMIT

_LOOPBACK = "127.0.0.1"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_KEEPALIVE_S = 3600.0
_LOCK_POLL_S = 0.05
_LOG = logging.getLogger(__name__)


class StandaloneApi:
    """A Kubernetes API in `directory` for the core kinds and the CRDs of `crd_directory` (*.yaml).

    `port` 0 takes the port of the last run, or a free one. `log_limit` bounds the event log, in changes.
    `wait_s` is how long a directory may still be in use by another process that is just ending.
    `control` is where it takes orders about its callers (`control`); None: nowhere.
    """

    def __init__(
        self,
        directory: Path,
        crd_directory: Path,
        port: int = 0,
        *,
        log_limit: int = DEFAULT_LOG_LIMIT,
        wait_s: float = 0.0,
        control: Path | None = None,
    ) -> None:
        self._directory = directory
        self._crd_directory = crd_directory
        self._port = port
        self._log_limit = log_limit
        self._wait_s = wait_s
        self._control = control
        self._lock: int | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self.kubeconfig = directory / "kubeconfig"

    @property
    def address(self) -> str:
        """`https://127.0.0.1:PORT`, once started."""
        return f"https://{_LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Serve in a thread of its own. StandaloneError when that cannot be."""
        self._take_directory()
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="standalone-api", daemon=True)
        self._thread.start()
        try:
            started.result(_START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the thread and free the directory; nothing happens when not started."""
        if self._thread is not None:
            if self._loop is not None and self._ending is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(_STOP_TIMEOUT_S)
            self._thread = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_directory(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            deadline = time.monotonic() + self._wait_s
            while not _locked(self._lock) and time.monotonic() < deadline:
                time.sleep(_LOCK_POLL_S)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.stop()
            text = f"{self._directory} is in use by another process; stop it, or choose another directory"
            raise StandaloneError(text) from error
        except OSError as error:
            raise StandaloneError(f"cannot use the directory {self._directory}: {error}") from error

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(started))
        except (StandaloneError, OSError, ValueError) as error:
            if started.done():
                _LOG.exception("the embedded API ended")
            else:
                started.set_exception(_explained(error, self._directory))
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    async def _serve(self, started: Future[None]) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        held = credentials(self._directory)
        cluster = Cluster(self._directory / "objects.db", self._crd_directory, log_limit=self._log_limit)
        mutations = Mutations() if self._control is not None else None
        edge = Edge(Api(cluster, held.token), by_token(held.token), mutations)
        server = web.Server(edge.handle, handler_cancellation=True, keepalive_timeout=_KEEPALIVE_S)
        runner = web.ServerRunner(server, shutdown_timeout=0.2)
        await runner.setup()
        sweeping = asyncio.create_task(cluster.collector.run())
        orders = None
        try:
            if self._control is not None and mutations is not None:
                orders = control_socket(self._control, mutations, cluster.bell)
                await orders.start()
            self._port = await self._listen(runner, held)
            write_kubeconfig(self.kubeconfig, held, self._port)
            started.set_result(None)
            await self._ending.wait()
        finally:
            if orders is not None:
                await orders.stop()
            sweeping.cancel()
            open_connections = [connection.transport for connection in server.connections]
            await runner.cleanup()
            await cut(open_connections)
            cluster.store.close()

    async def _listen(self, runner: web.ServerRunner, held: Credentials) -> int:
        candidates = [self._port] if self._port else [last_port(self.kubeconfig), 0]
        for port in candidates:
            site = web.TCPSite(runner, _LOOPBACK, port, ssl_context=held.context)
            try:
                await site.start()
            except OSError as error:
                if port == candidates[-1] or error.errno != errno.EADDRINUSE:
                    text = f"cannot listen on {_LOOPBACK}:{port}: {error.strerror}; choose another port"
                    raise StandaloneError(text) from error
                continue
            addresses = runner.addresses
            return int(addresses[-1][1])
        raise StandaloneError("no port to listen on")


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _explained(error: Exception, directory: Path) -> StandaloneError:
    if isinstance(error, StandaloneError):
        return error
    return StandaloneError(f"cannot start the embedded API in {directory}: {error}")
