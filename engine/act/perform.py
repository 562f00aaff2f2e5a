"""Execute the steps of a Plan in their order, and stop where fresh observation is needed.

Kube writes go on; the first effect on a node ends the phase, and after a write that failed no node is
touched, so that what comes after is decided on what then is. At an object's end each step waits for
the success of the one before, and the finalizer for all of them. Never chooses what to do and never
retries. In a dry run nothing is written; each step tells what it would have done. Neighbours:
`decide` made the plan, `report` tells of the outcomes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.act.jobs import Jobs
from engine.act.kube import KubeWriter
from engine.act.lanes import Lanes
from engine.act.once import Intents
from engine.act.send import Sender
from engine.base.errors import Bug, Conflict, EngineError, LeadershipLost, RemoteError
from engine.base.kinds import Key
from engine.base.model import CapabilityCall, Intent, KubeWrite, Outcome, Plan, PlannedStep
from engine.base.values import Value
from engine.capabilities.contract import Ports
from engine.ruleset.model import Rule

MANAGER = "talos-operator"

_CHANGES = frozenset({"sent", "created", "updated", "deleted"})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Performed:
    """What became of a plan. `again`: run once more soon, something was changed or refused for now.

    `waits`: a lane is taken, and nothing will tell when it is free.
    """

    outcomes: tuple[Outcome, ...]
    again: bool
    waits: bool = False
    finalizer_removed: bool = False
    sent: Mapping[str, str] | None = None
    """`record` texts of the steps that changed something in this pass, by step id."""


class Actor:
    """Carries plans out through the ports it is given."""

    def __init__(self, kube: KubeWriter, lanes: Lanes, intents: Intents, sender: Sender, jobs: Jobs) -> None:
        self._kube = kube
        self._lanes = lanes
        self._intents = intents
        self._sender = sender
        self._jobs = jobs

    def perform(self, rule: Rule, plan: Plan, live: Mapping[str, Any], ports: Ports) -> Performed:
        """Run the plan's steps; every error of a step becomes its Outcome.

        Raises RemoteError only for the finalizer, without which nothing else may be done, and
        LeadershipLost as soon as something may not be done by this process any more.
        """
        dry = plan.mode == "dryrun"
        if plan.finalizer_change == "add" and not dry:
            live = self._kube.add_finalizer(plan.key, live, plan.finalizer)
        outcomes: list[Outcome] = []
        sent: dict[str, str] = {}
        ending = bool(live["metadata"].get("deletionTimestamp"))
        if ending and not dry:
            self._jobs.stop(plan.key)
        late = False
        for step in plan.steps:
            if step.release is not None and not dry:
                late = not self._released(step, outcomes) or late
            if step.phase != "do" or step.effect is None:
                continue
            on_node = not isinstance(step.effect, KubeWrite)
            if on_node and any(item.status == "failed" for item in outcomes):
                break
            started = time.monotonic()
            outcome = self._step(rule, plan.key, step, live, ports, dry=dry)
            outcomes.append(replace(outcome, seconds=time.monotonic() - started))
            if step.record is not None and outcome.status in _CHANGES:
                sent[step.id] = step.record
            if not _is_complete(outcome) if ending else on_node and outcome.status in ("sent", "failed"):
                break
        planned = sum(step.phase == "do" and step.effect is not None for step in plan.steps)
        is_complete = len(outcomes) == planned and all(_is_complete(item) for item in outcomes)
        removed = plan.finalizer_change == "remove" and is_complete
        if removed and not dry:
            self._kube.remove_finalizer(plan.key, live, plan.finalizer)
        return Performed(
            tuple(outcomes),
            again=not removed and any(item.status in _CHANGES for item in outcomes),
            waits=late or any(item.status == "waiting" for item in outcomes),
            finalizer_removed=removed,
            sent=sent or None,
        )

    def _released(self, step: PlannedStep, outcomes: list[Outcome]) -> bool:
        """Give a lane back; False when that has to wait."""
        assert step.release is not None
        try:
            return self._lanes.release(step.release)
        except LeadershipLost:
            raise
        except RemoteError as error:
            outcomes.append(_failed(step, error))
            return True

    def _step(
        self, rule: Rule, key: Key, step: PlannedStep, live: Mapping[str, Any], ports: Ports, *, dry: bool
    ) -> Outcome:
        try:
            if step.lane is not None and not dry and not self._lanes.take(step.lane):
                message = f"{self._lanes.holder(step.lane)} is being changed"
                return Outcome(id=step.id, item=step.item, status="waiting", message=message)
            if isinstance(step.effect, KubeWrite):
                manager = f"{MANAGER}-{rule.controller}"
                return self._kube.write(step, self._made(step, ports), manager=manager, dry=dry)
            if step.once is not None and not dry:
                return self._once(rule, key, step, live, ports)
            if not dry:
                self._confirm(key, live)
            if step.job and not dry:
                return self._begin(rule, key, step, ports)
            return self._sender.send(rule, step, ports, dry=dry)
        except LeadershipLost:
            raise
        except RemoteError as error:
            return _failed(step, error)
        except EngineError as error:
            return _failed(step, RemoteError(str(error), code=type(error).__name__))
        except Exception as error:
            log.exception("%s: step %s ended with a bug of ours", key, step.id)
            return _failed(step, Bug(error))

    def _once(
        self, rule: Rule, key: Key, step: PlannedStep, live: Mapping[str, Any], ports: Ports
    ) -> Outcome:
        """Write the intent down, send, and close it where no `until` is there to do so."""
        opened: Intent = self._intents.open(key, step, live)
        outcome = self._sender.send(rule, step, ports, dry=False)
        if step.closes and _is_complete(outcome):
            try:
                self._intents.close(key, opened)
            except RemoteError as error:
                log.warning("%s: %s was carried out and could not be written down: %s", key, step.id, error)
        return outcome

    def _begin(self, rule: Rule, key: Key, step: PlannedStep, ports: Ports) -> Outcome:
        """Have the step's job run beside the passes; its end wakes the object."""
        work, rest = self._sender.work(step, ports), rule.backoff
        begun = self._jobs.begin(key, step.id, work, initial_s=rest.initial_s, max_s=rest.max_s)
        return Outcome(id=step.id, item="", status="sent" if begun else "unchanged", message=step.why)

    def _confirm(self, key: Key, live: Mapping[str, Any]) -> None:
        """The object is still what the plan was made for; the cache may have been behind."""
        now = self._kube.live(key)
        for field in ("uid", "generation", "deletionTimestamp"):
            if now["metadata"].get(field) != live["metadata"].get(field):
                raise Conflict(
                    f"{field} has changed since this pass began", sent="no", operation="look again"
                )

    def _made(self, step: PlannedStep, ports: Ports) -> Mapping[str, Value] | None:
        """`make` is computed when the write is really needed: asked for lazily by the writer."""
        if step.make is None:
            return None
        return _Lazy(self._sender, step.make, ports)


class _Lazy(Mapping[str, Value]):
    """What `make` gives, computed at the first look."""

    def __init__(self, sender: Sender, call: CapabilityCall, ports: Ports) -> None:
        self._sender = sender
        self._call = call
        self._ports = ports
        self._result: Mapping[str, Value] | None = None

    def _get(self) -> Mapping[str, Value]:
        if self._result is None:
            self._result = self._sender.make(self._call, self._ports)
        return self._result

    def __getitem__(self, name: str) -> Value:
        return self._get()[name]

    def __iter__(self) -> Any:
        return iter(self._get())

    def __len__(self) -> int:
        return len(self._get())


def _failed(step: PlannedStep, error: RemoteError) -> Outcome:
    return Outcome(id=step.id, item=step.item, status="failed", message=str(error), error=error)


def _is_complete(outcome: Outcome) -> bool:
    """A finalize step that succeeded; a capability may say that it is not done yet."""
    if outcome.status in ("failed", "waiting"):
        return False
    return not (isinstance(outcome.result, Mapping) and outcome.result.get("done") is False)
