"""A kubectl-compatible Kubernetes API in a directory: no cluster, no etcd, one SQLite file.

`StandaloneApi(directory, crd_directory).start()` serves it; `python -m engine.standalone DIR` does so as a process.
"""

from __future__ import annotations

from engine.standalone.failures import StandaloneError
from engine.standalone.server import StandaloneApi

__all__ = ["StandaloneApi", "StandaloneError"]
