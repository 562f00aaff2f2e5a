"""The handlers of the Talos API, one module per service or group of methods.

Each module has a table METHODS: path of a method -> Handler. A handler takes a Call and gives its
reply as plain values in the shape of the message (a dict, or dicts from an async generator for a
server stream), or raises Refusal. Neighbours: `dispatch` calls them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.simulator.api import (
    configuration,
    cosi,
    etcd,
    images,
    information,
    kubernetes,
    power,
    storage,
    streams,
)
from engine.simulator.api.call import Handler

HANDLERS: Final[Mapping[str, Handler]] = {
    **information.METHODS,
    **configuration.METHODS,
    **power.METHODS,
    **etcd.METHODS,
    **kubernetes.METHODS,
    **streams.METHODS,
    **storage.METHODS,
    **images.METHODS,
    **cosi.METHODS,
}
