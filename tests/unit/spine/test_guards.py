"""Whether a step may be carried out: guards of three truths, and what else must be known."""

from __future__ import annotations

import pytest

from engine.base.model import CapabilityCall, KubeWrite, TalosCall
from tests.unit.spine.world import FAILED, SKIPPED, decided, widget

GUARDED = """
observe:
  a: {call: test.read, with: {of: a}}
  b: {call: test.read, with: {of: b}}
act:
  - id: s
    when: ["${obs.a.text == 'go'}", "${obs.b.text == 'go'}"]
    call: test.change
    with: {address: here}
"""
GO, STOP = {"text": "go"}, {"text": "stop"}


@pytest.mark.parametrize(
    ("a", "b", "phase"),
    [
        (GO, GO, "do"),
        (GO, STOP, "skipped"),
        (STOP, GO, "skipped"),
        (FAILED, GO, "blocked"),
        (GO, FAILED, "blocked"),
        (SKIPPED, GO, "blocked"),
        (FAILED, STOP, "skipped"),
        (STOP, FAILED, "skipped"),
        (FAILED, FAILED, "blocked"),
    ],
)
def test_all_guards_must_hold_one_false_skips_and_else_unknown_blocks(a, b, phase):
    assert decided(GUARDED, a=a, b=b).step().phase == phase


def test_a_blocked_step_says_which_read_has_no_answer_and_why():
    step = decided(GUARDED, a=FAILED, b=GO).step()
    assert step.reason == "obs.a is unknown: no answer"
    assert step.effect is None


def test_an_unknown_anywhere_in_what_would_be_sent_blocks():
    text = """
observe:
  a: {call: test.read, with: {of: a}}
act:
  - id: s
    kube: {apply: ConfigMap, name: c, data: {fixed: x, asked: "${obs.a.text}"}}
"""
    assert decided(text, a=FAILED).step().phase == "blocked"
    assert decided(text, a=GO).step().effect.manifest["data"] == {"fixed": "x", "asked": "go"}


@pytest.mark.parametrize("part", ["labels", "annotations", "annotationsAtCreation"])
def test_an_unknown_label_or_annotation_blocks(part):
    text = f"""
observe:
  a: {{call: test.read, with: {{of: a}}}}
act:
  - id: s
    kube: {{apply: ConfigMap, name: c, {part}: {{key: "${{default(obs.a.text, 'none')}}"}}}}
"""
    assert decided(text, a=FAILED).step().phase == "blocked"
    assert decided(text, a=GO).step().phase == "do"


def test_a_null_label_is_left_out_instead_of_being_written():
    text = """
act:
  - id: s
    kube: {patch: Widget, name: c, annotations: {gone: "${self.spec.parent}", kept: here}}
"""
    write = decided(text).step().effect
    assert write.manifest["metadata"]["annotations"] == {"kept": "here"}


def test_a_name_that_is_no_text_blocks_instead_of_naming_an_object_none():
    text = """
act:
  - id: s
    kube: {apply: ConfigMap, name: "${self.spec.any.name}", data: {}}
"""
    step = decided(text, widget(spec={"any": {}})).step()
    assert (step.phase, step.effect) == ("blocked", None)
    assert "needs a name, got None" in step.reason
    assert decided(text, widget(spec={"any": {"name": "n"}})).step().effect.target.name == "n"


def test_an_expression_that_does_not_fit_the_object_blocks_its_step_and_spares_the_next():
    text = """
act:
  - id: s
    kube: {apply: ConfigMap, name: c, data: {x: "a ${self.spec.any.x}"}}
  - id: t
    kube: {apply: ConfigMap, name: d, data: {x: y}}
"""
    made = decided(text, widget(spec={"any": {}}))
    assert made.phases() == {"s": "blocked", "t": "do"}
    assert "null" in made.step().reason


def test_a_gate_without_an_answer_blocks_and_a_closed_one_waits():
    text = """
observe:
  a: {call: test.read, with: {of: a}}
act:
  - id: s
    gate: ${obs.a.text == 'go'}
    lane: quorum
    call: test.change
    with: {address: here}
"""
    assert decided(text, a=FAILED).step().phase == "blocked"
    waiting = decided(text, a=STOP).step()
    assert (waiting.phase, waiting.effect, waiting.lane) == ("waiting", None, None)
    open_ = decided(text, a=GO).step()
    assert (open_.phase, open_.lane.name) == ("do", "quorum")


def test_a_guard_is_asked_before_the_gate_so_that_nothing_waits_for_what_is_not_wanted():
    text = """
act:
  - id: s
    when: ${self.spec.size == `1`}
    gate: ${self.spec.open == `true`}
    lane: quorum
    call: test.change
    with: {address: here}
"""
    assert decided(text, widget(spec={"size": 2, "open": False})).step().phase == "skipped"
    assert decided(text, widget(spec={"size": 1, "open": False})).step().phase == "waiting"


def test_omit_as_a_lane_means_no_lane():
    text = """
act:
  - id: s
    call: test.change
    with: {address: here}
    lane: ${if(self.spec.open == `true`, 'quorum', omit())}
"""
    assert decided(text, widget(spec={"open": False})).step().lane is None
    assert decided(text, widget(spec={"open": True})).step().lane.name == "quorum"


def test_an_unknown_lane_blocks():
    text = """
observe:
  a: {call: test.read, with: {of: a}}
act:
  - {id: s, call: test.change, with: {address: here}, lane: "l-${default(obs.a.text, 'none')}"}
"""
    assert decided(text, a=FAILED).step().phase == "blocked"
    assert decided(text, a=GO).step().lane.name == "l-go"


TALOS = """
observe:
  a: {call: test.read, with: {of: a}}
  state: {kube: {get: Secret, name: state}}
act:
  - id: s
    talos: machine.MachineService/Reboot
    hazard: disruptive
    connect:
      endpoint: ${self.spec.address}
      identity: ${obs.state.data.secretBundle}
      insecure: ${obs.a.text == 'maintenance'}
"""


def test_a_call_without_a_known_identity_blocks_and_maintenance_needs_none():
    live = widget(spec={"address": "127.0.9.1"})
    assert decided(TALOS, live, a=GO, state=FAILED).step().phase == "blocked"
    assert decided(TALOS, live, a=FAILED, state=FAILED).step().phase == "blocked"
    call = decided(TALOS, live, a={"text": "maintenance"}, state=FAILED).step().effect
    assert isinstance(call, TalosCall)
    assert (call.address, call.identity) == ("127.0.9.1", None)


def test_the_results_of_earlier_steps_are_read_by_later_ones_and_by_conditions_asked_too_early():
    text = """
act:
  - id: first
    when: ${cond.Late}
    kube: {apply: ConfigMap, name: a, data: {}}
  - id: second
    when: ${self.spec.size == `1`}
    kube: {apply: ConfigMap, name: b, data: {}}
  - id: third
    when: ${act.second.phase == 'do'}
    kube: {apply: ConfigMap, name: c, data: {}}
conditions:
  - type: Late
    unless:
      - {when: "${act.second.phase == 'skipped'}", reason: Skipped}
"""
    made = decided(text, widget(spec={"size": 1}))
    assert made.phases() == {"first": "blocked", "second": "do", "third": "do"}
    assert made.condition("Late").status == "True"
    assert decided(text, widget(spec={"size": 2})).condition("Late").status == "False"


def test_effects_are_of_three_sorts_and_carry_what_the_rule_says():
    text = """
act:
  - {id: k, kube: {delete: ConfigMap, name: c}}
  - {id: c, call: test.change, with: {address: "${self.spec.address}"}}
"""
    made = decided(text, widget(spec={"address": "x"}))
    assert isinstance(made.step("k").effect, KubeWrite) and made.step("k").effect.verb == "delete"
    assert made.step("c").effect == CapabilityCall(name="test.change", input={"address": "x"})


def test_a_mode_that_cannot_be_told_does_nothing():
    text = """
mode:
  cases:
    - {when: "${self.spec.any.stop}", value: nothing}
  else: act
act:
  - {id: k, kube: {apply: ConfigMap, name: c, data: {}}}
"""
    assert decided(text, widget(spec={"any": {"stop": True}})).plan.steps == ()
    assert decided(text, widget(spec={"any": {"stop": False}})).plan.mode == "act"


def test_an_object_that_where_leaves_out_gets_the_finalizer_and_nothing_else():
    text = """
  where: ${self.spec.size == `1`}
act:
  - {id: k, kube: {apply: ConfigMap, name: c, data: {}}}
finalize: {name: example.org/f, steps: [{id: f, kube: {delete: ConfigMap, name: c}}]}
"""
    plan = decided(text, widget(spec={"size": 2})).plan
    assert (plan.steps, plan.finalizer_change) == ((), "add")
    plan = decided(text, widget(spec={"size": 1})).plan
    assert [step.id for step in plan.steps] == ["k"]
