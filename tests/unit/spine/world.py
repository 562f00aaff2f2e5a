"""A small kind with a small rule, and one pass over it with the answers that a test writes down.

The rule goes through the real loader. Neighbour: `api` has the same kind on the embedded API server.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from engine.base.assets import asset
from engine.base.kinds import Key, Kind
from engine.base.model import Condition, Observed, Plan, PlannedStep, Snapshot
from engine.decide import decide
from engine.evaluate import Evaluation
from engine.report import Assessment, assess
from engine.ruleset.catalog import Catalog, load_catalog
from engine.ruleset.load import load_rules
from engine.ruleset.model import Rule, RuleSet
from tests.unit.spine.capabilities import TEST_CAPABILITIES

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
WIDGET = Kind("example.org", "v1", "Widget", "widgets")
SECRET = Kind("", "v1", "Secret", "secrets")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")

HEAD = """
apiVersion: engine/v1alpha1
kind: Reconciler
for:
  group: example.org
  version: v1
  kind: Widget
  schema:
    spec:
      address: string
      size: integer
      open: boolean
      parent: string
      parts: string[]
      any: {type: object, x-kubernetes-preserve-unknown-fields: true}
    status:
      word: string
      number: integer
      parts: string[]
      map: {type: object, additionalProperties: {type: string}}
      nested: {type: object, properties: {a: {type: string}, b: {type: string}}}
"""

# A step that must happen once, wherever it may have been sent.
ONCE = """
observe:
  a: {call: test.read, with: {of: a}}
act:
  - id: s
    when: ${obs.a.text == 'needed'}
    call: test.destroy
    with: {address: "${once.target}"}
    once: {key: "boot-${self.metadata.uid}", target: "${self.spec.address}"}
    hazard: irreversible
    until: ${obs.a.text == 'there'}
"""
NEEDED, THERE = {"text": "needed"}, {"text": "there"}


@cache
def catalog() -> Catalog:
    """The shipped catalog with the capabilities of the tests."""
    shipped = load_catalog(asset("schemas"))
    return replace(shipped, capabilities={**shipped.capabilities, **TEST_CAPABILITIES})


@cache
def rules_of(text: str) -> RuleSet:
    """The rule set of one rule text for the kind Widget."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "widget.yaml"
        path.write_text(HEAD + text)
        return load_rules((path,), catalog())


def rule_of(text: str) -> Rule:
    """The one rule of the text."""
    return rules_of(text).rules[WIDGET]


def widget(name: str = "w", **parts: Any) -> dict[str, Any]:
    """A Widget; `spec` and `status` as given, everything else is put into its metadata."""
    spec, status = parts.pop("spec", {}), parts.pop("status", None)
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": "2027-01-01T00:00:00Z",
        **parts,
    }
    live = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": metadata, "spec": spec}
    return live if status is None else {**live, "status": status}


def key_of(name: str = "w") -> Key:
    """The key of a Widget."""
    return Key(WIDGET, "default", name)


@dataclass(frozen=True, slots=True)
class Pass:
    """One decided pass."""

    rule: Rule
    snapshot: Snapshot
    names: Evaluation
    plan: Plan

    def step(self, name: str = "s", item: str = "") -> PlannedStep:
        """The planned step of this name and item; there is exactly one."""
        (found,) = [step for step in self.plan.steps if (step.id, step.item) == (name, item)]
        return found

    def phases(self) -> dict[str, str]:
        """The phase of each step, by `id` or `id/item`."""
        return {f"{s.id}/{s.item}" if s.item else s.id: s.phase for s in self.plan.steps}

    def assess(self, sent: Mapping[str, str] | None = None) -> Assessment:
        """What the status should say."""
        return assess(self.rule, self.snapshot, self.names, self.plan, sent)

    def condition(self, name: str) -> Condition:
        """One condition of this pass."""
        (found,) = [item for item in self.names.verdicts.all() if item.type == name]
        return found


FAILED = Observed("error", code="Unreachable", message="no answer")
SKIPPED = Observed("skipped", message="its `when` is false")


def decided(text: str, live: Mapping[str, Any] | None = None, *, now: float = NOW, **answers: Any) -> Pass:
    """Decide one pass; `answers` are the observations, each a value or an Observed."""
    live = widget() if live is None else live
    observed = {
        name: value if isinstance(value, Observed) else Observed("value", value)
        for name, value in answers.items()
    }
    rule = rule_of(text)
    key = Key(WIDGET, live["metadata"]["namespace"], live["metadata"]["name"])
    snapshot = Snapshot(key=key, object=live, observed=observed, now=now)
    names = Evaluation(rule, snapshot, {"backupDirectory": None, "metaKey": False, "loopbackOnly": True})
    return Pass(rule, snapshot, names, decide(rule, snapshot, names))
