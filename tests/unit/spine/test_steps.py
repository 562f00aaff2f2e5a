"""What must happen once, what is done, what is remembered, and what is known only after acting."""

from __future__ import annotations

import json

import pytest

from engine.base.model import Made
from engine.base.timestamps import rfc3339
from tests.unit.spine.world import FAILED, NEEDED, NOW, ONCE, SKIPPED, THERE, decided, widget


def intent(*, age_s: float = 60.0, done: bool = False, target: str = "first", attempt: int = 1) -> dict:
    written = {
        "key": "boot-uid-w",
        "target": target,
        "attempt": attempt,
        "at": rfc3339(NOW - age_s),
        "done": done,
    }
    return {"intents": [written]}


def after(status: dict | None = None, address: str = "second", **answers):
    return decided(ONCE, widget(spec={"address": address}, status=status), **answers)


def test_the_first_attempt_takes_the_target_of_this_pass():
    step = after(a=NEEDED).step()
    assert step.phase == "do"
    assert (step.once.attempt, step.once.target) == (0, "second")
    assert step.effect.input == {"address": "second"}


def test_a_target_once_chosen_is_kept_though_the_rule_would_now_choose_another():
    step = after(intent(), a=NEEDED).step()
    assert step.phase == "do"
    assert step.effect.input == {"address": "first"}
    assert step.once.attempt == 1


def test_what_may_have_been_sent_a_moment_ago_is_looked_at_before_it_is_sent_again():
    fresh = after(intent(age_s=2.0), a=NEEDED).step()
    assert (fresh.phase, fresh.effect) == ("waiting", None)
    assert "looking first" in fresh.reason
    assert after(intent(age_s=6.0), a=NEEDED).step().phase == "do"


def test_what_may_have_been_sent_is_not_sent_again_while_nobody_can_look():
    text = """
observe:
  a: {call: test.read, with: {of: a}}
  b: {call: test.read, with: {of: b}}
act:
  - id: s
    when: ${obs.b.text == 'needed'}
    call: test.destroy
    with: {address: x}
    once: {key: "boot-${self.metadata.uid}"}
    hazard: irreversible
    until: ${obs.a.text == 'there'}
"""
    step = decided(text, widget(status=intent()), a=FAILED, b=NEEDED).step()
    assert (step.phase, step.effect) == ("blocked", None)
    assert decided(text, widget(status=intent()), a=SKIPPED, b=NEEDED).step().phase == "do"


def test_an_intent_whose_until_holds_is_done_and_closed():
    step = after(intent(), a=THERE).step()
    assert step.phase == "done"
    assert step.once.done is True


def test_until_alone_does_not_close_what_was_never_sent():
    assert after(a=THERE).step().phase == "skipped"


def test_what_is_written_down_as_done_is_never_sent_again():
    step = after(intent(done=True), a=NEEDED).step()
    assert (step.phase, step.effect) == ("done", None)


def test_an_intent_of_another_key_says_nothing_about_this_one():
    other = {"intents": [{**intent()["intents"][0], "key": "boot-of-another", "done": True}]}
    assert after(other, a=NEEDED).step().once.attempt == 0


def test_a_guard_without_an_answer_blocks_a_second_attempt_as_it_blocks_the_first():
    assert after(intent(), a=FAILED).step().phase == "blocked"
    assert after(a=FAILED).step().phase == "blocked"


def test_equal_keys_share_one_target():
    text = (
        ONCE
        + """
  - id: t
    when: ${obs.a.text == 'needed'}
    call: test.destroy
    with: {address: "${once.target}"}
    once: {key: "boot-${self.metadata.uid}", target: other}
    hazard: irreversible
"""
    )
    made = decided(text, widget(spec={"address": "second"}, status=intent()), a=NEEDED)
    assert made.step("s").effect == made.step("t").effect


def test_a_step_without_until_closes_its_intent_by_succeeding():
    text = ONCE.replace("    until: ${obs.a.text == 'there'}\n", "")
    assert decided(text, widget(spec={"address": "x"}), a=NEEDED).step().closes is True
    assert after(a=NEEDED).step().closes is False


def test_a_step_without_until_that_was_carried_out_stays_done_whatever_its_guards_read_later():
    text = ONCE.replace("    until: ${obs.a.text == 'there'}\n", "")
    for answer in (NEEDED, THERE, FAILED):
        made = decided(text, widget(spec={"address": "x"}, status=intent(done=True)), a=answer)
        assert made.step().phase == "done"
    undone = decided(text, widget(spec={"address": "x"}, status=intent()), a=FAILED)
    assert undone.step().phase == "blocked"


LANE = """
observe:
  a: {call: test.read, with: {of: a}}
act:
  - id: s
    when: ${obs.a.text == 'needed'}
    call: test.disrupt
    with: {address: x}
    hazard: disruptive
    lane: quorum
    until: ${obs.a.text == 'there'}
"""


def test_a_lane_is_taken_to_act_and_given_back_only_when_until_holds():
    doing = decided(LANE, a=NEEDED).step()
    assert (doing.lane.name, doing.release) == ("quorum", None)
    for answer in (FAILED, {"text": "between"}):
        held = decided(LANE, a=answer).step()
        assert (held.lane, held.release) == (None, None)
    ended = decided(LANE, a=THERE).step()
    assert (ended.phase, ended.lane, ended.release.name) == ("done", None, "quorum")


def test_a_record_is_evaluated_when_planned_and_blocks_while_unknown():
    text = """
observe:
  a: {call: test.read, with: {of: a}}
act:
  - {id: s, call: test.change, with: {address: x}, record: "${default(obs.a.text, 'none')}"}
"""
    assert decided(text, a={"text": "digest"}).step().record == "digest"
    assert decided(text, a=FAILED).step().phase == "blocked"


def test_an_item_without_a_key_blocks_and_the_others_go_on():
    text = """
act:
  - id: s
    forEach: {in: "${self.spec.any.list}", as: m, key: "${m.name}"}
    kube: {apply: ConfigMap, name: "c-${default(m.name, 'none')}", data: {}}
"""
    made = decided(text, widget(spec={"any": {"list": [{"name": "one"}, {}]}}))
    assert made.phases() == {"s/one": "do", "s": "blocked"}


def test_for_each_over_a_list_without_an_answer_blocks_as_a_whole():
    text = """
observe:
  list: {kube: {list: Widget, match: {}}}
act:
  - id: s
    forEach: {in: "${obs.list}", as: m, key: "${m.metadata.name}"}
    kube: {delete: Widget, name: "${m.metadata.name}"}
"""
    assert decided(text, list=FAILED).phases() == {"s": "blocked"}
    assert decided(text, list=[]).phases() == {}
    assert decided(text, list=[widget("x"), widget("y")]).phases() == {"s/x": "do", "s/y": "do"}


MADE = """
act:
  - id: s
    make: {call: test.mint, with: {}}
    kube: {create: Secret, name: c, stringData: {key: "${made.text}", plain: x}}
"""


def test_what_make_will_give_is_a_stand_in_until_it_is_sent_and_shows_as_such():
    step = decided(MADE).step()
    assert step.effect.manifest["stringData"] == {"key": Made("text"), "plain": "x"}
    assert "(known after act)" in repr(step)
    with pytest.raises(TypeError):
        json.dumps(step.effect.manifest)


def test_make_waits_for_what_it_needs():
    text = """
observe:
  a: {call: test.read, with: {of: a}}
act:
  - id: s
    make: {call: test.pure, with: {of: "${default(obs.a.text, '')}"}}
    kube: {apply: ConfigMap, name: c, data: {key: "${made.text}"}}
"""
    assert decided(text, a=FAILED).step().phase == "blocked"
    assert decided(text, a=NEEDED).step().make.input == {"of": "needed"}


def test_act_of_a_step_tells_the_most_hindered_of_its_items():
    text = """
observe:
  list: {kube: {list: Widget, match: {}}}
  a: {call: test.read, with: {of: a}}
act:
  - id: s
    forEach: {in: "${obs.list}", as: m, key: "${m.metadata.name}"}
    when: ["${m.metadata.name == 'go' || obs.a.text == 'x'}"]
    kube: {delete: Widget, name: "${m.metadata.name}"}
"""
    plan = decided(text, list=[widget("go"), widget("other")], a=FAILED).plan
    assert plan.results["s"]["phase"] == "blocked"
    assert plan.results["s"]["done"] is False
