"""Examples tell what they show. That a server takes them is shown in tests/unit/standalone/test_verdicts.py."""

from __future__ import annotations

import pytest

from tests.contract.sources import ROOT

EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_begins_with_what_it_is(path):
    assert path.read_text("utf-8").startswith("# ")
