"""Every golden case of the shipped rules: a folder with an object, a world and what must come of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.base.model import KubeWrite, TalosCall
from tests.rules.world import Verdict, judge, read

CASES = Path(__file__).resolve().parents[2] / "rules" / "tests"
KEYS = {
    "settings", "jobs", "plan", "mode", "every", "streams", "finalizer", "asks", "writes", "conditions", "status", "keeps", "events",
    "samples",
}  # fmt: skip
"""What a case can say, as docs/rule-language.md explains it."""


@pytest.mark.parametrize(
    "folder", sorted(CASES.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_a_rule_decides_as_its_golden_case_says(folder: Path) -> None:
    expected: dict[str, Any] = read(folder / "expect.yaml")
    assert expected.keys() <= KEYS, f"a misspelt key would expect nothing: {expected.keys() - KEYS}"
    live, world = read(folder / "object.yaml"), read(folder / "world.yaml")
    verdict = judge(live, world, settings=expected.get("settings"), jobs=expected.get("jobs"))
    _decides(verdict, expected)
    _says(verdict, expected)


def _decides(verdict: Verdict, expected: dict[str, Any]) -> None:
    for phase, steps in expected.get("plan", {}).items():
        found = verdict.steps(phase)
        # Of what is not done the case names what it is about; a rule may have more steps.
        assert (set(steps) <= set(found)) if phase == "skipped" else (found == steps), (phase, found)
    told = {
        "finalizer": verdict.plan.finalizer_change,
        "mode": verdict.plan.mode,
        "every": verdict.every,
        "streams": verdict.streams,
    }
    assert {key: value for key, value in told.items() if key in expected} == {
        key: expected[key] for key in told if key in expected
    }
    for name, given in expected.get("asks", {}).items():
        assert {key: verdict.asked[name].get(key) for key in given} == given, name
    for name, written in expected.get("writes", {}).items():
        _holds(_body(verdict, name), written, name)


def _says(verdict: Verdict, expected: dict[str, Any]) -> None:
    for kind, told in expected.get("conditions", {}).items():
        found = next((item for item in verdict.conditions if item.type == kind), None)
        assert found is not None, kind
        assert {key: getattr(found, key) for key in told} == told, f"{kind}: {found.message}"
    for name, value in expected.get("status", {}).items():
        assert verdict.assessment.patch.get(name) == value, name
    if "events" in expected:
        assert [item.reason for item in verdict.assessment.events] == expected["events"]
    for name in expected.get("keeps", ()):
        assert name not in verdict.assessment.patch, f"status.{name} is to stay as it is"
    for family, series in expected.get("samples", {}).items():
        found_series = {
            ",".join(text for _, text in item.labels): item.value
            for item in verdict.samples
            if item.family == family
        }
        assert found_series == series, family


def _body(verdict: Verdict, name: str) -> Any:
    """What a step, `id` or `id/item`, sends: an object with its `name`, or the input of a call."""
    (effect,) = [
        step.effect
        for step in verdict.plan.steps
        if step.phase == "do" and name in (step.id, f"{step.id}/{step.item}")
    ]
    if isinstance(effect, KubeWrite):
        return {**effect.manifest, "name": effect.target.name, "onlyWhenNew": effect.annotations_at_creation}
    return effect.request if isinstance(effect, TalosCall) else effect and effect.input


def _holds(found: Any, wanted: Any, where: str) -> None:
    """Whether `found` has all that is `wanted`; a null there means that it is not given."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            _holds(found.get(key), value, f"{where}.{key}")
    else:
        assert found == wanted, where
