"""The machines of a pool: each once, each with its address or the reason why it has none."""

from __future__ import annotations

import asyncio

import pytest

from engine.capabilities.pool_members import CAPABILITY, merged_spec
from tests.unit.spine.server import spine


def members(over, *machines, shared=None):
    pool = {"machines": list(machines)}
    if shared is not None:
        pool["machineSpec"] = shared
    work = CAPABILITY.start(over.ports(), {"pool": pool, "namespace": over.server.namespace})

    async def wait():
        return await work

    return over.talos.run(wait(), timeout_s=10)


@pytest.fixture
def over(server):
    with spine(server) as made:
        yield made


def ref(name="host", path="spec.address", **more):
    return {
        "machineRef": {
            "apiVersion": "example.org/v1",
            "kind": "Widget",
            "name": name,
            "fieldPath": path,
            **more,
        }
    }


def test_machines_come_in_the_order_of_the_list_and_each_address_once(over):
    found = members(
        over, {"address": "10.0.0.2"}, {"address": "10.0.0.1"}, {"address": "10.0.0.2", "version": "v9"}
    )
    assert [item["address"] for item in found] == ["10.0.0.2", "10.0.0.1"]
    assert found[0]["version"] is None


def test_two_ways_to_write_one_address_are_one_machine(over):
    found = members(over, {"address": "fd00::1"}, {"address": "FD00:0::1"})
    assert [item["address"] for item in found] == ["fd00::1"]


def test_a_reference_leads_to_the_address_that_another_object_holds(over):
    over.server.make("host", spec={"address": "10.0.0.7"})
    (found,) = members(over, ref())
    assert (found["address"], found["error"]) == ("10.0.0.7", None)


def test_a_reference_without_a_namespace_means_that_of_the_pool(over):
    over.server.make("host", spec={"address": "10.0.0.7"})
    (near,) = members(over, ref(namespace=""))
    (far,) = members(over, ref(namespace="elsewhere"))
    assert near["address"] == "10.0.0.7"
    assert far["address"] is None and far["error"].startswith("Widget host: ")


def test_a_reference_to_a_listed_address_is_the_same_machine(over):
    over.server.make("host", spec={"address": "10.0.0.7"})
    assert len(members(over, {"address": "10.0.0.7"}, ref())) == 1


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (ref("nobody"), "Widget nobody: "),
        (ref(kind="Gadget"), "Gadget host: "),
        (ref(path=""), "Widget host: machineRef.fieldPath is empty"),
        (ref(path="spec.parent"), "Widget host: nothing at spec.parent yet"),
        (ref(path="spec.any.word"), "Widget host: 'many' at spec.any.word is no IP address"),
        (ref(path="spec.any"), "Widget host: nothing at spec.any yet"),
        (
            ref(path="spec.any[0"),
            "Widget host: machineRef.fieldPath 'spec.any[0' cannot be read: '[0' is not",
        ),
        ({}, "? ?: machineRef.fieldPath is empty"),
    ],
)
def test_one_that_leads_nowhere_says_why_and_stops_nobody_else(over, machine, reason):
    over.server.make("host", spec={"address": "10.0.0.7", "any": {"word": "many"}})
    lost, found = members(over, machine, {"address": "10.0.0.1"})
    assert lost["address"] is None
    assert lost["error"].startswith(reason)
    assert found["address"] == "10.0.0.1"


def test_several_that_lead_nowhere_are_all_told(over):
    found = members(over, ref("nobody"), ref("nobody"))
    assert [item["address"] for item in found] == [None, None]


def test_a_pool_without_machines_is_empty(over):
    assert members(over) == []
    assert asyncio.iscoroutinefunction(CAPABILITY.start)


@pytest.mark.parametrize(
    ("shared", "machine", "expected"),
    [
        (None, {}, None),
        ({"image": "a"}, {}, {"image": "a"}),
        ({"image": "a", "x": 1}, {"image": "b"}, {"image": "b", "x": 1}),
        (None, {"configPatches": ["p"]}, {"configPatches": ["p"]}),
        ({"configPatches": ["a"]}, {"configPatches": ["b"]}, {"configPatches": ["a", "b"]}),
        ({"additionalConfig": ["a"]}, {"additionalConfig": []}, {"additionalConfig": ["a"]}),
    ],
)
def test_what_belongs_to_one_machine_is_merged_into_the_pools_spec(shared, machine, expected):
    before = {key: list(value) if isinstance(value, list) else value for key, value in (shared or {}).items()}
    assert merged_spec(shared, machine) == expected
    assert (shared or {}) == before
