"""Kubernetes protobuf bodies: what kubectl sends for core kinds."""

from __future__ import annotations

import random

import pytest

from engine.standalone.wire import from_wire


def field(number, content):
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content


def body(kind, raw):
    about = field(1, b"v1") + field(2, kind)
    return b"k8s\x00" + field(1, about) + field(2, raw)


META = field(1, b"s") + field(3, b"default") + field(8, b"") + field(11, field(1, b"k") + field(2, b"v"))
SECRET = body(b"Secret", field(1, META) + field(2, field(1, b"a") + field(2, b"\xff")) + field(3, b"Opaque"))


def test_a_secret_is_read_with_bytes_as_base64():
    assert from_wire(SECRET) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "default", "labels": {"k": "v"}},
        "data": {"a": "/w=="},
        "type": "Opaque",
    }


def test_flags_lists_and_times_are_read():
    owner = field(1, b"K") + field(3, b"n") + field(4, b"u") + field(5, b"g/v1") + field(6, 1)
    meta = field(1, b"c") + field(8, field(1, 1)) + field(13, owner) + field(14, b"f")
    value = from_wire(body(b"ConfigMap", field(1, meta) + field(4, 1)))
    assert value["immutable"] is True
    assert value["metadata"]["creationTimestamp"] == "1970-01-01T00:00:01Z"
    assert value["metadata"]["ownerReferences"][0]["controller"] is True
    assert value["metadata"]["finalizers"] == ["f"]


def test_kinds_without_a_table_are_refused():
    with pytest.raises(ValueError, match="Pod is read as JSON only"):
        from_wire(body(b"Pod", b""))


def test_no_broken_body_does_more_than_raise_value_error():
    chance = random.Random(7)
    for _ in range(3000):
        broken = bytearray(SECRET[: chance.randrange(4, len(SECRET) + 1)])
        for _ in range(chance.randrange(3)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            from_wire(bytes(broken))
        except ValueError:
            continue
