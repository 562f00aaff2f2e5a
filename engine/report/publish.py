"""Write what a pass found: at most one status patch, and an event for each thing that happened.

Sends nothing when nothing changed. A failed step becomes a Warning, a changed condition an event
only where its rule asks for one; a secret cannot get into either, for expressions cannot put it
there. Neighbours: `assess` worked out the patch, `worker` calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.base.errors import Conflict, Missing
from engine.base.model import Condition, Outcome, Plan, Snapshot
from engine.freshness import OwnWrites
from engine.ports.kube.client import KubeClient
from engine.ports.kube.events import EventRecord
from engine.report.assess import Assessment, Told
from engine.ruleset.model import EventReasons, Rule, Step


class Reporter:
    """Reports through one client."""

    def __init__(self, client: KubeClient, writes: OwnWrites) -> None:
        self._client = client
        self._writes = writes

    def publish(
        self, rule: Rule, snapshot: Snapshot, plan: Plan, outcomes: Iterable[Outcome], verdict: Assessment
    ) -> bool:
        """Patch the status where it differs, then send the events; raises RemoteError of the patch.

        True when the status is another one now.
        """
        changed = False
        if verdict.patch:
            body: dict[str, Any] = {"status": verdict.patch}
            if "intents" in verdict.patch:
                # Intents are only ever written under the version that they were read at.
                body["metadata"] = {"resourceVersion": snapshot.object["metadata"]["resourceVersion"]}
            try:
                written = self._client.patch_status(snapshot.key, body)
            except Missing:
                return False
            self._writes.note(snapshot.key, snapshot.object, written)
            before = snapshot.object["metadata"]["resourceVersion"]
            changed = written["metadata"]["resourceVersion"] != before
        self.tell(rule, snapshot, plan, outcomes, verdict.conditions, verdict.events)
        return changed

    def tell(
        self,
        rule: Rule,
        snapshot: Snapshot,
        plan: Plan,
        outcomes: Iterable[Outcome],
        conditions: Iterable[Condition],
        events: Iterable[Told],
    ) -> None:
        """Send the events of a pass; never fails it."""
        for outcome in outcomes:
            told = _of_outcome(rule, outcome, dry=plan.mode == "dryrun")
            if told is not None:
                self._send(rule, snapshot, *told)
        before = {
            item["type"]: item["status"]
            for item in (snapshot.object.get("status") or {}).get("conditions") or ()
        }
        for condition in conditions:
            sort = _asked_for(rule, condition, before)
            if sort is not None:
                self._send(rule, snapshot, sort, condition.reason, condition.message)
        for event in events:
            sort = "Warning" if event.type == "warning" else "Normal"
            self._send(rule, snapshot, sort, event.reason, event.message)
        if plan.note:
            self._send(rule, snapshot, "Warning", "FinalizerReleased", plan.note)

    def _send(self, rule: Rule, snapshot: Snapshot, sort: str, reason: str, message: str) -> None:
        self._client.emit(
            EventRecord(
                regarding=snapshot.object,
                type="Warning" if sort == "Warning" else "Normal",
                reason=reason,
                message=message,
                reporter=f"{rule.controller}-controller",
            )
        )


def _of_outcome(rule: Rule, outcome: Outcome, *, dry: bool) -> tuple[str, str, str] | None:
    """Type, reason and text of the event for one outcome, or None when it is not worth one."""
    step = _step(rule, outcome.id)
    reasons = step.event if step is not None else EventReasons()
    if outcome.status == "failed":
        if isinstance(outcome.error, Conflict):
            return None
        name = outcome.id[:1].upper() + outcome.id[1:]
        return "Warning", reasons.failed or f"{name}Failed", outcome.message
    if dry:
        return ("Normal", "DryRun", outcome.message) if outcome.status == "would" else None
    reason = {"created": reasons.created, "updated": reasons.updated, "sent": reasons.updated}.get(
        outcome.status
    )
    return ("Normal", reason, outcome.message or outcome.id) if reason else None


def _step(rule: Rule, step_id: str) -> Step | None:
    steps = (*rule.act, *(rule.finalize.steps if rule.finalize else ()))
    return next((step for step in steps if step.id == step_id), None)


def _asked_for(rule: Rule, condition: Condition, before: Mapping[str, str]) -> str | None:
    """Whether the rule wants an event of this condition's turn for the worse, and of which type."""
    declared = next((item for item in rule.conditions if item.type == condition.type), None)
    if declared is None or declared.event is None:
        return None
    worse = "False" if declared.is_ is None else "True"  # what `is` names is what there is to tell
    if condition.status != worse or before.get(condition.type) == worse:
        return None
    return "Warning" if declared.event == "warning" else "Normal"
