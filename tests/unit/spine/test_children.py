"""Children: one for each item, and which existing ones go."""

from __future__ import annotations

import pytest

from engine.base.model import KubeWrite
from engine.base.values import Unknown
from tests.unit.spine.world import FAILED, decided, widget

CHILDREN = """
observe:
  parts: {call: test.any, with: {of: parts}}
  kids: {kube: {list: Widget, match: {spec.parent: w}}}
  gate: {call: test.read, with: {of: gate}}
act:
  - id: s
    why: a part needs one
    children:
      kind: Widget
      from: ${self.spec.any.list}
      as: m
      key: ${m.key}
      name: "w-${m.key}"
      owner: controller
      labels: {of: w}
      annotationsAtCreation: {example.org/first: "yes"}
      spec: {parent: w, address: "${default(m.address, omit())}"}
      existing: ${obs.kids}
      prune: {gate: "${obs.gate.text == 'open'}", lane: quorum}
conditions:
  - {type: Parts, is: "${obs.parts.ready}"}
"""
OPEN, CLOSED = {"text": "open"}, {"text": "closed"}


def wanting(*keys, kids=(), gate=OPEN, text=CHILDREN):
    items = [key if isinstance(key, dict) else {"key": key} for key in keys]
    there = kids if not isinstance(kids, (tuple, list)) else list(kids)
    return decided(text, widget(spec={"any": {"list": items}}), parts=OPEN, kids=there, gate=gate)


def deletions(made):
    return [
        s.effect.target.name for s in made.plan.steps if s.effect is not None and s.effect.verb == "delete"
    ]


def test_each_item_becomes_one_owned_child_with_the_whole_wanted_spec():
    made = wanting({"key": "a", "address": "1"}, {"key": "b"})
    one, two = made.step(item="a").effect, made.step(item="b").effect
    assert isinstance(one, KubeWrite)
    assert one.verb == "apply" and one.target.name == "w-a"
    assert one.manifest["spec"] == {"parent": "w", "address": "1"}
    assert one.annotations_at_creation == {"example.org/first": "yes"}
    assert "annotations" not in one.manifest["metadata"]
    (owner,) = one.manifest["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("uid-w", True)
    assert two.manifest["spec"] == {"parent": "w"}
    assert made.plan.results["s"]["wanted"] == ["w-a", "w-b"]


def test_a_surplus_child_goes_once_every_item_is_resolved():
    made = wanting("a", kids=[widget("w-a"), widget("w-b")])
    assert deletions(made) == ["w-b"]
    assert made.plan.results["s"]["surplus"] == ["w-b"]
    assert made.step(item="w-b").lane.holder.name == "w-b"


def test_one_item_without_a_key_stops_all_pruning_and_makes_no_child():
    made = wanting("a", {"key": None}, kids=[widget("w-a"), widget("w-b")])
    assert deletions(made) == []
    assert made.phases() == {"s/a": "do", "s/prune": "waiting"}
    assert made.plan.results["s"] | {"unresolved": 1, "surplus": ["w-b"]} == made.plan.results["s"]


def test_a_child_that_cannot_be_told_stops_all_pruning():
    text = CHILDREN.replace(
        'address: "${default(m.address, omit())}"', 'address: "${default(obs.parts.text, omit())}"'
    )
    made = decided(
        text, widget(spec={"any": {"list": [{"key": "a"}]}}), parts=FAILED, kids=[widget("w-b")], gate=OPEN
    )
    assert made.phases() == {"s/a": "blocked", "s/prune": "waiting"}
    assert made.plan.results["s"]["unresolved"] == 1


def test_children_nobody_could_list_are_not_pruned_and_surplus_is_unknown_not_none():
    made = wanting("a", kids=FAILED)
    assert made.phases() == {"s/a": "do", "s/prune": "blocked"}
    assert isinstance(made.plan.results["s"]["surplus"], Unknown)


def test_a_list_of_items_that_is_null_is_no_empty_list_and_prunes_nothing():
    text = CHILDREN.replace("${self.spec.any.list}", "${obs.parts}")
    made = decided(text, parts=None, kids=[widget("w-a")], gate=OPEN)
    assert deletions(made) == []
    assert made.step(item="prune").phase == "blocked"
    assert isinstance(made.plan.results["s"]["surplus"], Unknown)
    assert deletions(decided(text, parts=[], kids=[widget("w-a")], gate=OPEN)) == ["w-a"]


def test_a_list_of_items_without_an_answer_blocks_the_whole_step():
    text = CHILDREN.replace("${self.spec.any.list}", "${obs.parts}")
    made = decided(text, parts=FAILED, kids=[widget("w-a")], gate=OPEN)
    assert made.phases() == {"s": "blocked"}
    assert isinstance(made.plan.results["s"]["wanted"], Unknown)


@pytest.mark.parametrize(("gate", "phase"), [(CLOSED, "waiting"), (FAILED, "blocked")])
def test_a_prune_gate_that_is_not_known_to_be_open_keeps_every_child(gate, phase):
    made = wanting(kids=[widget("w-a")], gate=gate)
    assert deletions(made) == []
    assert made.step(item="prune").phase == phase


def test_a_prune_gate_that_names_the_child_is_asked_of_each():
    text = CHILDREN.replace(
        "prune: {gate: \"${obs.gate.text == 'open'}\", lane: quorum}",
        "prune: {as: gone, gate: \"${obs.gate.text == 'open' && gone.spec.size == `1`}\", lane: quorum}",
    )
    kids = [widget("w-a", spec={"size": 2}), widget("w-b", spec={"size": 1}), widget("w-c", spec={"size": 1})]
    assert deletions(wanting(kids=kids, text=text)) == ["w-b"]
    kept = wanting(kids=kids[:1], text=text)
    assert deletions(kept) == []
    assert kept.step(item="prune").reason == "w-a stays"


def test_with_a_lane_one_child_goes_at_a_time_and_the_next_waits_until_it_is_gone():
    first = wanting(kids=[widget("w-a"), widget("w-b")])
    assert deletions(first) == ["w-a"]
    leaving = widget("w-a", deletionTimestamp="2027-01-15T07:59:00Z")
    second = wanting(kids=[leaving, widget("w-b")])
    assert deletions(second) == []
    assert second.step(item="prune").reason == "w-a is still leaving"
    assert deletions(wanting(kids=[widget("w-b")])) == ["w-b"]


def test_without_a_lane_all_surplus_children_go_at_once():
    text = CHILDREN.replace(", lane: quorum", "")
    assert deletions(wanting(kids=[widget("w-a"), widget("w-b")], text=text)) == ["w-a", "w-b"]


def test_a_false_guard_neither_makes_nor_prunes_and_its_facts_are_unknown():
    text = CHILDREN.replace("    children:", "    when: ${self.spec.size == `1`}\n    children:")
    made = wanting("a", kids=[widget("w-b")], text=text)
    assert made.phases() == {"s": "skipped"}
    assert made.plan.results["s"]["surplus"].skipped is True
