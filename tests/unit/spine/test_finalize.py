"""The orderly end of an object: one step after the other, and what lets it go nevertheless."""

from __future__ import annotations

import pytest

from tests.unit.spine.world import FAILED, decided, widget

END = """
finalize:
  name: example.org/f
  timeout: 10m
  onTimeout: release
  skipWhen: ${self.spec.open == `true` && obs.a.text != 'x'}
  observe:
    kids: {kube: {list: Widget, match: {spec.parent: w}}}
    a: {call: test.read, with: {of: a}}
  steps:
    - id: kids
      forEach: {in: "${obs.kids}", as: m, key: "${m.metadata.name}"}
      kube: {delete: Widget, name: "${m.metadata.name}"}
      until: ${length(obs.kids) == `0`}
    - id: wipe
      when: ${obs.a.text == 'dirty'}
      call: test.destroy
      with: {address: x}
      once: {key: "wipe-${self.metadata.uid}"}
      hazard: irreversible
"""
DIRTY, CLEAN = {"text": "dirty"}, {"text": "clean"}


def ending(*, since="2027-01-15T07:59:00Z", text=END, kids=(), a=CLEAN, held=True, **spec):
    finalizers = ["example.org/f"] if held else []
    live = widget(spec=spec, deletionTimestamp=since, finalizers=[*finalizers, "other/x"])
    return decided(text, live, kids=kids if not isinstance(kids, tuple) else list(kids), a=a)


def test_only_the_first_step_that_is_not_done_is_carried_out():
    made = ending(kids=(widget("x"),), a=DIRTY)
    assert made.phases() == {"kids/x": "do"}
    assert made.plan.finalizer_change is None


def test_the_next_step_comes_once_until_of_the_one_before_holds():
    made = ending(a=DIRTY)
    assert made.phases() == {"wipe": "do"}
    assert made.plan.finalizer_change == "remove"


def test_the_finalizer_goes_when_nothing_is_left_to_do():
    made = ending(a=CLEAN)
    assert made.phases() == {"wipe": "skipped"}
    assert made.plan.finalizer_change == "remove"


@pytest.mark.parametrize("answers", [{"kids": FAILED}, {"a": FAILED}])
def test_a_read_that_failed_keeps_the_finalizer(answers):
    made = ending(**answers)
    assert made.plan.finalizer_change is None
    assert [step.phase for step in made.plan.steps] == ["blocked"]


def test_skip_when_lets_go_at_once_and_blocks_while_it_is_unknown():
    assert ending(open=True, a=DIRTY).plan.steps == ()
    assert ending(open=True, a=DIRTY).plan.finalizer_change == "remove"
    text = END.replace("    a: {call", "    b: {call: test.read, with: {of: b}}\n    a: {call")
    text = text.replace("obs.a.text != 'x'", "obs.b.text != 'x'")
    live = widget(spec={"open": True}, deletionTimestamp="2027-01-15T07:59:00Z", finalizers=["example.org/f"])
    unknown = decided(text, live, kids=[], a=DIRTY, b=FAILED).plan
    assert unknown.finalizer_change is None
    assert [step.phase for step in unknown.steps] == ["blocked"]


def test_past_its_time_an_object_is_released_with_a_word_of_what_it_waited_for():
    late = ending(since="2027-01-15T07:49:00Z", a=FAILED).plan
    assert (late.steps, late.finalizer_change) == ((), "remove")
    assert late.note == "released after 600 s without its end being done: obs.a is unknown: no answer"
    assert ending(since="2027-01-15T07:51:00Z", a=FAILED).plan.finalizer_change is None


def test_past_its_time_an_object_that_is_to_block_stays():
    text = END.replace("onTimeout: release", "onTimeout: block")
    late = ending(since="2027-01-14T07:49:00Z", a=FAILED, text=text).plan
    assert (late.finalizer_change, late.note) == (None, "")


def test_a_step_that_can_be_carried_out_past_its_time_is_carried_out():
    late = ending(since="2027-01-14T07:49:00Z", a=DIRTY).plan
    assert [step.phase for step in late.steps] == ["do"]


def test_an_object_that_no_longer_has_our_finalizer_gets_nothing():
    assert ending(held=False, a=DIRTY).plan.steps == ()
    assert ending(held=False, a=DIRTY).plan.finalizer_change is None


def test_a_rule_without_an_end_never_touches_an_object_that_is_leaving():
    text = """
act:
  - {id: s, kube: {apply: ConfigMap, name: c, data: {}}}
"""
    made = decided(text, widget(deletionTimestamp="2027-01-15T07:59:00Z", finalizers=["other/x"]))
    assert (made.plan.steps, made.plan.finalizer_change) == ((), None)


def test_an_object_that_concerns_nobody_is_let_go():
    made = ending(text="\n  where: ${self.spec.size == `1`}" + END, a=DIRTY, size=2)
    assert (made.plan.steps, made.plan.finalizer_change) == ((), "remove")


def test_the_finalizer_is_added_before_anything_else_and_once():
    assert decided(END, widget(), a=CLEAN).plan.finalizer_change == "add"
    assert decided(END, widget(finalizers=["example.org/f"]), a=CLEAN).plan.finalizer_change is None
