"""Make the names that a rule's expressions read, for one object in one pass.

`self obs let cond act job sent settings now` become one Scope. Everything is computed when first
read and then kept, so a rule pays only for what its decisions need. Reading an observation
that has not been made yet raises NotObserved, which `observe` answers by reading more. Pure:
no clock, no I/O. Neighbours: observe, decide, report and measure evaluate in this scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.errors import EngineError, ExpressionError
from engine.base.model import Condition, JobState, Observed, Snapshot
from engine.base.values import Unknown, Value
from engine.conditions import READY, evaluate_condition, ready
from engine.expr import Scope
from engine.ruleset.model import ConditionRule, Rule
from engine.ruleset.model_values import Form

_NO_JOB = JobState(phase="none")


class NotObserved(EngineError):
    """An expression needs an observation that this pass has not made yet."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Observations:
    """`obs`: a value, null when tolerated, Unknown when failed or skipped by its own `when`."""

    __slots__ = ("_observed",)

    def __init__(self, observed: Mapping[str, Observed]) -> None:
        self._observed = observed

    def lookup(self, name: str) -> Value:
        """The value of one observation; raises NotObserved while it is still to be made."""
        seen = self.state(name)
        if seen.status == "value":
            return seen.value
        if seen.status == "tolerated":
            return None
        return Unknown(f"obs.{name}", seen.message, skipped=seen.status == "skipped")

    def state(self, name: str) -> Observed:
        """How the read ended, for `failed()` and `error()`."""
        seen = self._observed.get(name)
        if seen is None:
            raise NotObserved(name)
        return seen


def job_result(state: JobState) -> dict[str, Value]:
    """How a job ended, as `job.<id>` and the event of its end both show it."""
    return {
        "error": state.error or None,
        "code": state.code or None,
        "output": state.output,
        "seconds": state.seconds,
    }


class JobStates:
    """`job`: how the job of a step stands; one that was never begun has phase none."""

    __slots__ = ("_states",)

    def __init__(self, states: Mapping[str, JobState]) -> None:
        self._states = states

    def lookup(self, name: str) -> Value:
        """The state of one job, as `job.<id>` shows it."""
        state = self._states.get(name, _NO_JOB)
        return {**job_result(state), "phase": state.phase, "failures": state.failures}


class Definitions:
    """`let`: named expressions, each evaluated at most once a pass."""

    __slots__ = ("_forms", "_known", "_scope")

    def __init__(self, forms: Mapping[str, Form], scope: Scope) -> None:
        self._forms = forms
        self._scope = scope
        self._known: dict[str, Value] = {}

    def lookup(self, name: str) -> Value:
        """The value of one definition."""
        try:
            return self._known[name]
        except KeyError:
            pass
        form = self._forms.get(name)
        if form is None:
            raise ExpressionError(f"no let is called {name}")
        value = self._known[name] = form.evaluate(self._scope)
        return value

    def forget(self) -> None:
        """Evaluate all definitions anew."""
        self._known.clear()


class Verdicts:
    """`cond`: this pass's conditions as true, false or Unknown."""

    __slots__ = ("_known", "_rules", "_scope")

    def __init__(self, rules: Mapping[str, ConditionRule], scope: Scope) -> None:
        self._rules = rules
        self._scope = scope
        self._known: dict[str, Condition | None] = {}

    def lookup(self, name: str) -> Value:
        """One condition; one that does not apply to this object is Unknown, as if skipped."""
        condition = self._condition(name)
        if condition is None:
            return Unknown(f"cond.{name}", "the condition does not apply to this object", skipped=True)
        if condition.status == "Unknown":
            return Unknown(f"cond.{name}", condition.message)
        return condition.status == "True"

    def all(self) -> tuple[Condition, ...]:
        """Every condition that applies, in the order of the rule, then Ready."""
        names = [name for name in self._rules if name != READY]
        return tuple(
            condition for name in (*names, READY) if (condition := self._condition(name)) is not None
        )

    def forget(self) -> None:
        """Ask all conditions anew."""
        self._known.clear()

    def _condition(self, name: str) -> Condition | None:
        if name not in self._known:
            rule = self._rules.get(name)
            if rule is not None:
                self._known[name] = evaluate_condition(rule, self._scope)
            elif name == READY:
                parts = (self._condition(other) for other in self._rules)
                self._known[name] = ready(part for part in parts if part is not None)
            else:
                raise ExpressionError(f"no condition is called {name}")
        return self._known[name]


class Results:
    """`act`: how each step was decided or ended so far."""

    __slots__ = ("results", "were_missed")

    def __init__(self) -> None:
        self.results: dict[str, Mapping[str, Value]] = {}
        self.were_missed = False

    def lookup(self, name: str) -> Value:
        """The result of one step; Unknown before it was decided."""
        try:
            return self.results[name]
        except KeyError:
            self.were_missed = True
            return Unknown(f"act.{name}", "the step was not reached", skipped=True)


class Evaluation:
    """The names of one pass over one object; `scope` is what forms are evaluated in."""

    __slots__ = ("_definitions", "results", "scope", "verdicts")

    def __init__(self, rule: Rule, snapshot: Snapshot, settings: Mapping[str, Value]) -> None:
        self.results = Results()
        roots: dict[str, Any] = {
            "self": snapshot.object,
            "obs": Observations(snapshot.observed),
            "act": self.results,
            "job": JobStates(snapshot.jobs),
            "sent": (snapshot.object.get("status") or {}).get("sent") or {},
            "settings": settings,
            "now": snapshot.now,
        }
        self.scope = Scope(roots)
        self.verdicts = Verdicts({item.type: item for item in rule.conditions}, self.scope)
        self._definitions = roots["let"] = Definitions(rule.let, self.scope)
        roots["cond"] = self.verdicts

    def decided(self, step: str, result: Mapping[str, Value]) -> None:
        """Note how a step was decided; what was asked of it too early is asked again."""
        self.results.results[step] = result
        if self.results.were_missed:
            self.results.were_missed = False
            self.verdicts.forget()
            self._definitions.forget()
