"""No secret shows in anything that people read: plans, outcomes, statuses, events, errors, series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.base.errors import CapabilityError
from engine.base.model import CapabilityCall, Outcome
from engine.base.values import Opaque, redact
from engine.capabilities.inputs import check_input
from tests.rules.world import judge, read
from tests.unit.spine.server import spine
from tests.unit.spine.world import SECRET, catalog

CANARY = "tweet-tweet-4711"
CASES = Path(__file__).resolve().parents[3] / "rules" / "tests"
WORLDS = sorted(CASES.glob("*/*"))


def marked(value: Any) -> Any:
    """The same world with a canary in every secret."""
    if isinstance(value, dict):
        if "$opaque" in value:
            return {"$opaque": f"{CANARY} {value['$opaque']}"}
        return {key: marked(item) for key, item in value.items()}
    return [marked(item) for item in value] if isinstance(value, list) else value


def secrets_in(value: Any) -> int:
    if isinstance(value, Opaque):
        return int(CANARY in value.reveal())
    if hasattr(value, "__slots__") and not isinstance(value, type):
        return sum(secrets_in(getattr(value, name)) for name in value.__slots__)
    if isinstance(value, dict):
        return sum(map(secrets_in, value.values()))
    return sum(map(secrets_in, value)) if isinstance(value, list | tuple) else 0


@pytest.mark.parametrize("folder", WORLDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_golden_world_full_of_canaries_shows_none(folder):
    verdict = judge(read(folder / "object.yaml"), marked(read(folder / "world.yaml")))
    plan, assessed = verdict.plan, verdict.assessment
    for shown in (repr(plan), str(plan), repr(verdict), str(assessed), f"{plan.steps}"):
        assert CANARY not in shown
    for step in plan.steps:
        for body in (step.effect, step.make):
            parts = [getattr(body, name) for name in getattr(body, "__slots__", ())]
            assert CANARY not in json.dumps(
                redact([part for part in parts if isinstance(part, dict)]), default=str
            )
    assert CANARY not in json.dumps(dict(assessed.patch), default=str)
    assert CANARY not in repr(verdict.samples) + repr(verdict.conditions)


def test_the_golden_worlds_do_hold_canaries():
    carried = [
        secrets_in(
            [
                step.effect
                for step in judge(read(f / "object.yaml"), marked(read(f / "world.yaml"))).plan.steps
            ]
        )
        for f in WORLDS
    ]
    assert sum(map(bool, carried)) >= 3


def test_a_secret_shows_as_stars_in_whatever_way_it_is_printed():
    secret = Opaque(CANARY)
    shown = [
        f"{secret}",
        repr(secret),
        str([secret]),
        f"{secret}",
        repr({"a": secret}),
        str(redact(secret)),
    ]
    assert not any(CANARY in text for text in shown)
    for unsafe in (lambda: json.dumps(secret), lambda: CANARY in secret, lambda: secret + "x"):
        with pytest.raises(TypeError):
            unsafe()


def test_an_outcome_with_a_secret_result_shows_none():
    outcome = Outcome(id="s", item="", status="sent", result={"text": Opaque(CANARY)})
    assert CANARY not in repr(outcome)


def test_a_refused_input_names_the_key_and_not_the_secret():
    with pytest.raises(CapabilityError) as caught:
        check_input(catalog().capabilities["talos.probe"], {"endpoint": None, "identity": Opaque(CANARY)})
    assert "endpoint" in str(caught.value) and CANARY not in str(caught.value)
    assert CANARY not in repr(CapabilityCall(name="x", input={"identity": Opaque(CANARY)}))


SPILL = """
observe:
  s: {kube: {get: Secret, name: s}}
act:
  - id: copy
    when: ${obs.s != `null`}
    kube: {apply: Secret, name: "copy", stringData: {key: "${obs.s.data.key}"}}
  - id: bad
    kube: {apply: Secret, name: "Not_A_Name", stringData: {key: "${obs.s.data.key}"}}
conditions:
  - {type: Copied, unless: [{when: "${act.bad.failed}", reason: NotCopied, message: "${act.bad.error.message}"}]}
"""


def test_a_pass_with_a_secret_leaves_it_in_the_secret_and_nowhere_else(server, caplog):
    caplog.set_level("DEBUG")
    with spine(server, SPILL) as over:
        server.make()
        server.make("s", SECRET, stringData={"key": CANARY})
        end = over.turn()
        assert [item.status for item in end.outcomes] == ["created", "failed"]
        assert server.get("copy", SECRET)["data"] == server.get("s", SECRET)["data"]
        shown = [
            repr(end),
            str(end.assessment),
            json.dumps(server.get()),
            caplog.text,
            repr(end.outcomes[1].error),
        ]
        assert not any(CANARY in text for text in shown)
        assert CANARY not in over.meter.series.render().decode()
