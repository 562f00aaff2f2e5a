"""One pass over one object, from key to result, and the threads that run passes.

The only place where errors become outcomes. A pass never sleeps; what it waits for brings it back
(a change of something it read, or its own timer). Computing is done under one lock, waiting
is not. Neighbours: `workqueue` gives keys, `observe decide act report measure` are the hops.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from engine.act import Actor
from engine.act.perform import Performed
from engine.base.errors import Conflict, EngineError, Missing
from engine.base.kinds import Key, Kind
from engine.base.model import Outcome, Plan
from engine.base.values import Unknown
from engine.capabilities.contract import Ports
from engine.decide import decide
from engine.evaluate import Evaluation
from engine.expr.durations import seconds_in
from engine.freshness import OwnWrites
from engine.measure import Meter
from engine.observe import Observer
from engine.observe.snapshot import Sight
from engine.report import Assessment, Reporter, assess
from engine.report.assess import with_outcomes
from engine.ruleset.model import Rule
from engine.wake import Readers
from engine.watch import Cache
from engine.workqueue import WorkQueue

log = logging.getLogger(__name__)

Result = Literal["success", "error", "requeue", "not_found"]
SOON_S = 0.1
"""After something was written or sent: look again at what became of it."""
DEFAULT_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class PassEnd:
    """How a pass ended; `delay_s` None means: only a change brings it back."""

    result: Result
    delay_s: float | None
    assessment: Assessment | None = None
    plan: Plan | None = None
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hops:
    """The parts that a pass goes through, as the composition root built them."""

    rules: Mapping[Kind, Rule]
    cache: Cache
    readers: Readers
    observer: Observer
    actor: Actor
    reporter: Reporter
    meter: Meter
    writes: OwnWrites
    ports: Callable[[str], Ports]
    cpu: AbstractContextManager[Any]


class Worker:
    """Runs passes for the keys of one queue."""

    def __init__(self, hops: Hops, queue: WorkQueue) -> None:
        self._hops = hops
        self._queue = queue
        self._serial: set[str] = set()
        self._serial_lock = threading.Lock()

    def run(self) -> None:
        """Take keys until the queue is shut down."""
        while (key := self._queue.get()) is not None:
            try:
                self._turn(key)
            finally:
                self._queue.done(key)

    def _turn(self, key: Key) -> None:
        rule = self._hops.rules[key.kind]
        started = time.monotonic()
        end = self.pass_over(rule, key)
        self._hops.meter.passed(rule.controller, end.result, time.monotonic() - started)
        if end.result == "error":
            self._queue.back_off(key, initial_s=rule.backoff.initial_s, max_s=rule.backoff.max_s)
        else:
            self._queue.forget(key)
            if end.delay_s is not None:
                self._queue.add(key, delay_s=end.delay_s)

    def pass_over(self, rule: Rule, key: Key) -> PassEnd:
        """One pass; every error ends here and becomes a result."""
        try:
            return self._serialized(rule, key)
        except Missing:
            return self._gone(key)
        except Conflict as error:
            log.debug("%s: somebody else wrote first: %s", key, error)
            return PassEnd("requeue", SOON_S)
        except EngineError as error:
            log.warning("%s: %s", key, error)
        except Exception:
            log.exception("%s: the pass ended with a bug of ours", key)
        return PassEnd("error", None)

    def _serialized(self, rule: Rule, key: Key) -> PassEnd:
        live = self._hops.cache.get(key)
        if live is None:
            return self._gone(key)
        if self._hops.writes.has_overtaken(key, live):
            return PassEnd("requeue", SOON_S)
        ports = self._hops.ports(key.namespace)
        sight = self._hops.observer.observe(rule, key, live, ports)
        self._hops.readers.note(key, sight.objects, {(item.kind, item.namespace) for item in sight.lists})
        token = self._token(rule, sight.names)
        if token is None:
            return self._pass(rule, key, sight, ports)
        with self._serial_lock:
            if token in self._serial:
                return PassEnd("requeue", SOON_S)
            self._serial.add(token)
        try:
            return self._pass(rule, key, sight, ports)
        finally:
            with self._serial_lock:
                self._serial.discard(token)

    def _token(self, rule: Rule, names: Evaluation) -> str | None:
        if rule.serialize is None:
            return None
        value = rule.serialize.evaluate(names.scope)
        return None if value is None or isinstance(value, Unknown) else str(value)

    def _gone(self, key: Key) -> PassEnd:
        self._hops.meter.drop(key)
        self._hops.readers.forget(key)
        self._hops.writes.forget(key)
        return PassEnd("not_found", None)

    def _pass(self, rule: Rule, key: Key, sight: Sight, ports: Ports) -> PassEnd:
        hops = self._hops
        with hops.cpu:
            plan = decide(rule, sight.snapshot, sight.names)
        performed = hops.actor.perform(rule, plan, sight.snapshot.object, ports)
        if performed.finalizer_removed and plan.mode == "act":
            hops.reporter.tell(rule, sight.snapshot, plan, performed.outcomes, ())
            return PassEnd("success", None, plan=plan, outcomes=performed.outcomes)
        with hops.cpu:
            names = self._after(rule, sight, plan, performed)
            verdict = assess(rule, sight.snapshot, names, plan, performed.sent)
        if plan.mode == "act":
            hops.reporter.publish(rule, sight.snapshot, plan, performed.outcomes, verdict)
        else:
            hops.reporter.tell(rule, sight.snapshot, plan, performed.outcomes, ())
        with hops.cpu:
            hops.meter.measured(rule, key, names, performed.outcomes)
            delay = self._delay(rule, names)
        return self._end(plan, performed, verdict, delay)

    def _after(self, rule: Rule, sight: Sight, plan: Plan, performed: Performed) -> Evaluation:
        """The names once more, with the outcomes in `act`; the same ones when nothing was done."""
        if not performed.outcomes or all(item.status == "unchanged" for item in performed.outcomes):
            return sight.names
        names = self._hops.observer.names(rule, sight.snapshot)
        names.results.results.update(with_outcomes(plan.results, performed.outcomes))
        return names

    def _delay(self, rule: Rule, names: Evaluation) -> float:
        value = rule.every.evaluate(names.scope) if rule.every is not None else None
        return DEFAULT_EVERY_S if value is None or isinstance(value, Unknown) else seconds_in(value)

    def _end(self, plan: Plan, performed: Performed, verdict: Assessment, delay_s: float) -> PassEnd:
        failed = [item for item in performed.outcomes if item.status == "failed"]
        if verdict.errors or any(not isinstance(item.error, Conflict) for item in failed):
            return PassEnd("error", None, verdict, plan, performed.outcomes)
        if performed.again or failed:
            return PassEnd("requeue", min(delay_s, SOON_S), verdict, plan, performed.outcomes)
        result: Result = "success" if verdict.is_ready else "requeue"
        return PassEnd(result, delay_s, verdict, plan, performed.outcomes)
