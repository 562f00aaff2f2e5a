"""One pass over one object, from key to result, and the threads that run passes.

The only place where errors become outcomes. A pass never sleeps; what it waits for brings it back
(a change of something it read, or its own timer). Computing is done under one lock, waiting
is not. Neighbours: `workqueue` gives keys, `observe decide act report measure` are the hops.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from engine.act import Actor
from engine.act.jobs import Jobs
from engine.act.perform import Performed
from engine.base.errors import (
    Bug,
    Conflict,
    EngineError,
    ExpressionError,
    LeadershipLost,
    Missing,
    RemoteError,
)
from engine.base.kinds import Key, Kind
from engine.base.model import Outcome, Plan, Snapshot
from engine.base.values import Unknown
from engine.capabilities.contract import Ports
from engine.decide import decide
from engine.evaluate import Evaluation, NotObserved
from engine.expr.durations import seconds_in
from engine.freshness import OwnWrites
from engine.measure import Meter
from engine.observe import Observer
from engine.observe.snapshot import Sight
from engine.patience import SOON_S, Patience
from engine.report import Assessment, Reporter, assess
from engine.report.assess import with_outcomes
from engine.ruleset.model import Rule
from engine.streams import Streams
from engine.wake import Readers
from engine.watch import Cache
from engine.workqueue import WorkQueue

log = logging.getLogger(__name__)

Result = Literal["success", "error", "requeue", "not_found"]
DEFAULT_EVERY_S = 60.0
SHORTEST_EVERY_S = 0.2
"""A rule that says less, or nothing that makes sense, does not run faster."""
WAIT_S = 2.0
"""Nothing tells when a lane becomes free."""
STALE_S = 5.0
"""The longest wait for a cache that lags behind our own writes; its change wakes the key before."""


@dataclass(frozen=True, slots=True)
class PassEnd:
    """How a pass ended; `delay_s` None means: only a change brings it back, or the back-off of an error.

    `soon`: something was changed or has to be looked at again; `delay_s` is the longest wait for that.
    """

    result: Result
    delay_s: float | None
    soon: bool = False
    assessment: Assessment | None = None
    plan: Plan | None = None
    outcomes: tuple[Outcome, ...] = ()
    bug: bool = False
    """An error that nobody raised on purpose ended it."""


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
    streams: Streams
    jobs: Jobs
    writes: OwnWrites
    ports: Callable[[str], Ports]
    cpu: AbstractContextManager[Any]


class Worker:
    """Runs passes for the keys of one queue."""

    def __init__(self, hops: Hops, queue: WorkQueue) -> None:
        self._hops = hops
        self._queue = queue
        self.patience = Patience()
        self._serial: set[str] = set()
        self._serial_lock = threading.Lock()

    def run(self) -> None:
        """Take keys until the queue is shut down; whatever happens in a turn, the next one comes."""
        while (key := self._queue.get()) is not None:
            try:
                self._turn(key)
            except Exception:
                log.exception("%s: the turn ended with a bug of ours", key)
                self._queue.add(key, delay_s=DEFAULT_EVERY_S)
            finally:
                self._queue.done(key)

    def _turn(self, key: Key) -> None:
        rule = self._hops.rules[key.kind]
        started, computed = time.monotonic(), time.thread_time()
        end = self.pass_over(rule, key)
        if end.result != "not_found":
            self.patience.spent(key, time.thread_time() - computed)
        if end.result == "error":
            least_s = end.delay_s or 0.0
            self._queue.back_off(
                key, initial_s=rule.backoff.initial_s, max_s=rule.backoff.max_s, least_s=least_s
            )
        else:
            self._queue.forget(key)
            delay_s = end.delay_s
            if end.soon and delay_s is not None:
                delay_s = self.patience.next_s(key, delay_s)
            else:
                self.patience.forget(key)
            if delay_s is not None:
                self._queue.add(key, delay_s=delay_s)
        self._hops.meter.passed(rule.controller, end.result, time.monotonic() - started, bug=end.bug)

    def pass_over(self, rule: Rule, key: Key) -> PassEnd:
        """One pass; every error ends here and becomes a result."""
        try:
            return self._serialized(rule, key)
        except Missing:
            if self._hops.cache.get(key) is None:
                return self._gone(key)
            # The cache has yet to hear of it; or it is there after all, and the answer was an old one.
            return PassEnd("requeue", STALE_S, soon=True)
        except LeadershipLost as error:
            log.info("%s: %s", key, error)
            return PassEnd("requeue", rule.backoff.max_s)
        except Conflict as error:
            log.debug("%s: somebody else wrote first: %s", key, error)
            return PassEnd("requeue", rule.backoff.max_s, soon=True)
        except EngineError as error:
            log.warning("%s: %s", key, error)
            return PassEnd("error", _asked_for([error]))
        except Exception:
            log.exception("%s: the pass ended with a bug of ours", key)
        return PassEnd("error", None, bug=True)

    def _serialized(self, rule: Rule, key: Key) -> PassEnd:
        live = self._hops.cache.get(key)
        if live is None:
            return self._gone(key)
        if self._hops.writes.has_overtaken(key, live):
            return PassEnd("requeue", STALE_S, soon=True)
        ports = self._hops.ports(key.namespace)
        token = self._token(rule, key, live, ports)
        if token is None:
            return self._observed(rule, key, live, ports)
        with self._serial_lock:
            if token in self._serial:
                return PassEnd("requeue", SOON_S)
            self._serial.add(token)
        try:
            return self._observed(rule, key, live, ports)
        finally:
            with self._serial_lock:
                self._serial.discard(token)

    def _token(self, rule: Rule, key: Key, live: Mapping[str, Any], ports: Ports) -> str | None:
        """What this pass must not share; told before it looks, so that it never acts on what another one changed."""
        if rule.serialize is None:
            return None
        observer = self._hops.observer
        names = observer.names(rule, Snapshot(key=key, object=live, observed={}, now=ports.now))
        try:
            value = rule.serialize.evaluate(names.scope)
        except NotObserved:
            value = rule.serialize.evaluate(observer.observe(rule, key, live, ports).names.scope)
        return None if value is None or isinstance(value, Unknown) else str(value)

    def _observed(self, rule: Rule, key: Key, live: Mapping[str, Any], ports: Ports) -> PassEnd:
        if self._is_left_alone(rule, key, live, ports):
            return self._leave_alone(rule, key, live, ports)
        sight = self._hops.observer.observe(rule, key, live, ports)
        self._hops.readers.note(key, sight.objects, sight.lists)
        return self._pass(rule, key, sight, ports)

    def _is_left_alone(self, rule: Rule, key: Key, live: Mapping[str, Any], ports: Ports) -> bool:
        """Whether the object itself says that nothing is to be done: then nobody is even asked anything."""
        if rule.mode is None:
            return False
        names = self._hops.observer.names(rule, Snapshot(key=key, object=live, observed={}, now=ports.now))
        try:
            return bool(rule.mode.evaluate(names.scope) == "nothing")
        except NotObserved:
            return False

    def _leave_alone(self, rule: Rule, key: Key, live: Mapping[str, Any], ports: Ports) -> PassEnd:
        """Look at nothing, write nothing, tell what the rule tells in this mode; only a change comes back here."""
        hops = self._hops
        sight = hops.observer.nothing(rule, key, live, ports)
        hops.readers.note(key, sight.objects, frozenset())
        hops.streams.forget(key)
        with hops.cpu:
            plan = decide(rule, sight.snapshot, sight.names)
            verdict = assess(rule, sight.snapshot, sight.names, plan, None)
            hops.meter.measured(rule, key, sight.names, ())
        hops.reporter.tell(rule, sight.snapshot, plan, (), (), verdict.events)
        return PassEnd("success", None, False, verdict, plan)

    def _gone(self, key: Key) -> PassEnd:
        self._hops.meter.drop(key)
        self._hops.readers.forget(key)
        self._hops.writes.forget(key)
        self._hops.jobs.forget(key)
        self._hops.streams.forget(key)
        self.patience.gone(key)
        return PassEnd("not_found", None)

    def _pass(self, rule: Rule, key: Key, sight: Sight, ports: Ports) -> PassEnd:
        hops = self._hops
        with hops.cpu:
            plan = decide(rule, sight.snapshot, sight.names)
        performed = hops.actor.perform(rule, plan, sight.snapshot.object, ports)
        if performed.finalizer_removed and plan.mode == "act":
            hops.reporter.tell(rule, sight.snapshot, plan, performed.outcomes, (), ())
            # Mostly it is gone by then; if not, somebody answered out of the past that it was.
            return PassEnd("success", STALE_S, plan=plan, outcomes=performed.outcomes)
        with hops.cpu:
            names = self._after(rule, sight, plan, performed)
            verdict = assess(rule, sight.snapshot, names, plan, performed.sent)
        changed = False
        if plan.mode == "act":
            changed = hops.reporter.publish(rule, sight.snapshot, plan, performed.outcomes, verdict)
        else:
            hops.reporter.tell(rule, sight.snapshot, plan, performed.outcomes, (), verdict.events)
        with hops.cpu:
            hops.meter.measured(rule, key, names, performed.outcomes, hops.jobs.take_ended(key))
            hops.streams.want(rule, key, names, sight.snapshot.now)
            delay = self._delay(rule, names)
        concerns_us = changed and _reads_what_it_wrote(rule, sight.snapshot, verdict)
        return self._end(rule, plan, performed, verdict, delay, changed=concerns_us)

    def _after(self, rule: Rule, sight: Sight, plan: Plan, performed: Performed) -> Evaluation:
        """The names once more, with the outcomes in `act`; the same ones when nothing was done."""
        if not performed.outcomes or all(item.status == "unchanged" for item in performed.outcomes):
            return sight.names
        names = self._hops.observer.names(rule, sight.snapshot)
        for step, result in with_outcomes(plan.results, performed.outcomes).items():
            names.decided(step, result)
        return names

    def _delay(self, rule: Rule, names: Evaluation) -> float:
        value = rule.every.evaluate(names.scope) if rule.every is not None else None
        if value is None or isinstance(value, Unknown):
            return DEFAULT_EVERY_S
        try:
            return max(SHORTEST_EVERY_S, seconds_in(value))
        except (ValueError, TypeError) as error:
            raise ExpressionError(f"on.every: {error}") from None

    def _end(
        self,
        rule: Rule,
        plan: Plan,
        performed: Performed,
        verdict: Assessment,
        delay_s: float,
        *,
        changed: bool,
    ) -> PassEnd:
        failed = [item for item in performed.outcomes if item.status == "failed"]
        told = verdict, plan, performed.outcomes
        if verdict.errors or any(not isinstance(item.error, Conflict) for item in failed):
            bug = any(isinstance(item.error, Bug) for item in failed)
            return PassEnd("error", _asked_for(item.error for item in failed), False, *told, bug=bug)
        if failed:
            return PassEnd("requeue", rule.backoff.max_s, True, *told)
        if performed.waits:
            delay_s = min(delay_s, WAIT_S)
        result: Result = (
            "success" if verdict.is_ready and not (performed.again or performed.waits) else "requeue"
        )
        return PassEnd(result, delay_s, performed.again or changed, *told)


def _asked_for(errors: Iterable[Exception | None]) -> float | None:
    """How long the other sides have asked to be left alone."""
    return max(
        (error.retry_after_s or 0.0 for error in errors if isinstance(error, RemoteError)), default=None
    )


def _reads_what_it_wrote(rule: Rule, snapshot: Snapshot, verdict: Assessment) -> bool:
    """Whether the next pass may decide otherwise for the status that this one has written."""
    first = not snapshot.object.get("status")
    return first or rule.remembers is None or not rule.remembers.isdisjoint(verdict.patch)
