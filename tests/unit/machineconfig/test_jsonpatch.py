"""JSON operations do what Talos's library does with them; the answers are its own."""

from __future__ import annotations

from typing import Any

import pytest

from engine.machineconfig.errors import ConfigError
from engine.machineconfig.jsonpatch import apply

DOCUMENT: dict[str, Any] = {"m": {"x": 1}, "l": [1, 2], "n": None, "t/~": "a"}


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ({"op": "replace", "path": "/z", "value": 1}, {"z": 1}),
        ({"op": "replace", "path": "/l/-1", "value": 9}, {"l": [1, 9]}),
        ({"op": "replace", "path": "/t~1~0", "value": "b"}, {"t/~": "b"}),
        ({"op": "add", "path": "/l/-", "value": 3}, {"l": [1, 2, 3]}),
        ({"op": "add", "path": "/l/-1", "value": 3}, {"l": [1, 2, 3]}),
        ({"op": "add", "path": "/l/0", "value": 3}, {"l": [3, 1, 2]}),
        ({"op": "add", "path": "/z"}, {"z": None}),
        ({"op": "remove", "path": "/l/-1"}, {"l": [1]}),
        ({"op": "copy", "from": "/z", "path": "/q"}, {"q": None}),
        ({"op": "copy", "from": "/m", "path": "/m/x"}, {"m": {"x": {"x": 1}}}),
        ({"op": "move", "from": "/l/0", "path": "/l/-"}, {"l": [2, 1]}),
        ({"op": "test", "path": "/z", "value": None}, {}),
        ({"op": "test", "path": "/m", "value": {"x": 1}}, {}),
    ],
)
def test_an_operation_changes_what_it_names(operation: dict[str, Any], changed: dict[str, Any]):
    assert apply(DOCUMENT, [operation]) == {**DOCUMENT, **changed}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/z/y", "value": 1},
        {"op": "replace", "path": "/l/2", "value": 1},
        {"op": "replace", "path": "/l/-", "value": 1},
        {"op": "add", "path": "", "value": {}},
        {"op": "add", "path": "/l/9", "value": 1},
        {"op": "add", "path": "/n/a", "value": 1},
        {"op": "add", "value": 1},
        {"op": "remove", "path": ""},
        {"op": "remove", "path": "/z"},
        {"op": "remove", "path": "/l/-"},
        {"op": "move", "from": "/z", "path": "/q"},
        {"op": "move", "from": "/m", "path": "/m/x"},
        {"op": "test", "path": "/m/x", "value": True},
        {"op": "test", "path": "/m/x", "value": 1.0},
        {"op": "test", "path": "/l/-", "value": 1},
        {"op": "test", "path": "m", "value": 1},
        {"op": "frobnicate", "path": "/m"},
        {"path": "/m"},
    ],
)
def test_an_operation_that_cannot_be_done_is_refused_and_changes_nothing(operation: dict[str, Any]):
    before = repr(DOCUMENT)
    with pytest.raises(ConfigError):
        apply(DOCUMENT, [operation])
    assert repr(DOCUMENT) == before
