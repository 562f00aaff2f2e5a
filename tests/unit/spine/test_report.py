"""The status that a pass leaves behind, and the events: only what differs, nothing of others, no guesses."""

from __future__ import annotations

import pytest

from engine.base.errors import Conflict, Refused
from engine.base.model import Condition, Outcome, Plan, Snapshot
from engine.base.timestamps import rfc3339
from engine.report.assess import difference, with_outcomes
from tests.unit.spine.server import spine, until
from tests.unit.spine.world import FAILED, NOW, ONCE, decided, widget

STATUS = """
observe:
  a: {call: test.read, with: {of: a}}
conditions:
  - {type: Fine, unless: [{when: "${obs.a.text == 'bad'}", reason: Bad}]}
status:
  word: ${default(obs.a.text, 'none')}
  number: ${if(self.spec.size == `1`, null(), if(self.spec.size == `2`, omit(), `7`))}
  map: {fixed: x}
"""
GOOD, BAD = {"text": "good"}, {"text": "bad"}


def condition(kind="Fine", status="True", since="2027-01-01T00:00:00Z", **more):
    return {
        "type": kind,
        "status": status,
        "reason": kind,
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": since,
        **more,
    }


def rest(**more):
    """The status of an object at rest."""
    return {
        "word": "good",
        "number": 7,
        "map": {"fixed": "x"},
        "observedGeneration": 1,
        "conditions": [condition(), condition("Ready")],
        **more,
    }


def patch(status=None, a=GOOD, **spec):
    return dict(decided(STATUS, widget(spec=spec, status=status), a=a).assess().patch)


def test_an_object_at_rest_gets_no_patch():
    assert patch(rest()) == {}


def test_a_patch_holds_what_differs_and_nothing_else():
    assert patch(rest(word="old")) == {"word": "good"}
    assert patch(rest(map={"fixed": "x", "old": "y"})) == {"map": {"old": None}}


def test_a_field_without_an_answer_is_left_alone():
    made = patch(rest(word="old"), a=FAILED)
    assert "word" not in made
    assert [item["status"] for item in made["conditions"]] == ["Unknown", "Unknown"]


def test_a_field_with_an_unknown_anywhere_inside_is_left_alone():
    text = STATUS.replace("map: {fixed: x}", "map: {fixed: x, asked: \"${default(obs.a.text, 'none')}\"}")
    assert "map" not in decided(text, widget(), a=FAILED).assess().patch
    assert decided(text, widget(), a=GOOD).assess().patch["map"] == {"fixed": "x", "asked": "good"}


def test_null_takes_a_field_away_once_and_omit_leaves_it():
    assert patch(rest(), size=1) == {"number": None}
    assert patch({key: value for key, value in rest().items() if key != "number"}, size=1) == {}
    assert patch(rest(), size=2) == {}


def test_a_field_of_others_is_never_touched():
    assert patch(rest(theirs={"x": 1})) == {}


def test_the_time_of_a_transition_is_kept_while_the_status_stays():
    old = rest(conditions=[condition(reason="Other"), condition("Ready")])
    fine, ready = patch(old)["conditions"]
    assert (fine["reason"], fine["lastTransitionTime"]) == ("Fine", "2027-01-01T00:00:00Z")
    turned, _ = patch(rest(), a=BAD)["conditions"]
    assert (turned["status"], turned["lastTransitionTime"]) == ("False", rfc3339(NOW))
    assert ready["lastTransitionTime"] == "2027-01-01T00:00:00Z"


def test_conditions_of_others_stay_where_they_are_and_ours_that_no_longer_apply_go():
    theirs = {"type": "theirs.example.org/Fine", "status": "False", "reason": "X", "message": "y"}
    assert patch(rest(conditions=[condition(), condition("Ready"), theirs])) == {}
    made = patch(rest(conditions=[theirs, condition(), condition("Ready", status="False")]))
    assert made["conditions"][-1] == theirs
    text = STATUS.replace("type: Fine,", 'type: Fine, when: "${self.spec.size == `5`}",')
    gone = decided(text, widget(status=rest()), a=GOOD).assess().patch
    assert [item["type"] for item in gone["conditions"]] == ["Ready"]


def test_the_generation_that_was_looked_at_is_told():
    live = widget(status=rest(), generation=4)
    made = decided(STATUS, live, a=GOOD).assess().patch
    assert made["observedGeneration"] == 4
    assert {item["observedGeneration"] for item in made["conditions"]} == {4}


def test_a_status_field_that_does_not_fit_the_object_is_an_error_and_spares_the_others():
    text = "status:\n  word: ${join('', self.spec.any.list)}\n  number: 3\n"
    found = decided(text, widget(spec={"any": {"list": 5}})).assess()
    assert found.patch["number"] == 3 and "word" not in found.patch
    assert found.errors and found.errors[0].startswith("status.word: ")


def test_what_was_sent_is_remembered_with_its_key_and_time_beside_what_was_sent_before():
    made = decided(STATUS, widget(status=rest(sent={"old": {"key": "k", "at": "x"}})), a=GOOD)
    found = made.assess({"s": "digest"}).patch
    live = {"old": {"key": "k", "at": "x"}} | found["sent"]
    assert live == {"old": {"key": "k", "at": "x"}, "s": {"key": "digest", "at": rfc3339(NOW)}}


@pytest.mark.parametrize(
    ("live", "wanted", "patch"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 1}, {}),
        ({"a": 1}, {"a": None}, {"a": None}),
        ({}, {"a": None}, {}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1}}, {"a": {"y": None}}),
        ({"a": {"x": 1}}, {"a": {"x": 1, "y": {"z": 2}}}, {"a": {"y": {"z": 2}}}),
        ({"a": {}}, {"a": {"x": None}}, {}),
        ({"a": [1, 2]}, {"a": [2, 1]}, {"a": [2, 1]}),
        ({"a": "x"}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_a_difference_is_a_merge_patch(live, wanted, patch):
    assert difference(live, wanted) == patch


def test_an_outcome_changes_what_act_says_of_its_step():
    planned = {"s": {"phase": "do", "failed": False, "error": None, "result": None, "changed": 0}}
    failed = Outcome(id="s", item="", status="failed", message="no", error=Refused("no", code="Denied"))
    told = with_outcomes(planned, [failed])["s"]
    assert (told["failed"], told["error"]) == (True, {"code": "Denied", "message": "no"})
    sent = with_outcomes(planned, [Outcome(id="s", item="", status="sent", result={"done": True})])["s"]
    assert (sent["failed"], sent["result"]) == (False, {"done": True})
    assert planned["s"]["failed"] is False
    held = Outcome(id="s", item="", status="waiting", message="Widget w is being changed")
    told = with_outcomes(planned, [held])["s"]
    assert (told["phase"], told["reason"], told["failed"]) == ("waiting", "Widget w is being changed", False)


EVENTS = """
act:
  - {id: s, event: {created: Made, failed: NotMade}, kube: {apply: ConfigMap, name: c, data: {}}}
  - {id: plain, kube: {apply: ConfigMap, name: d, data: {}}}
conditions:
  - {type: Fine, event: warning, unless: [{when: "${self.spec.size == `1`}", reason: Small, message: it is small}]}
"""


def told(server, live, outcomes=(), conditions=(), note="", mode="act", expected=1):
    with spine(server, EVENTS) as over:
        plan = Plan(key=server.key(), mode=mode, note=note)
        snapshot = Snapshot(key=server.key(), object=live, observed={}, now=NOW)
        over.reporter.tell(over.rule, snapshot, plan, outcomes, conditions, ())
        # One more that is always told: what was not written before it never will be.
        over.reporter.tell(over.rule, snapshot, Plan(key=server.key(), mode="act", note="end"), (), (), ())
        until("the events are written", lambda: len(server.events()) >= expected + 1)
        return sorted(event for event in server.events() if event[2] != "end")


def test_an_outcome_is_told_under_the_reason_of_its_rule(server):
    live = server.make()
    made = Outcome(id="s", item="", status="created", message="a map")
    silent = Outcome(id="plain", item="", status="created", message="another map")
    assert told(server, live, [made, silent]) == [("Normal", "Made", "a map")]


def test_a_failure_is_a_warning_with_or_without_a_reason_of_its_own(server):
    live = server.make()
    failed = [
        Outcome(id=name, item="", status="failed", message=f"{name} no", error=Refused("no"))
        for name in ("s", "plain")
    ]
    found = told(server, live, failed, expected=2)
    assert found == [("Warning", "NotMade", "s no"), ("Warning", "PlainFailed", "plain no")]


def test_that_somebody_wrote_first_is_no_event(server):
    live = server.make()
    lost = Outcome(id="s", item="", status="failed", message="no", error=Conflict("no"))
    assert told(server, live, [lost], expected=0) == []


def test_a_turn_to_false_is_told_once_and_only_where_the_rule_asks(server):
    live = server.make(spec={"size": 1})
    small = Condition(type="Fine", status="False", reason="Small", message="it is small")
    other = Condition(type="Ready", status="False", reason="Small", message="Fine")
    assert told(server, live, conditions=[small, other]) == [("Warning", "Small", "it is small")]


def test_a_condition_that_was_false_before_is_no_event(server):
    live = server.make()
    known = server.client.patch_status(server.key(), {"status": {"conditions": [condition(status="False")]}})
    small = Condition(type="Fine", status="False", reason="Small", message="it is small")
    assert told(server, known, conditions=[small], expected=0) == []
    assert live["metadata"]["uid"] == known["metadata"]["uid"]


def test_a_release_without_the_end_being_done_is_a_warning(server):
    assert told(server, server.make(), note="released after 600 s") == [
        ("Warning", "FinalizerReleased", "released after 600 s")
    ]


def test_a_dry_run_tells_what_it_would_have_done(server):
    would = Outcome(id="s", item="", status="would", message="would have created c")
    assert told(server, server.make(), [would], mode="dryrun") == [
        ("Normal", "DryRun", "would have created c")
    ]


def publish(over, text, **answers):
    made = decided(text, over.caught_up(), now=over.now(), **answers)
    over.server.requests.clear()
    return over.reporter.publish(made.rule, made.snapshot, made.plan, (), made.assess())


def test_a_status_is_written_once_and_then_nothing(server):
    with spine(server, STATUS) as over:
        server.make(spec={"size": 5})
        assert publish(over, STATUS, a=GOOD) is True
        assert server.get()["status"]["word"] == "good"
        assert publish(over, STATUS, a=GOOD) is False
        assert server.writes() == []


def test_a_patch_that_the_server_takes_for_none_is_no_change(server):
    with spine(server, STATUS) as over:
        server.make(spec={"size": 5})
        publish(over, STATUS, a=GOOD)
        made = decided(STATUS, over.caught_up(), now=over.now(), a=GOOD)
        found = made.assess()
        same = type(found)(found.conditions, {"unknownField": 1})
        assert over.reporter.publish(made.rule, made.snapshot, made.plan, (), same) is False


def test_a_status_of_an_object_that_is_gone_is_no_error(server):
    with spine(server, STATUS) as over:
        server.make()
        made = decided(STATUS, over.caught_up(), now=over.now(), a=GOOD)
        server.client.delete(server.key())
        assert over.reporter.publish(made.rule, made.snapshot, made.plan, (), made.assess()) is False


def test_an_intent_whose_until_holds_is_closed_under_the_version_it_was_read_at(server):
    with spine(server, ONCE) as over:
        live = server.make()
        written = {
            "key": f"boot-{live['metadata']['uid']}",
            "target": "",
            "attempt": 2,
            "at": "2027-01-15T07:00:00Z",
            "done": False,
        }
        server.client.patch_status(server.key(), {"status": {"intents": [written]}})
        made = decided(ONCE, over.caught_up(), now=over.now(), a={"text": "there"})
        server.client.patch_status(server.key(), {"status": {"word": "somebody"}})
        with pytest.raises(Conflict):
            over.reporter.publish(made.rule, made.snapshot, made.plan, (), made.assess())
        assert publish(over, ONCE, a={"text": "there"}) is True
        assert server.get()["status"]["intents"] == [{**written, "done": True}]
