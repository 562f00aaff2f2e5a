"""What was built, for the tests; without it they fail and say how it is had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kube import programs as built


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of a real etcd, kube-apiserver and kube-controller-manager."""
    found = built.found()
    if found is None:
        pytest.fail("no kube-apiserver was built: make kube-programs (needs Go and its module proxy)")
    return found
