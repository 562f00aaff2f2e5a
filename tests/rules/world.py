"""Decide a pass over a written-down world: an object, and the answer to each read of its rule.

An answer is the value after `pick`; `{$error: CODE}` stands for a read that failed, `{$opaque: text}` for a
secret. A read whose own `when` is false is skipped, and a capability whose input is unknown or not what it
takes is not asked, whatever the world says. Neighbours: the golden cases in rules/tests and the tests that
put failures in everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engine.base.assets import asset
from engine.base.errors import CapabilityError
from engine.base.kinds import Key
from engine.base.model import Condition, JobState, Observed, Plan, Sample, Snapshot
from engine.base.values import Opaque, Unknown, first_unknown
from engine.base.yamltext import load_documents
from engine.capabilities.inputs import check_input
from engine.decide import decide
from engine.evaluate import Evaluation, NotObserved
from engine.report import Assessment, assess
from engine.ruleset.catalog import load_catalog
from engine.ruleset.load import load_rules
from engine.ruleset.model import CallRead, ObserveRule, Rule, RuleSet
from engine.samples import gauges
from engine.streams import watched

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
SETTINGS = {"backupDirectory": None, "loopbackOnly": False, "metaKey": False}


@cache
def shipped_rules() -> RuleSet:
    """The rules that ship."""
    return load_rules((asset("rules"),), load_catalog(asset("schemas")))


def rule_for(kind: str) -> Rule:
    """The shipped rule of a kind."""
    return next(rule for rule in shipped_rules().rules.values() if rule.kind.name == kind)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one pass over a world comes to."""

    plan: Plan
    conditions: tuple[Condition, ...]
    samples: tuple[Sample, ...]
    assessment: Assessment
    asked: Mapping[str, Any]
    """What each capability that was read from was given, by the name of the read."""
    every: Any
    """When it is looked at again, as the rule says it: `5m`."""
    streams: list[str] | None
    """What of its machine it is told, `Type` or `Type/id`; None: nobody can tell, so it stays as it is."""

    def steps(self, phase: str) -> list[str]:
        """The steps in a phase, each as `id` or `id/item`."""
        found = [step for step in self.plan.steps if step.phase == phase]
        return [f"{step.id}/{step.item}" if step.item else step.id for step in found]


def read(path: Path) -> Any:
    """The one document of a YAML file."""
    documents = load_documents(path.read_text())
    assert len(documents) == 1, f"{path} holds {len(documents)} documents"
    return documents[0]


def judge(
    live: Mapping[str, Any],
    world: Mapping[str, Any],
    *,
    now: float = NOW,
    settings: Mapping[str, bool] | None = None,
    jobs: Mapping[str, Mapping[str, Any]] | None = None,
) -> Verdict:
    """Decide and assess one pass over `live` in this world."""
    rule = rule_for(live["kind"])
    key = Key(rule.kind, live["metadata"]["namespace"], live["metadata"]["name"])
    observed: dict[str, Observed] = {}
    states = {step: JobState(**state) for step, state in (jobs or {}).items()}
    snapshot = Snapshot(key=key, object=live, observed=observed, now=now, jobs=states)
    names = Evaluation(rule, snapshot, {**SETTINGS, **(settings or {})})
    asked: dict[str, Any] = {}
    pending = [*rule.observe, *(rule.finalize.observe if rule.finalize else ())]
    while pending:
        later = [item for item in pending if not _observe(item, names, world, observed, asked)]
        assert len(later) < len(pending), f"reads wait for each other: {[item.name for item in later]}"
        pending = later
    plan = decide(rule, snapshot, names)
    assessment = assess(rule, snapshot, names, plan, None)
    every = None if rule.every is None else rule.every.evaluate(names.scope)
    wanted = watched(rule, names)
    streams = None if isinstance(wanted, Unknown) else ["/".join(filter(None, each[1:])) for each in wanted]
    return Verdict(plan, assessment.conditions, tuple(gauges(rule, names)), assessment, asked, every, streams)


def _observe(
    rule: ObserveRule,
    names: Evaluation,
    world: Mapping[str, Any],
    observed: dict[str, Observed],
    asked: dict[str, Any],
) -> bool:
    try:
        wanted = True if rule.when is None else rule.when.evaluate(names.scope)
        given = rule.source.input.evaluate(names.scope) if wanted is True and _calls(rule) else None
    except NotObserved:
        return False
    if isinstance(wanted, Unknown):
        status = "skipped" if wanted.skipped else "error"
        observed[rule.name] = Observed(status, code="DependencyUnknown", message=wanted.reason)
    elif not wanted:
        observed[rule.name] = Observed("skipped", message="its `when` is false")
    elif given is not None and (fault := _unfit(rule, given)):
        observed[rule.name] = fault
    else:
        asked[rule.name] = given
        assert rule.name in world, f"the world does not say what {rule.name} answers"
        observed[rule.name] = _answer(world[rule.name])
    return True


def _calls(rule: ObserveRule) -> bool:
    return isinstance(rule.source, CallRead)


def _unfit(rule: ObserveRule, given: Any) -> Observed | None:
    """What a capability that cannot be asked with this comes to."""
    assert isinstance(rule.source, CallRead)
    unknown = first_unknown(given)
    if unknown is not None:
        return Observed("error", code="DependencyUnknown", message=unknown.reason)
    try:
        check_input(rule.source.capability, given)
    except CapabilityError as error:
        return Observed("error", code=error.code, message=error.message)
    return None


def _answer(written: Any) -> Observed:
    if isinstance(written, Mapping) and "$error" in written:
        return Observed("error", code=written["$error"], message=f"told by the world: {written['$error']}")
    return Observed("value", _value(written))


def _value(written: Any) -> Any:
    if isinstance(written, Mapping):
        if "$opaque" in written:
            return Opaque(written["$opaque"])
        return {key: _value(item) for key, item in written.items()}
    if isinstance(written, list):
        return [_value(item) for item in written]
    return written
