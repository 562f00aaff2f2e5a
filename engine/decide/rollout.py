"""Decide which outdated item may change now: a few at a time, each well again before the next.

An item takes a place of the budget while it is outdated and let go, up to date and not healthy yet, or
being deleted; its lane is given back only once none of these holds. Outdated items that are not well go
first (the change may be their cure, and they are down already), the one that `last` names goes last.
Anything Unknown about an item keeps its place taken. One that keeps it for longer than `stuckAfter`
is told by name, with since when and why; nothing else is done about it, so it may come back at any time.
Pure. Neighbour: `steps` calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from engine.base.kinds import Key
from engine.base.model import Lane, PlannedStep, Snapshot
from engine.base.timestamps import epoch, rfc3339
from engine.base.values import Unknown, Value
from engine.decide.manifest import kube_write
from engine.decide.verdict import because, holds, lane_of, text_of
from engine.expr import Scope
from engine.ruleset.model import RolloutStep, Step

ROLLOUT_FACTS = ("outdated", "inFlight", "waiting", "paused", "stuck", "reason", "message")
"""What `act.<id>` of a rollout step tells besides its phase; `reason` and `message` are the rollout's own."""


@dataclass(frozen=True, slots=True)
class _Item:
    name: str
    scope: Scope
    outdated: bool | Unknown
    in_flight: bool | Unknown
    healthy: bool | Unknown
    last: bool
    leaving: bool

    @property
    def takes_a_place(self) -> bool:
        if self.leaving:
            return True
        if self.outdated is False:
            return self.healthy is not True
        return self.outdated is not True or self.in_flight is not False

    @property
    def may_start(self) -> bool:
        return self.outdated is True and self.in_flight is False and not self.leaving


def decide_rollout(
    step: Step, body: RolloutStep, snapshot: Snapshot, scope: Scope
) -> tuple[list[PlannedStep], dict[str, Value]]:
    """At most as many starts as there are free places, and what `act.<id>` says of it."""
    listed = body.items.evaluate(scope)
    if isinstance(listed, Unknown):
        return [PlannedStep(id=step.id, phase="blocked", reason=because(listed))], {}
    items = [_look_at(body, item, scope) for item in listed or ()]
    busy = [item.name for item in items if item.takes_a_place]
    stuck = _stuck(body, [item for item in items if item.takes_a_place], snapshot.now)
    changing = any(item.outdated is not False for item in items)
    waiting = sorted(
        (item for item in items if item.may_start), key=lambda item: (item.last, item.healthy is True)
    )
    facts: dict[str, Value] = {
        "outdated": sum(item.outdated is not False for item in items),
        "inFlight": len(busy),
        "waiting": len(waiting),
        "paused": False,
        "stuck": changing and bool(stuck),
        "reason": "RollingOut" if waiting or busy else "UpToDate",
        "message": f"{len(waiting)} wait, in flight: {', '.join(busy) or 'none'}",
    }
    if facts["stuck"]:
        facts |= {"reason": "Stuck", "message": f"{stuck}; the rollout goes on once it is well"}
    settled = _settled(step, body, items, snapshot, scope)
    if not waiting:
        return settled, facts
    obstacle = _obstacle(body, busy, waiting, scope)
    if obstacle is not None:
        facts |= {"paused": True} | ({} if stuck else {"reason": "Paused", "message": obstacle.reason})
        return [*settled, PlannedStep(id=step.id, phase=obstacle.phase, reason=obstacle.reason)], facts
    room = max(0, _budget(body, scope) - len(busy))
    return [*settled, *(_start(step, body, item, snapshot) for item in waiting[:room])], facts


def _stuck(body: RolloutStep, busy: list[_Item], now: float) -> str:
    """Which item has kept its place for too long, since when and why; "" when none has."""
    if body.stuck_after_s is None or body.since is None:
        return ""
    for item in busy:
        times = body.since.evaluate(item.scope)
        since = max(_readable(times), default=None)
        if since is not None and now - since > body.stuck_after_s:
            why = text_of(body.because, item.scope)
            return f"{item.name} is not well since {rfc3339(since)}" + (f": {why}" if why else "")
    return ""


def _readable(times: Value) -> Iterator[float]:
    """The times that can be read: an annotation is anybody's."""
    for time in () if isinstance(times, Unknown) else times:
        with suppress(ValueError, TypeError):
            yield epoch(time)


def _look_at(body: RolloutStep, item: Value, scope: Scope) -> _Item:
    inner = scope.child({body.item_name: item})
    outdated = holds(body.outdated, inner, otherwise=False)
    return _Item(
        name=item["metadata"]["name"],
        scope=inner,
        outdated=outdated,
        in_flight=holds(body.in_flight, inner, otherwise=False) if outdated is True else False,
        healthy=holds(body.healthy, inner, otherwise=True),
        last=holds(body.last, inner, otherwise=False) is True,
        leaving=bool(item["metadata"].get("deletionTimestamp")),
    )


@dataclass(frozen=True, slots=True)
class _Obstacle:
    phase: Literal["blocked", "waiting"]
    reason: str


def _obstacle(body: RolloutStep, busy: list[str], waiting: list[_Item], scope: Scope) -> _Obstacle | None:
    if len(busy) >= _budget(body, scope):
        return _Obstacle("waiting", f"waits for {', '.join(busy)}")
    gate = holds(body.gate, scope, otherwise=True)
    if isinstance(gate, Unknown):
        return _Obstacle("blocked", because(gate))
    if not gate:
        return _Obstacle("waiting", f"the gate is closed; {waiting[0].name} is next")
    return None


def _budget(body: RolloutStep, scope: Scope) -> int:
    value = body.max_unavailable.evaluate(scope) if body.max_unavailable is not None else 1
    return max(1, int(value)) if isinstance(value, int | float) else 1


def _start(step: Step, body: RolloutStep, item: _Item, snapshot: Snapshot) -> PlannedStep:
    write = kube_write(body.do, snapshot, item.scope)
    holder = Key(body.do.kind, snapshot.key.namespace, item.name)
    lane = lane_of(body.lane, holder, item.scope)
    if isinstance(write, Unknown):
        return PlannedStep(id=step.id, item=item.name, phase="blocked", reason=because(write))
    if isinstance(lane, Unknown):
        return PlannedStep(id=step.id, item=item.name, phase="blocked", reason=because(lane))
    return PlannedStep(
        id=step.id, item=item.name, phase="do", effect=write, lane=lane, why=f"{item.name} is next"
    )


def _settled(
    step: Step, body: RolloutStep, items: list[_Item], snapshot: Snapshot, scope: Scope
) -> list[PlannedStep]:
    """Give back the lane of every item that takes no place: well, or not let go yet."""
    planned = []
    for item in items:
        lane = lane_of(body.lane, Key(body.do.kind, snapshot.key.namespace, item.name), scope)
        if isinstance(lane, Lane) and not item.takes_a_place:
            planned.append(PlannedStep(id=step.id, item=item.name, phase="done", release=lane))
    return planned
