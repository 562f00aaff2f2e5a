"""Build what a kube step writes: the whole wanted object, evaluated from the rule.

An Unknown anywhere in it means that nothing may be written; a null in a place that was not
declared to be removed is a mistake of the rule, not an absent key. Pure. Neighbours: `steps`,
`children` and `rollout` call it; `act.kube` sends the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.base.errors import ExpressionError
from engine.base.kinds import Key
from engine.base.model import KubeWrite, Snapshot
from engine.base.values import OMIT, Unknown, Value, first_unknown
from engine.expr import Scope
from engine.ruleset.model import KubeStep
from engine.ruleset.model_values import Form


def kube_write(step: KubeStep, snapshot: Snapshot, scope: Scope) -> KubeWrite | Unknown:
    """The write of one step, or the Unknown that blocks it."""
    name = step.name.evaluate(scope)
    if isinstance(name, Unknown):
        return name
    if not isinstance(name, str) or not name:
        raise ExpressionError(f"{step.name.position}: an object needs a name, got {name!r}")
    target = Key(step.kind, snapshot.key.namespace if step.kind.namespaced else "", name)
    if step.verb == "delete":
        return KubeWrite(verb="delete", target=target)
    manifest = _manifest(step, target, snapshot, scope)
    if isinstance(manifest, Unknown):
        return manifest
    at_creation = _map(step.annotations_at_creation, scope)
    if isinstance(at_creation, Unknown):
        return at_creation
    return KubeWrite(verb=step.verb, target=target, manifest=manifest, annotations_at_creation=at_creation)


def _manifest(step: KubeStep, target: Key, snapshot: Snapshot, scope: Scope) -> dict[str, Any] | Unknown:
    metadata: dict[str, Any] = {"name": target.name}
    if target.namespace:
        metadata["namespace"] = target.namespace
    for field, form in (("labels", step.labels), ("annotations", step.annotations)):
        texts = _map(form, scope)
        if isinstance(texts, Unknown):
            return texts
        if texts:
            metadata[field] = texts
    owner = step.owner.evaluate(scope) if step.owner is not None else OMIT
    if isinstance(owner, Unknown):
        return owner
    if owner in ("controller", "plain"):
        metadata["ownerReferences"] = [owner_reference(snapshot.object, controller=owner == "controller")]
    manifest: dict[str, Any] = {
        "apiVersion": step.kind.api_version,
        "kind": step.kind.name,
        "metadata": metadata,
    }
    for part, body in step.body.items():
        value = body.evaluate(scope)
        unknown = first_unknown(value)
        if unknown is not None:
            return unknown
        if value is not OMIT:
            manifest[part] = value
    return manifest


def owner_reference(owner: Mapping[str, Any], *, controller: bool) -> dict[str, Any]:
    """The reference to `owner` that its children carry."""
    reference: dict[str, Any] = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    if controller:
        reference |= {"controller": True, "blockOwnerDeletion": True}
    return reference


def _map(form: Form | None, scope: Scope) -> dict[str, str] | Unknown:
    """Labels or annotations; a null one is left out, for nobody can write a null there."""
    value: Value = None if form is None else form.evaluate(scope)
    unknown = first_unknown(value)
    if unknown is not None:
        return unknown
    if value is None or value is OMIT:
        return {}
    return {key: text for key, text in value.items() if text is not None and text is not OMIT}
