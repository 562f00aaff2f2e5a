"""What the engine may ask of the Kubernetes API, worked out from its rules: nothing less, nothing more.

Only rules are asked, so who edits them gets the role that fits. Objects that a `machineRef` names may be of any
kind; those a user grants by a role of his own. Pure. Neighbour: `cli.rbac` writes it down as a ClusterRole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from engine.base.kinds import Kind
from engine.ruleset.model import ChildrenStep, KubeGet, KubeList, KubeStep, RolloutStep, Rule, RuleSet, Step

_ORDER: Final = ("get", "list", "watch", "create", "update", "patch", "delete")
_WATCH: Final = frozenset({"get", "list", "watch"})
_BY_VERB: Final = {
    "apply": frozenset({"get", "create", "patch"}),
    "create": frozenset({"get", "create"}),
    "patch": frozenset({"get", "patch"}),
    "delete": frozenset({"get", "delete"}),
}
_CHILDREN: Final = frozenset({"get", "list", "create", "patch", "delete"})
_OWN: Final[dict[tuple[str, str], frozenset[str]]] = {
    ("coordination.k8s.io", "leases"): frozenset({"get", "create", "delete"}),
    ("", "events"): frozenset({"get", "create", "patch"}),
    ("authentication.k8s.io", "tokenreviews"): frozenset({"create"}),
    ("authorization.k8s.io", "subjectaccessreviews"): frozenset({"create"}),
}
"""What the engine itself needs, whatever the rules are: lanes, events, and who may read /metrics."""
_DEFINITIONS: Final = ("apiextensions.k8s.io", "customresourcedefinitions")


@dataclass(frozen=True, slots=True)
class Permission:
    """Verbs on one resource (`plural` or `plural/subresource`) of one API group."""

    group: str
    resource: str
    verbs: tuple[str, ...]


def permissions(rules: RuleSet) -> tuple[Permission, ...]:
    """Everything the engine asks with these rules, by group and resource."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for place, needed in _OWN.items():
        found[place] |= needed
    for kind in rules.kinds:
        found[kind.group, kind.plural] |= _WATCH
    for rule in rules.rules.values():
        own = rule.kind
        found[own.group, own.plural] |= {"patch"}
        found[own.group, f"{own.plural}/status"] |= {"get", "patch"}
        found[own.group, f"{own.plural}/finalizers"] |= {"update"}
        if rule.crd is not None:
            found[_DEFINITIONS] |= {"get", "create", "patch"}
        for kind, verbs in (*_reads(rule), *_writes(rule)):
            found[kind.group, kind.plural] |= verbs
    return tuple(
        Permission(group, resource, tuple(sorted(verbs, key=_ORDER.index)))
        for (group, resource), verbs in sorted(found.items())
    )


def _reads(rule: Rule) -> Iterator[tuple[Kind, frozenset[str]]]:
    observed = (*rule.observe, *(rule.finalize.observe if rule.finalize else ()))
    for read in observed:
        if isinstance(read.source, KubeGet | KubeList):
            yield read.source.kind, _WATCH


def _writes(rule: Rule) -> Iterator[tuple[Kind, frozenset[str]]]:
    steps: Iterable[Step] = (*rule.act, *(rule.finalize.steps if rule.finalize else ()))
    for step in steps:
        body = step.body
        if isinstance(body, KubeStep):
            yield body.kind, _BY_VERB[body.verb]
        elif isinstance(body, ChildrenStep):
            yield body.kind, _CHILDREN
        elif isinstance(body, RolloutStep):
            yield body.do.kind, _BY_VERB[body.do.verb]
