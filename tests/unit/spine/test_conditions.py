"""Conditions: False by the first true line, Unknown by the first without an answer, else True."""

from __future__ import annotations

import pytest

from tests.unit.spine.world import FAILED, SKIPPED, decided, widget

TWO = """
observe:
  a: {call: test.read, with: {of: a}}
  b: {call: test.read, with: {of: b}}
conditions:
  - type: Fine
    unless:
      - {when: "${obs.a.text == 'bad'}", reason: First, message: "a is ${obs.a.text}"}
      - {when: "${obs.b.text == 'bad'}", reason: Second}
  - type: Aside
    counts: false
    is: ${obs.b.text == 'good'}
    reason: Asked
"""
GOOD, BAD = {"text": "good"}, {"text": "bad"}


@pytest.mark.parametrize(
    ("a", "b", "status", "reason"),
    [
        (GOOD, GOOD, "True", "Fine"),
        (BAD, FAILED, "False", "First"),
        (GOOD, BAD, "False", "Second"),
        (FAILED, BAD, "Unknown", "ObservationFailed"),
        (GOOD, FAILED, "Unknown", "ObservationFailed"),
        (SKIPPED, GOOD, "Unknown", "NotObserved"),
    ],
)
def test_the_lines_are_asked_in_their_order(a, b, status, reason):
    found = decided(TWO, a=a, b=b).condition("Fine")
    assert (found.status, found.reason) == (status, reason)


def test_a_condition_without_an_answer_says_which_read_failed_and_why():
    assert decided(TWO, a=FAILED, b=GOOD).condition("Fine").message == "obs.a: no answer"


def test_ready_is_the_conjunction_of_those_that_count():
    assert decided(TWO, a=GOOD, b=GOOD).condition("Ready").status == "True"
    assert decided(TWO, a=GOOD, b={"text": "so so"}).condition("Ready").status == "True"
    bad = decided(TWO, a=BAD, b=GOOD).condition("Ready")
    assert (bad.status, bad.reason, bad.message) == ("False", "First", "Fine: a is bad")
    assert decided(TWO, a=FAILED, b=GOOD).condition("Ready").status == "Unknown"


def test_false_weighs_more_than_unknown_in_ready():
    text = TWO.replace("    counts: false\n", "")
    assert decided(text, a=FAILED, b=BAD).condition("Ready").reason == "Asked"


def test_a_condition_that_does_not_apply_is_absent_and_does_not_count():
    text = """
observe:
  a: {call: test.read, with: {of: a}}
conditions:
  - {type: Never, when: "${self.spec.size == `1`}", is: "${obs.a.text == 'good'}"}
"""
    names = [item.type for item in decided(text, widget(spec={"size": 2}), a=BAD).names.verdicts.all()]
    assert names == ["Ready"]
    assert decided(text, widget(spec={"size": 1}), a=BAD).condition("Ready").status == "False"


def test_a_message_that_cannot_be_told_says_so_and_does_not_hide_the_condition():
    text = """
observe:
  a: {call: test.read, with: {of: a}}
conditions:
  - type: Fine
    unless:
      - {when: "${self.spec.size == `1`}", reason: Small, message: "a is ${default(obs.a.text, 'x')}"}
"""
    found = decided(text, widget(spec={"size": 1}), a=FAILED).condition("Fine")
    assert (found.status, found.reason, found.message) == ("False", "Small", "(obs.a unknown)")


def test_an_expression_that_does_not_fit_the_object_makes_its_condition_unknown_and_spares_the_others():
    text = """
conditions:
  - {type: Odd, unless: [{when: "${length(self.spec.any.x) > `0`}", reason: Long}]}
  - {type: Even, is: "${self.spec.size == `2`}"}
"""
    made = decided(text, widget(spec={"size": 2, "any": {"x": 5}}))
    assert (made.condition("Odd").status, made.condition("Odd").reason) == ("Unknown", "ExpressionError")
    assert made.condition("Even").status == "True"


def test_a_condition_reads_what_became_of_a_step():
    text = """
observe:
  a: {call: test.read, with: {of: a}}
act:
  - {id: s, when: "${obs.a.text == 'good'}", call: test.change, with: {address: x}}
conditions:
  - {type: Idle, is: "${act.s.phase == 'skipped'}"}
"""
    assert decided(text, a=BAD).condition("Idle").status == "True"
    assert decided(text, a=GOOD).condition("Idle").status == "False"


COUNTS = """
observe:
  a: {call: test.read, with: {of: a}}
conditions:
  - type: Fine
    counts: ${obs.a.text != 'left so'}
    is: ${obs.a.text == 'good'}
"""


@pytest.mark.parametrize(
    ("a", "ready"),
    [(GOOD, "True"), (BAD, "False"), ({"text": "left so"}, "True"), (FAILED, "Unknown")],
)
def test_whether_a_condition_counts_may_be_a_test_and_unknown_counts(a, ready):
    assert decided(COUNTS, a=a).condition("Ready").status == ready
