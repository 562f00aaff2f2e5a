"""Find every capability of this folder, by listing it: adding one is adding a file.

Never imports more than the capability files themselves. Neighbour: `contract`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from engine import capabilities
from engine.capabilities.contract import Capability


@cache
def all_capabilities() -> Mapping[str, Capability]:
    """Name -> capability, in the order of their names.

    Raises ValueError when two files claim one name, which is a mistake of ours.
    """
    found: dict[str, Capability] = {}
    for module_info in pkgutil.iter_modules(capabilities.__path__):
        module = importlib.import_module(f"engine.capabilities.{module_info.name}")
        capability = getattr(module, "CAPABILITY", None)
        if not isinstance(capability, Capability):
            continue
        if capability.name in found:
            raise ValueError(f"two capabilities are called {capability.name}")
        found[capability.name] = capability
    return MappingProxyType(dict(sorted(found.items())))
