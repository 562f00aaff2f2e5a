"""Where Prometheus's own programs are: on the PATH, or where `make test-observability` has put them."""

from __future__ import annotations

import shutil

import pytest

from tests.contract.sources import ROOT

PLACE = ROOT / ".prometheus" / "usr" / "bin"


def program(name: str) -> str:
    """The path of `promtool` or `prometheus`; skips the test when there is none."""
    found = shutil.which(name) or shutil.which(name, path=str(PLACE))
    if found is None:
        pytest.skip(f"no {name} here: `make test-observability` fetches Debian's")
    return found
