"""What a running engine keeps of its rules, and that it is still all of them."""

from __future__ import annotations

import gc
from dataclasses import replace
from types import FunctionType, ModuleType

from engine.base.errors import ExpressionError
from engine.base.yamlnodes import ListNode, MapNode, YamlSource
from engine.expr import Scope
from engine.expr.tree import Node
from engine.ruleset import schema
from engine.ruleset.forms import TemplateForm
from engine.ruleset.references import Ref
from engine.ruleset.settle import settled
from tests.unit.ruleset.test_load import shipped


def everything_in(value):
    """All that `value` keeps alive by itself: not what modules and classes hold anyway."""
    seen, waiting = {}, [value]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, type | ModuleType):
            continue
        seen[id(item)] = item
        is_function = isinstance(item, FunctionType)
        waiting += (item.__closure__ or ()) if is_function else gc.get_referents(item)
    return list(seen.values())


def of(kind, items):
    return [item for item in items if isinstance(item, kind)]


def test_what_only_the_checks_need_is_not_kept_by_a_running_engine():
    loaded, kept = everything_in(shipped()), everything_in(settled(shipped()))
    assert len(of(Node, loaded)) > 1000
    assert len(of(Ref, loaded)) > 1000
    assert not [tree for tree in of(Node, kept) if tree.children or tree.value is not None]
    assert not of(Ref, kept)
    assert not of((MapNode, ListNode), kept)
    assert not [source for source in of(YamlSource, kept) if source.lines]
    assert schema._schemas.cache_info().currsize == 0


def forms(rules):
    return {str(form.position): form for form in of(TemplateForm, everything_in(rules))}


def result(form):
    try:
        return form.evaluate(Scope({}))
    except ExpressionError as error:
        return str(error)


def test_settled_rules_say_the_same_at_the_same_place():
    before, after = forms(shipped()), forms(settled(shipped()))
    assert before.keys() == after.keys()
    told = {place: result(form) for place, form in after.items()}
    assert told == {place: result(form) for place, form in before.items()}
    assert sum(isinstance(each, str) and "rules/" in each for each in told.values()) > 100


def test_what_is_shared_stays_shared_and_what_has_nothing_to_drop_is_the_same():
    before = shipped()
    after = settled(before)
    assert replace(before, rules={}, engine_metrics=()) == replace(after, rules={}, engine_metrics=())
    for kind, rule in before.rules.items():
        assert after.rules[kind].let.keys() == rule.let.keys()
        assert [
            step.body.capability for step in after.rules[kind].act if hasattr(step.body, "capability")
        ] == [step.body.capability for step in rule.act if hasattr(step.body, "capability")]
    assert len(forms(after)) == len(forms(before))
    assert len(of(TemplateForm, everything_in(after))) == len(of(TemplateForm, everything_in(before)))


def test_the_rules_that_were_loaded_are_left_as_they_are():
    before = len(of(Node, everything_in(shipped())))
    settled(shipped())
    assert len(of(Node, everything_in(shipped()))) == before
