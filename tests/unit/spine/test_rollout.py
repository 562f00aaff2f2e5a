"""Rollout: a few at a time, the sick first, the leader last, and lanes given back."""

from __future__ import annotations

import pytest

from tests.unit.spine.world import FAILED, decided, widget

ROLL = """
observe:
  kids: {kube: {list: Widget, match: {spec.parent: w}}}
  gate: {call: test.read, with: {of: gate}}
  well: {call: test.any, with: {of: well}}
act:
  - id: s
    rollout:
      items: ${obs.kids}
      as: m
      outdated: ${m.status.word != 'new'}
      inFlight: ${m.metadata.annotations.go == 'new'}
      healthy: ${default(m.spec.open, `false`)}
      last: ${m.spec.size == `9`}
      gate: ${obs.gate.text == 'open'}
      maxUnavailable: ${default(self.spec.size, `1`)}
      lane: quorum
      do: {kube: {patch: Widget, name: "${m.metadata.name}", annotations: {go: new}}}
conditions:
  - {type: Well, is: "${obs.well.text == 'well'}"}
"""
OPEN = {"text": "open"}


def kid(name, word="old", *, well=True, go=None, **spec):
    annotations = {"annotations": {"go": go}} if go else {"annotations": {"go": "old"}}
    return widget(name, spec={"open": well, **spec}, status={"word": word}, **annotations)


def rolled(*kids, budget=1, gate=OPEN, text=ROLL):
    return decided(text, widget(spec={"size": budget}), kids=list(kids), gate=gate, well=OPEN)


def started(made):
    return [step.item for step in made.plan.steps if step.phase == "do"]


def released(made):
    return [step.item for step in made.plan.steps if step.release is not None]


def test_as_many_start_as_the_budget_has_places():
    kids = [kid("a"), kid("b"), kid("c")]
    assert started(rolled(*kids)) == ["a"]
    assert started(rolled(*kids, budget=2)) == ["a", "b"]
    assert started(rolled(*kids, budget=0)) == ["a"]


def test_what_is_let_go_keeps_its_place_until_it_is_up_to_date_and_well():
    assert started(rolled(kid("a", go="new"), kid("b"))) == []
    assert started(rolled(kid("a", "new", well=False), kid("b"))) == []
    assert started(rolled(kid("a", "new"), kid("b"))) == ["b"]


def test_the_next_one_is_said_to_wait_for_the_one_in_flight():
    made = rolled(kid("a", go="new"), kid("b"))
    assert made.step().reason == "waits for a"
    assert (
        made.plan.results["s"] | {"outdated": 2, "inFlight": 1, "waiting": 1, "paused": True}
        == made.plan.results["s"]
    )


def test_what_is_down_already_goes_first_and_what_is_named_last_goes_last():
    kids = [kid("a", size=9), kid("b"), kid("c", well=False)]
    assert started(rolled(*kids)) == ["c"]
    assert started(rolled(kid("a", size=9), kid("b"))) == ["b"]
    assert started(rolled(kid("a", size=9, well=False), kid("b"))) == ["b"]


def test_a_gate_without_an_answer_blocks_and_a_closed_one_waits():
    assert rolled(kid("a"), gate=FAILED).step().phase == "blocked"
    closed = rolled(kid("a"), gate={"text": "closed"}).step()
    assert (closed.phase, closed.reason) == ("waiting", "the gate is closed; a is next")


def test_an_item_nobody_can_judge_keeps_a_place_and_never_starts():
    text = ROLL.replace("healthy: ${default(m.spec.open, `false`)}", "healthy: ${obs.well.text == 'open'}")
    new = kid("a", "new")
    assert started(rolled(new, kid("b"), text=text)) == ["b"]
    unsure = decided(text, widget(), kids=[new, kid("b")], gate=OPEN, well=FAILED)
    assert started(unsure) == []
    text = ROLL.replace(
        "outdated: ${m.status.word != 'new'}", "outdated: ${obs.well.text != 'x' && m.status.word != 'new'}"
    )
    unsure = decided(text, widget(), kids=[kid("a"), kid("b", "new")], gate=OPEN, well=FAILED)
    assert started(unsure) == []
    assert unsure.plan.results["s"]["outdated"] == 1


def test_the_lane_is_taken_for_the_item_and_given_back_when_it_is_well_again():
    made = rolled(kid("a"), kid("b", "new"))
    (start,) = [step for step in made.plan.steps if step.phase == "do"]
    assert (start.lane.name, start.lane.holder.name) == ("quorum", "a")
    assert "b" in released(made)
    assert released(rolled(kid("a", go="new"))) == []
    assert released(rolled(kid("a", "new", well=False))) == []


def test_an_item_that_is_being_deleted_keeps_its_lane_and_its_place():
    leaving = kid("a", "new")
    leaving["metadata"]["deletionTimestamp"] = "2027-01-15T07:59:00Z"
    made = rolled(leaving, kid("b"))
    assert "a" not in released(made)
    assert started(made) == []
    old = kid("a")
    old["metadata"]["deletionTimestamp"] = "2027-01-15T07:59:00Z"
    assert started(rolled(old, budget=2)) == []


STUCK = ROLL.replace(
    "      lane: quorum",
    """      lane: quorum
      stuckAfter: 10m
      since: ["${m.metadata.annotations.since}", "${m.spec.parent}"]
      because: ${m.spec.address}""",
)


def late(name, since=None, parent=None, word="old", **spec):
    item = kid(name, word, go="new", well=False, **spec, **({"parent": parent} if parent else {}))
    item["metadata"]["annotations"]["since"] = since
    return item


def test_one_that_does_not_come_back_is_named_with_since_when_and_why():
    made = rolled(late("a", "2027-01-15T07:49:00Z", address="no answer"), kid("b"), text=STUCK)
    facts = made.plan.results["s"]
    assert (facts["stuck"], facts["paused"], facts["reason"]) == (True, True, "Stuck")
    assert facts["message"] == (
        "a is not well since 2027-01-15T07:49:00Z: no answer; the rollout goes on once it is well"
    )
    assert started(made) == []
    assert started(rolled(kid("a", "new"), kid("b"), text=STUCK)) == ["b"]


def test_the_latest_of_its_times_counts_and_what_is_no_time_is_none():
    recent = late("a", "2027-01-15T07:00:00Z", "2027-01-15T07:55:00Z")
    assert rolled(recent, kid("b"), text=STUCK).plan.results["s"]["reason"] == "Paused"
    old = late("a", "yesterday", "2027-01-15T07:00:00Z")
    assert rolled(old, kid("b"), text=STUCK).plan.results["s"]["reason"] == "Stuck"
    assert rolled(late("a", "yesterday"), kid("b"), text=STUCK).plan.results["s"]["reason"] == "Paused"


def test_one_that_is_ill_while_nothing_is_rolled_out_is_no_stuck_rollout():
    ill = late("a", "2027-01-15T07:00:00Z", word="new")
    facts = rolled(ill, kid("b", "new"), text=STUCK).plan.results["s"]
    assert facts["stuck"] is False


def test_up_to_date_items_are_told_as_such():
    facts = rolled(kid("a", "new"), kid("b", "new")).plan.results["s"]
    assert facts["reason"] == "UpToDate"
    assert (facts["outdated"], facts["inFlight"], facts["waiting"], facts["paused"]) == (0, 0, 0, False)


def test_a_list_without_an_answer_blocks():
    made = decided(ROLL, widget(), kids=FAILED, gate=OPEN, well=OPEN)
    assert made.phases() == {"s": "blocked"}


@pytest.mark.parametrize("budget", [FAILED, None])
def test_a_budget_that_cannot_be_told_is_one(budget):
    text = ROLL.replace("${default(self.spec.size, `1`)}", "${obs.well.count}")
    answer = FAILED if budget is FAILED else {"count": budget}
    made = decided(text, widget(), kids=[kid("a"), kid("b")], gate=OPEN, well=answer)
    assert started(made) == ["a"]


def test_one_that_was_never_let_go_does_not_keep_a_lane_that_a_crash_left_it():
    assert "a" in released(rolled(kid("a"), kid("b", go="new")))
