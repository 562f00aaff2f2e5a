"""Carrying out a plan: where it stops, what it never does twice, and when the finalizer may go."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from engine.base.errors import OutcomeUnknown, Refused, Unreachable
from engine.base.model import CapabilityCall, Plan, PlannedStep
from tests.unit.spine import capabilities
from tests.unit.spine.capabilities import ANSWERS, CALLS, TEST_CAPABILITIES
from tests.unit.spine.server import LEASE, spine
from tests.unit.spine.world import CONFIG_MAP, NEEDED, ONCE, SECRET

MIXED = """
act:
  - {id: first, kube: {apply: ConfigMap, name: first, data: {a: "1"}}}
  - {id: one, call: test.change, with: {address: one}}
  - {id: two, call: test.change, with: {address: two}}
  - {id: last, kube: {apply: ConfigMap, name: last, data: {a: "1"}}}
"""


@pytest.fixture
def over(server):
    with spine(server) as made:
        yield made


def statuses(performed):
    return {f"{o.id}/{o.item}" if o.item else o.id: o.status for o in performed.outcomes}


def test_the_first_effect_on_a_node_ends_the_phase(over):
    over.server.make()
    performed = over.act(MIXED)
    assert statuses(performed) == {"first": "created", "one": "sent"}
    assert CALLS == [("change", "one")]
    assert over.server.get("last", CONFIG_MAP) is None
    assert performed.again


@pytest.mark.parametrize("error", [Refused("no", sent="yes"), OutcomeUnknown("silence", sent="unknown")])
def test_an_effect_on_a_node_that_fails_ends_the_phase_too(over, error):
    ANSWERS["change:one"] = error
    over.server.make()
    performed = over.act(MIXED)
    assert statuses(performed) == {"first": "created", "one": "failed"}
    assert performed.outcomes[1].error is error
    assert CALLS == [("change", "one")]


def test_after_a_write_that_failed_other_writes_go_on_and_no_node_is_touched(over):
    over.server.make()
    performed = over.act(MIXED.replace("name: first", "name: Not_A_Name"))
    assert statuses(performed) == {"first": "failed"}
    assert CALLS == []
    kube_only = """
act:
  - {id: first, kube: {apply: ConfigMap, name: Not_A_Name, data: {a: "1"}}}
  - {id: last, kube: {apply: ConfigMap, name: last, data: {a: "1"}}}
"""
    assert statuses(over.act(kube_only)) == {"first": "failed", "last": "created"}


def test_an_error_that_nobody_has_thought_of_is_this_steps_failure(over):
    ANSWERS["change:one"] = KeyError("the secret text")
    over.server.make()
    outcome = over.act(MIXED).outcomes[-1]
    assert (outcome.status, outcome.error.code) == ("failed", "InternalError")
    assert "the secret text" not in outcome.message


def test_nothing_is_sent_for_an_object_that_changed_since_the_pass_began(over):
    live = over.server.make()
    over.server.client.patch(over.server.key(), {"spec": {"size": 7}})
    effect = CapabilityCall(name="test.change", input={"address": "one"})
    plan = Plan(key=over.server.key(), mode="act", steps=(PlannedStep(id="one", phase="do", effect=effect),))
    performed = over.actor.perform(over.rule, plan, live, over.ports())
    assert statuses(performed) == {"one": "failed"}
    assert performed.outcomes[0].error.code == "Conflict"
    assert CALLS == []


DRY = """
mode: dryrun
act:
  - {id: map, kube: {apply: ConfigMap, name: c, data: {a: "1"}}}
  - {id: new, make: {call: test.mint, with: {}}, kube: {create: Secret, name: s, stringData: {k: "${made.text}"}}}
  - {id: gone, kube: {delete: Widget, name: other}}
  - {id: change, call: test.change, with: {address: x}, lane: quorum}
  - id: destroy
    when: ${obs.a.text == 'go'}
    call: test.destroy
    with: {address: x}
    once: {key: "k-${self.metadata.uid}"}
    hazard: irreversible
observe:
  a: {call: test.read, with: {of: a}}
finalize: {name: example.org/f, steps: [{id: end, call: test.change, with: {address: end}}]}
"""


def test_a_dry_run_writes_nothing_sends_nothing_and_tells_every_step(over):
    live = over.server.make()
    over.server.make("other")
    over.caught_up("other")
    performed = over.act(DRY, a={"text": "go"})
    assert statuses(performed) == dict.fromkeys(("map", "new", "gone", "change", "destroy"), "would")
    assert CALLS == []
    assert over.server.get() == live
    assert over.server.get("other") is not None
    assert [over.server.all(kind) for kind in (CONFIG_MAP, SECRET, LEASE)] == [[], [], []]
    assert not performed.again


def test_a_dry_run_of_an_end_keeps_the_finalizer(over):
    over.server.make(finalizers=["example.org/f"])
    over.server.client.delete(over.server.key())
    over.act(DRY, a={"text": "stop"})
    assert over.server.get()["metadata"]["finalizers"] == ["example.org/f"]
    assert CALLS == []


def test_a_capability_with_a_dry_run_of_its_own_is_told_that_it_is_one(over, monkeypatch):
    seen = []

    async def start(ports, given):
        seen.append(ports.dry_run)
        return {"done": True}

    change = replace(TEST_CAPABILITIES["test.change"], start=start, dry_runs=True)
    monkeypatch.setitem(TEST_CAPABILITIES, "test.change", change)
    over.server.make()
    text = "mode: dryrun\nact:\n  - {id: s, call: test.change, with: {address: x}}\n"
    assert statuses(over.act(text)) == {"s": "would"}
    over.act(text.replace("dryrun", "act"))
    assert seen == [True, False]


def intents(over):
    return [
        (i["target"], i["attempt"], i["done"]) for i in over.server.get().get("status", {}).get("intents", [])
    ]


def test_the_intent_is_on_the_server_before_anything_is_sent(over):
    seen = []

    async def look():
        seen.extend(intents(over))
        return {"done": True}

    ANSWERS["destroy:x"] = look
    over.server.make(spec={"address": "x"})
    assert statuses(over.act(ONCE, a=NEEDED)) == {"s": "sent"}
    assert seen == [("x", 1, False)]


def test_a_lost_answer_leaves_the_intent_open_and_the_target_kept(over):
    ANSWERS["destroy:x"] = OutcomeUnknown("silence", sent="unknown")
    over.server.make(spec={"address": "x"})
    over.act(ONCE, a=NEEDED)
    assert intents(over) == [("x", 1, False)]
    over.server.client.patch(over.server.key(), {"spec": {"address": "another"}})
    began = over.now()
    over.now = lambda: began + 60
    over.act(ONCE, a=NEEDED)
    assert CALLS == [("destroy", "x"), ("destroy", "x")]
    assert intents(over) == [("x", 2, False)]


def test_right_after_a_crash_nothing_is_sent_again_before_it_was_looked_at(over):
    over.server.make(spec={"address": "x"})
    over.act(ONCE, a=NEEDED)
    over.act(ONCE, a=NEEDED)
    assert CALLS == [("destroy", "x")]


def test_without_until_success_closes_the_intent_and_it_is_never_sent_again(over):
    text = ONCE.replace("    until: ${obs.a.text == 'there'}\n", "")
    over.server.make(spec={"address": "x"})
    over.act(text, a=NEEDED)
    assert intents(over) == [("x", 1, True)]
    began = over.now()
    over.now = lambda: began + 3600
    over.act(text, a=NEEDED)
    assert CALLS == [("destroy", "x")]


def test_without_until_an_effect_that_says_that_it_is_not_done_stays_open(over):
    text = ONCE.replace("    until: ${obs.a.text == 'there'}\n", "")
    ANSWERS["destroy:x"] = {"done": False}
    over.server.make(spec={"address": "x"})
    over.act(text, a=NEEDED)
    assert intents(over) == [("x", 1, False)]


def test_an_answer_that_counts_as_done_already_is_success(over):
    text = ONCE.replace("    hazard", "    alreadyDone: [ALREADY_EXISTS]\n    hazard")
    ANSWERS["destroy:x"] = Refused("is there", code="ALREADY_EXISTS", sent="yes")
    over.server.make(spec={"address": "x"})
    (outcome,) = over.act(text, a=NEEDED).outcomes
    assert outcome.status == "sent"
    assert outcome.message == "was done already: is there"


def test_what_was_known_not_to_be_sent_fails_with_that_knowledge(over):
    ANSWERS["destroy:x"] = Unreachable("refused", sent="no")
    over.server.make(spec={"address": "x"})
    (outcome,) = over.act(ONCE, a=NEEDED).outcomes
    assert (outcome.status, outcome.error.sent) == ("failed", "no")


LANE = """
observe:
  a: {call: test.read, with: {of: a}}
act:
  - id: s
    when: ${obs.a.text == 'needed'}
    call: test.disrupt
    with: {address: "${self.metadata.name}"}
    hazard: disruptive
    lane: quorum
    until: ${obs.a.text == 'there'}
"""


def test_while_another_object_holds_the_lane_nothing_is_sent_and_the_holder_is_named(over):
    over.server.make("a")
    over.server.make("b")
    assert statuses(over.act(LANE, "a", a=NEEDED)) == {"s": "sent"}
    waiting = over.act(LANE, "b", a=NEEDED)
    assert statuses(waiting) == {"s": "waiting"}
    assert waiting.outcomes[0].message.endswith("/a is being changed")
    assert (waiting.again, waiting.waits) == (False, True)
    assert CALLS == [("disrupt", "a")]


def test_the_lane_is_free_for_the_next_once_until_holds_for_the_one_before(over):
    over.server.make("a")
    over.server.make("b")
    over.act(LANE, "a", a=NEEDED)
    assert over.act(LANE, "a", a={"text": "there"}).waits
    over.ticks += 10
    over.act(LANE, "a", a={"text": "there"})
    assert statuses(over.act(LANE, "b", a=NEEDED)) == {"s": "sent"}


def test_a_lane_taken_in_a_pass_is_not_given_back_by_a_later_step_of_it(over):
    over.server.make("w")
    over.server.make("a", spec={"parent": "w"}, finalizers=["example.test/it-takes-time-to-end"])
    over.caught_up("a")
    text = """
observe:
  kids: {kube: {list: Widget, match: {spec.parent: w}}}
act:
  - id: kids
    children:
      {kind: Widget, from: "${self.spec.any.none}", as: m, key: "${m.k}", name: "${m.k}", spec: {},
       existing: "${obs.kids}", prune: {lane: quorum}}
  - id: roll
    rollout:
      items: ${obs.kids}
      as: m
      outdated: ${m.spec.size == `1`}
      inFlight: ${m.spec.size == `2`}
      lane: quorum
      do: {kube: {patch: Widget, name: "${m.metadata.name}", annotations: {go: x}}}
"""
    over.server.client.patch(over.server.key(), {"spec": {"any": {"none": []}}})
    kids = [over.server.get("a")]
    performed = over.act(text, kids=kids)
    assert statuses(performed) == {"kids/a": "deleted"}
    assert over.server.get("lane-quorum", LEASE) is not None


END = """
observe:
  a: {call: test.read, with: {of: a}}
finalize:
  name: example.org/f
  steps:
    - {id: one, when: "${obs.a.text == 'needed'}", call: test.change, with: {address: one}}
    - {id: two, kube: {delete: ConfigMap, name: two}}
    - {id: three, call: test.change, with: {address: three}}
"""


@pytest.fixture
def leaving(over):
    over.server.make("two", CONFIG_MAP)
    over.cache.want(over.server.key("two", CONFIG_MAP))
    over.server.make(finalizers=["example.org/f"])
    over.server.client.delete(over.server.key())
    return over


def test_the_finalizer_goes_only_after_every_step_has_succeeded(leaving):
    performed = leaving.act(END, a=NEEDED)
    assert statuses(performed) == {"one": "sent", "two": "deleted", "three": "sent"}
    assert performed.finalizer_removed
    assert leaving.server.get() is None
    assert leaving.server.get("two", CONFIG_MAP) is None


def test_a_step_that_fails_at_the_end_stops_the_ones_behind_it(leaving):
    ANSWERS["change:one"] = Refused("no", sent="yes")
    performed = leaving.act(END, a=NEEDED)
    assert statuses(performed) == {"one": "failed"}
    assert not performed.finalizer_removed
    assert leaving.server.get("two", CONFIG_MAP) is not None
    assert leaving.server.get()["metadata"]["finalizers"] == ["example.org/f"]


def test_a_capability_that_is_not_done_yet_keeps_the_finalizer_and_stops_the_ones_behind_it(leaving):
    ANSWERS["change:one"] = {"done": False}
    performed = leaving.act(END, a=NEEDED)
    assert statuses(performed) == {"one": "sent"}
    assert performed.again and not performed.finalizer_removed
    assert leaving.server.get("two", CONFIG_MAP) is not None
    ANSWERS["change:one"] = {"done": True}
    assert leaving.act(END, a=NEEDED).finalizer_removed


def test_an_object_is_given_its_finalizer_before_anything_is_done_for_it(over):
    seen = []

    async def look():
        seen.extend(over.server.get()["metadata"].get("finalizers", []))
        return {"done": True}

    ANSWERS["change:one"] = look
    over.server.make()
    text = (
        MIXED + "finalize: {name: example.org/f, steps: [{id: end, call: test.change, with: {address: x}}]}\n"
    )
    over.act(text)
    assert seen == ["example.org/f"]


def test_make_is_computed_only_when_a_write_is_needed(over):
    text = """
act:
  - {id: s, make: {call: test.mint, with: {}}, kube: {create: Secret, name: s, stringData: {k: "${made.text}"}}}
"""
    over.server.make()
    over.act(text)
    over.caught_up("s", SECRET)
    over.act(text)
    assert capabilities.COMPUTED == ["mint"]


def test_a_make_that_fails_writes_nothing(over):
    ANSWERS["mint"] = Refused("no randomness", sent="no")
    text = """
act:
  - {id: s, make: {call: test.mint, with: {}}, kube: {create: Secret, name: s, stringData: {k: "${made.text}"}}}
"""
    over.server.make()
    assert statuses(over.act(text)) == {"s": "failed"}
    assert over.server.get("s", SECRET) is None


def test_a_record_is_kept_of_a_write_that_changed_something_and_of_no_other(over):
    text = "act:\n  - {id: s, kube: {apply: ConfigMap, name: rec, data: {a: b}}, record: why}\n"
    over.server.make()
    assert over.act(text).sent == {"s": "why"}
    over.caught_up("rec", CONFIG_MAP)
    assert over.act(text).sent is None


def test_a_record_is_kept_of_what_was_sent_and_of_nothing_else(over):
    text = "act:\n  - {id: s, call: test.change, with: {address: x}, record: digest}\n"
    over.server.make()
    assert over.act(text).sent == {"s": "digest"}
    ANSWERS["change:x"] = Refused("no", sent="yes")
    assert over.act(text).sent is None


def test_every_outcome_says_how_long_it_took(over):
    over.server.make()
    assert all(outcome.seconds > 0 for outcome in over.act(MIXED).outcomes)


def test_a_write_is_of_the_manager_of_its_kind(over):
    over.server.make()
    over.act(MIXED)
    managers = {item["manager"] for item in over.server.get("first", CONFIG_MAP)["metadata"]["managedFields"]}
    assert managers == {"talos-operator-widget"}


def test_an_effect_that_takes_longer_than_its_deadline_has_an_unknown_outcome(over):
    async def never():
        await asyncio.Event().wait()

    ANSWERS["change:x"] = never
    over.server.make()
    (outcome,) = over.act(
        "act:\n  - {id: s, call: test.change, with: {address: x}, deadline: 50ms}\n"
    ).outcomes
    assert outcome.status == "failed"
    assert isinstance(outcome.error, OutcomeUnknown) and outcome.error.sent == "unknown"
    assert "not ended within 0.05 s" in outcome.message
