"""Execute the steps of a Plan in their order, and stop where fresh observation is needed.

Kube writes go on; the first effect on a node ends the phase, and so does the first failure, so that
what comes after is decided on what then is. Never chooses what to do and never retries. In a
dry run nothing is written; each step tells what it would have done. Neighbours: `decide` made
the plan, `report` tells of the outcomes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.act.kube import KubeWriter
from engine.act.lanes import Lanes
from engine.act.once import Intents
from engine.act.send import Sender
from engine.base.errors import Conflict, RemoteError
from engine.base.kinds import Key
from engine.base.model import CapabilityCall, KubeWrite, Outcome, Plan, PlannedStep
from engine.base.values import Value
from engine.capabilities.contract import Ports
from engine.ruleset.model import Rule

MANAGER = "talos-operator"


@dataclass(frozen=True, slots=True)
class Performed:
    """What became of a plan. `again`: run once more soon, something was sent or refused for now."""

    outcomes: tuple[Outcome, ...]
    again: bool
    finalizer_removed: bool = False
    sent: Mapping[str, str] | None = None
    """`record` texts of the steps that were sent in this pass, by step id."""


class Actor:
    """Carries plans out through the ports it is given."""

    def __init__(self, kube: KubeWriter, lanes: Lanes, intents: Intents, sender: Sender) -> None:
        self._kube = kube
        self._lanes = lanes
        self._intents = intents
        self._sender = sender

    def perform(self, rule: Rule, plan: Plan, live: Mapping[str, Any], ports: Ports) -> Performed:
        """Run the plan's steps; every RemoteError of a step becomes its Outcome.

        Raises RemoteError only for the finalizer, without which nothing else may be done.
        """
        dry = plan.mode == "dryrun"
        if plan.finalizer_change == "add" and not dry:
            live = self._kube.add_finalizer(plan.key, live, plan.finalizer)
        outcomes: list[Outcome] = []
        sent: dict[str, str] = {}
        waits = False
        for step in plan.steps:
            if step.release is not None and not dry:
                self._lanes.release(step.release)
            if step.phase != "do" or step.effect is None:
                continue
            started = time.monotonic()
            outcome = self._step(rule, plan.key, step, live, ports, dry=dry)
            outcomes.append(_timed(outcome, time.monotonic() - started))
            if step.record is not None and outcome.status == "sent":
                sent[step.id] = step.record
            if outcome.status in ("failed", "waiting"):
                waits = True
            if outcome.status == "sent" or (
                outcome.status == "failed" and not isinstance(step.effect, KubeWrite)
            ):
                break
        removed = False
        if plan.finalizer_change == "remove" and not waits and all(_is_complete(item) for item in outcomes):
            if not dry:
                self._kube.remove_finalizer(plan.key, live, plan.finalizer)
            removed = True
        again = waits or any(item.status in ("sent", "created", "updated", "deleted") for item in outcomes)
        return Performed(tuple(outcomes), again and not removed, removed, sent or None)

    def _step(
        self, rule: Rule, key: Key, step: PlannedStep, live: Mapping[str, Any], ports: Ports, *, dry: bool
    ) -> Outcome:
        try:
            if step.lane is not None and not dry and not self._lanes.take(step.lane):
                other = self._lanes.holder(step.lane)
                return Outcome(
                    id=step.id, item=step.item, status="waiting", message=f"{other} is being changed"
                )
            if isinstance(step.effect, KubeWrite):
                return self._kube.write(
                    step, self._made(step, ports), manager=f"{MANAGER}-{rule.controller}", dry=dry
                )
            if step.once is not None and not dry:
                self._intents.open(key, step, live, ports.now)
            elif not dry:
                self._confirm(key, live)
            return self._sender.send(rule, step, ports, dry=dry)
        except RemoteError as error:
            return Outcome(id=step.id, item=step.item, status="failed", message=str(error), error=error)

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


def _timed(outcome: Outcome, seconds: float) -> Outcome:
    return replace(outcome, seconds=seconds)


def _is_complete(outcome: Outcome) -> bool:
    """A finalize step that succeeded; a capability may say that it is not done yet."""
    if outcome.status in ("failed", "waiting"):
        return False
    return not (isinstance(outcome.result, Mapping) and outcome.result.get("done") is False)
