"""Pull the cable of a socket: the kernel drops whatever comes to it before anybody answers.

No reset, no acknowledgement, no end, as from a machine without power. Linux only; some kernels allow it to
root alone, and then OSError is raised. Source: socket(7), linux/filter.h. Neighbours: `front`, `relay`.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from contextlib import suppress
from typing import Final

_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
_TAKE_NOTHING: Final = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A program of one instruction, `ret #0`: keep no byte of any packet."""


def pull(end: socket.socket) -> None:
    """Let nothing in any more."""
    instructions = ctypes.create_string_buffer(_TAKE_NOTHING)
    program = struct.pack("HL", 1, ctypes.addressof(instructions))
    end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def plug_in(end: socket.socket) -> None:
    """Let everything in again."""
    with suppress(FileNotFoundError):
        end.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
