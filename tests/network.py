"""A network of its own for each test process, so that several can have machines on the same loopback addresses.

`python -m tests.network WORKERS pytest ...` runs pytest with so many workers, each of which `enter`s a namespace that has
loopback and nothing else; where such namespaces are not to be had, it runs pytest as it is. Linux only. Sources:
unshare(2), user_namespaces(7), netdevice(7). Neighbour: `conftest`, which has the workers enter.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1


def enter() -> None:
    """Leave the network of the machine; raises OSError where that is not allowed."""
    _unshare(_NEW_NET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = b"lo".ljust(16, b"\0")
        answer = fcntl.ioctl(any_socket, _GET_FLAGS, name + bytes(24))
        (flags,) = struct.unpack_from("h", answer, 16)
        fcntl.ioctl(any_socket, _SET_FLAGS, name + struct.pack("h", flags | _UP) + bytes(22))


def become_root_of_our_own() -> None:
    """Have the rights of root over what only we see; raises OSError where that is not allowed."""
    user, group = os.getuid(), os.getgid()
    _unshare(_NEW_USER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _unshare(flags: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _would_work(*steps: object) -> bool:
    """Try it in a child, which alone is changed by it."""
    child = os.fork()
    if not child:
        try:
            for step in steps:
                step()  # type: ignore[operator]
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def main() -> None:
    """Become the command that is given, with workers if they can be kept apart."""
    workers, *command = sys.argv[1:]
    parallel = ["-n", workers, "--dist", "loadfile"]
    if _would_work(enter):
        command += parallel
    elif _would_work(become_root_of_our_own, enter):
        become_root_of_our_own()
        command += parallel
    os.execvp(command[0], command)  # the command is the Makefile's


if __name__ == "__main__":
    main()
