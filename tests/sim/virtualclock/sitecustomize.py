"""Loaded by every Python process of a run under a virtual clock: in the project's own code `time.time()` is off by
what a file says.

The programs are the shipped ones, unchanged. Only the time of day is moved; what counts seconds (deadlines,
time-outs, timers) goes on as it is, and libraries see the real time: gRPC counts its deadlines by it, OpenSSL
checks certificates by it. Neighbour: `tests.sim.clock` moves it.
"""

import builtins
import mmap
import os
import struct
import time
import types

_import = builtins.__import__
_read = struct.Struct("=d").unpack_from
_offset = mmap.mmap(os.open(os.environ["VIRTUAL_CLOCK"], os.O_RDONLY), 8, access=mmap.ACCESS_READ)

_moved = types.ModuleType("time")
_moved.__dict__.update(time.__dict__)
_moved.time = lambda: time.time() + _read(_offset)[0]


def _imported(name, where=None, *rest, **more):
    if name == "time" and where is not None and str(where.get("__name__")).startswith("engine."):
        return _moved
    return _import(name, where, *rest, **more)


builtins.__import__ = _imported
