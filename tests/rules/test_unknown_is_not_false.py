"""A read that fails, or an object that is not there, blocks; it never makes the engine do more.

Takes every golden world of the bring-up and lets each read fail in turn, and each object vanish.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.ruleset.model import KubeGet
from tests.rules.world import Verdict, judge, read, rule_for

CASES = Path(__file__).resolve().parents[2] / "rules" / "tests"
WORLDS = sorted(CASES.glob("*/*"))


def _reads(folder: Path, sort: type = object) -> list[tuple[Path, str]]:
    """The reads of a world whose source is of that sort."""
    live = read(folder / "object.yaml")
    world = read(folder / "world.yaml")
    observed = rule_for(live["kind"]).observe
    return [(folder, item.name) for item in observed if item.name in world and isinstance(item.source, sort)]


FAULTS = [fault for folder in WORLDS for fault in _reads(folder)]
OBJECTS = [fault for folder in WORLDS for fault in _reads(folder, KubeGet)]


def _judge(folder: Path, name: str, answer: Any) -> tuple[Verdict, Verdict]:
    live, world = read(folder / "object.yaml"), read(folder / "world.yaml")
    return judge(live, world), judge(live, {**world, name: answer})


def _effects(verdict: Verdict) -> set[str]:
    return {repr((step.id, step.item, step.effect)) for step in verdict.plan.steps if step.phase == "do"}


@pytest.mark.parametrize(
    ("folder", "name"),
    FAULTS,
    ids=lambda each: each if isinstance(each, str) else f"{each.parent.name}/{each.name}",
)
def test_a_failed_read_never_leads_to_anything_that_an_answer_would_not(folder: Path, name: str) -> None:
    whole, broken = _judge(folder, name, {"$error": "UNAVAILABLE"})
    assert _effects(broken) <= _effects(whole)
    assert (broken.plan.finalizer_change == "remove") <= (whole.plan.finalizer_change == "remove")


@pytest.mark.parametrize(
    ("folder", "name"),
    FAULTS,
    ids=lambda each: each if isinstance(each, str) else f"{each.parent.name}/{each.name}",
)
def test_a_failed_read_that_a_step_needs_blocks_it_with_a_reason(folder: Path, name: str) -> None:
    whole, broken = _judge(folder, name, {"$error": "UNAVAILABLE"})
    lost = set(whole.steps("do")) - set(broken.steps("do"))
    told = {step.id: step for step in broken.plan.steps if step.phase in ("blocked", "waiting")}
    # A rollout that cannot tell its budget lets one go, and so has something to show.
    rolling = {"roll"} & {step.partition("/")[0] for step in broken.steps("do")}
    if _is_ending(folder):
        lost = set() if told else lost  # each step waits for the one before
    for step in lost:
        assert {step.partition("/")[0], "finalize"} & (told.keys() | rolling), (
            f"{step} vanished without a word"
        )
    assert all(step.reason for step in told.values())


def _is_ending(folder: Path) -> bool:
    """Whether a case is about the end of its object."""
    return "deletionTimestamp" in read(folder / "object.yaml")["metadata"]


DANGEROUS = {"bootstrap", "recover", "retire", "abandon", "apply", "pki"}


@pytest.mark.parametrize(
    ("folder", "name"),
    OBJECTS,
    ids=lambda each: each if isinstance(each, str) else f"{each.parent.name}/{each.name}",
)
def test_an_absent_object_never_starts_anything_dangerous(folder: Path, name: str) -> None:
    live = read(folder / "object.yaml")
    whole, broken = _judge(folder, name, None)
    started = {step.partition("/")[0] for step in set(broken.steps("do")) - set(whole.steps("do"))}
    # The one object whose absence is a reason to act is the state Secret of a control plane that never had one,
    # or whose keys an older operator kept in the status.
    status = live.get("status") or {}
    fresh = name == "stateSecret" and (not status.get("bundleConfig") or bool(status.get("secretBundle")))
    assert not (started & DANGEROUS) - ({"pki"} if fresh else set())
