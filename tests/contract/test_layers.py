"""Imports point downward only. The table is the architecture; docs/architecture.md tells it in prose."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.contract.sources import Source, engine, within

LAYERS: tuple[tuple[str, ...], ...] = (
    # Lowest first. Modules of one line may import each other only within the same package.
    ("engine.base",),
    ("engine.expr", "engine.settings", "engine.cli.text", "engine.cli.bringup"),
    (
        "engine.store",
        "engine.wake",
        "engine.workqueue",
        "engine.exposition",
        "engine.freshness",
        "engine.patience",
        "engine.clockwatch",
    ),
    ("engine.series", "engine.process_metrics", "engine.listener"),
    ("engine.protocol", "engine.health", "engine.etcdfile"),
    ("engine.machineconfig", "engine.ports.kube", "engine.ports.stores", "engine.ports.talos"),
    ("engine.capabilities", "engine.watch"),
    ("engine.ruleset",),
    ("engine.conditions", "engine.boards", "engine.permissions"),
    ("engine.evaluate", "engine.election"),
    ("engine.decide", "engine.nodes", "engine.samples"),
    ("engine.observe", "engine.act", "engine.report", "engine.measure", "engine.streams"),
    ("engine.worker", "engine.leader", "engine.reload"),
    (
        "engine.serve",
        "engine.bringup",
        "engine.definitions",
        "engine.companion",
        "engine.embedded",
        "engine.progress",
        "engine.process",
    ),
    ("engine.endpoints",),
    ("engine.engine",),
    ("engine.lives",),
    ("engine.app",),
    ("engine.cli",),
    ("engine.__main__",),
)
"""A module has the lowest line that names it: of the command line, what only draws stands below the engine.
The spine's hops stand in one line from `observe` to `measure`: none of them knows another."""

PRODUCTS = ("engine.simulator", "engine.standalone")
"""Programs of their own that travel with the engine."""
PRODUCTS_MAY_USE = (
    "engine.base",
    "engine.etcdfile",
    "engine.protocol",
    "engine.machineconfig",
    "engine.ports.talos",
)
BESIDES = {"engine.simulator": ("engine.standalone",)}
"""The clusters of the simulator have a Kubernetes API: the embedded one."""
PRODUCTS_USED_BY = ("engine.cli", "engine.app", "engine.companion", "engine.embedded")

PURE = ("engine.decide", "engine.expr", "engine.machineconfig", "engine.ruleset")
IMPURE = ("engine.ports", "time", "random", "os", "socket", "threading", "secrets", "subprocess", "asyncio")
KEY_MAKERS = ("engine.machineconfig.certificates", "engine.machineconfig.secretsbundle")
"""New keys need randomness; only capabilities that say so (`random`) call these."""
WORLD = ("engine.ports.kube", "engine.ports.stores", "engine.ports.talos")


def layer_of(name: str) -> int | None:
    """The line of the table that a module belongs to."""
    for level, packages in enumerate(LAYERS):
        if any(name == package or name.startswith(package + ".") for package in packages):
            return level
    return None


def same_package(name: str, other: str) -> bool:
    for packages in LAYERS:
        for package in packages:
            if all(each == package or each.startswith(package + ".") for each in (name, other)):
                return True
    return False


SPINE = [
    source
    for source in engine()
    if source.text.strip() and source.name != "engine" and not within(source, *PRODUCTS)
]


def test_every_module_has_its_place_in_the_table():
    assert [source.where for source in SPINE if layer_of(source.name) is None] == []


def test_the_table_has_no_place_twice():
    named = sorted(package for packages in LAYERS for package in packages)
    assert all(first != second for first, second in pairwise(named))


def points_downward(source: Source, name: str) -> bool:
    own, other = layer_of(source.name), layer_of(name)
    return same_package(source.name, name) or (own is not None and other is not None and other < own)


def test_imports_point_downward():
    wrong = [
        f"{source.where}:{line} imports {name}"
        for source in SPINE
        for line, name in source.imports()
        if name.startswith("engine.") and not name.startswith(PRODUCTS) and not points_downward(source, name)
    ]
    assert wrong == []


def test_what_is_pure_imports_nothing_that_is_not():
    wrong = [
        f"{source.where}:{line} imports {name}"
        for source in engine()
        if within(source, *PURE) and not within(source, *KEY_MAKERS)
        for line, name in source.imports()
        if any(name == each or name.startswith(each + ".") for each in IMPURE)
    ]
    assert wrong == []


def test_decide_never_sees_a_port():
    assert [
        f"{source.where}:{line}"
        for source in engine()
        if within(source, "engine.decide", "engine.evaluate", "engine.conditions")
        for line, name in source.imports()
        if name.startswith(WORLD)
    ] == []


@pytest.mark.parametrize("product", PRODUCTS)
def test_simulator_and_standalone_use_nothing_of_the_spine(product):
    wrong = [
        f"{source.where}:{line} imports {name}"
        for source in engine()
        if within(source, product)
        for line, name in source.imports()
        if name.startswith("engine.")
        and not name.startswith((product, *PRODUCTS_MAY_USE, *BESIDES.get(product, ())))
    ]
    assert wrong == []


def test_simulator_and_standalone_are_used_by_the_entrances_alone():
    wrong = [
        f"{source.where}:{line} imports {name}"
        for source in SPINE
        if not within(source, *PRODUCTS_USED_BY)
        for line, name in source.imports()
        if name.startswith(PRODUCTS)
    ]
    assert wrong == []
