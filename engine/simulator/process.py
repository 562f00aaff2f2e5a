"""Runs a simulator: one thread, one loop, one gRPC server, until SIGTERM or SIGINT.

Puts the parts together and takes them apart again. A clean stop leaves the disks; so does a kill.
Neighbours: everything in this package; `engine.cli.simulate` calls `run`.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import grpc.aio

from engine.base.errors import SettingsError
from engine.simulator.api import HANDLERS
from engine.simulator.calls import CallLog
from engine.simulator.connections import Connections
from engine.simulator.control import Control
from engine.simulator.disk import DiskStore
from engine.simulator.dispatch import Dispatcher
from engine.simulator.faults import Faults
from engine.simulator.fleet import Fleet
from engine.simulator.kubernetes import Kubernetes
from engine.simulator.mutations import Mutations
from engine.simulator.settings import CONTROL_SOCKET, SimulatorSettings
from engine.simulator.timing import Pace

READY_FILE = "ready.json"
_GRACE_S = 0.2
_LARGEST_MESSAGE = 32 << 20
_OPTIONS = [
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
]


def run(settings: SimulatorSettings) -> None:
    """Simulate until SIGTERM or SIGINT, then stop cleanly.

    Prints one line when every machine in maintenance mode listens, and writes `ready.json` into the folder (pid,
    addresses, port). Raises SettingsError when an address or the folder is in use or a setting is wrong.
    """
    settings.check()
    _raise_file_limit()
    if settings.directory is not None:
        settings.directory.mkdir(parents=True, exist_ok=True)
        asyncio.run(_simulate(settings, settings.directory.resolve()))
        return
    with tempfile.TemporaryDirectory(prefix="talos-simulator-") as folder:
        asyncio.run(_simulate(settings, Path(folder)))


async def _simulate(settings: SimulatorSettings, directory: Path) -> None:
    async with AsyncExitStack() as stack:
        _lock(directory, stack)
        private = _private_folder(directory, stack)
        store = DiskStore(directory / "machines.sqlite")
        stack.callback(store.close)
        calls = CallLog(settings.calls)
        stack.callback(calls.close)
        connections, faults, mutations = Connections(private), Faults(), Mutations()
        kubernetes = Kubernetes(directory)
        fleet = Fleet(store, connections, Pace(settings.speed), settings.port, kubernetes.settled)
        addresses = settings.addresses()
        fleet.add(addresses, settings.versions, settings.disks)
        fleet.check_addresses()
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((Dispatcher(fleet, HANDLERS, calls, faults, mutations),))
        server.add_insecure_port(f"unix:{connections.server}")
        await server.start()
        stack.push_async_callback(server.stop, _GRACE_S)
        control = Control(directory / CONTROL_SOCKET, fleet, faults, mutations)
        await control.start()
        stack.push_async_callback(control.stop)
        kubernetes.start()
        stack.push_async_callback(kubernetes.stop)
        stack.push_async_callback(fleet.stop)
        for machine in fleet.machines.values():
            if machine.disk.powered:
                fleet.power_on(machine)
        stopped = _stop_signals()
        await _all_listen(fleet, stopped)
        _announce(directory, addresses, settings.port, stack)
        await stopped.wait()


def _lock(directory: Path, stack: AsyncExitStack) -> None:
    lock = stack.enter_context((directory / "lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SettingsError(
            f"{directory}: another simulator runs here; stop it or name another folder"
        ) from error


async def _all_listen(fleet: Fleet, stopped: asyncio.Event) -> None:
    """Wait until the machines without a configuration listen; the others may depend on one another."""
    waiting = [asyncio.create_task(fleet.idle_listen()), asyncio.create_task(stopped.wait())]
    _, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()


def _private_folder(directory: Path, stack: AsyncExitStack) -> Path:
    """An empty folder for the sockets that only this process may use, under a name short enough for a socket."""
    folder = directory / "sockets"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, descriptor)
    return Path(f"/proc/self/fd/{descriptor}")


def _stop_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def _announce(directory: Path, addresses: list[str], port: int, stack: AsyncExitStack) -> None:
    ready = directory / READY_FILE
    content = {
        "pid": os.getpid(),
        "addresses": addresses,
        "port": port,
        "control": str(directory / CONTROL_SOCKET),
    }
    draft = ready.with_suffix(".new")
    draft.write_text(json.dumps(content))
    draft.rename(ready)
    stack.callback(ready.unlink, missing_ok=True)
    sys.stdout.write(f"simulating {len(addresses)} machines {addresses[0]} .. {addresses[-1]}\n")
    sys.stdout.flush()


def _raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
