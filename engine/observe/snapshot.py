"""Make the Snapshot of one pass: wave by wave, each as wide as the references allow.

A read whose `when` or input needs another read waits for the next wave. What the cache or a pure
capability can answer is answered at once; everything that goes over the network in a wave is
handed to the loop as one coroutine, so that a pass costs one hop a wave and a dead node delays
nobody but itself. A failed read becomes an Observed with status error; it never raises.
Neighbours: `reads` prepares, `answers` converts, `worker` calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from engine.base.errors import Bug, EngineError, ExpressionError, RemoteError
from engine.base.fieldtree import FieldTree
from engine.base.kinds import Key
from engine.base.model import JobState, KindMatch, Observed, ObservedStatus, Snapshot
from engine.base.values import Unknown, Value
from engine.capabilities.contract import Ports
from engine.evaluate import Evaluation, NotObserved
from engine.observe.answers import Read, failed, picked
from engine.observe.reads import Reader
from engine.ruleset.model import ObserveRule, Rule

_HOP_SLACK_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a pass saw and what it looked at: the latter wakes the object when it changes."""

    snapshot: Snapshot
    names: Evaluation
    objects: Mapping[Key, FieldTree | None]
    lists: frozenset[KindMatch]
    failed: tuple[str, ...]


@dataclass(slots=True)
class _Progress:
    """The reads of one pass that are made, and those that still wait."""

    observed: dict[str, Observed] = field(default_factory=dict)
    objects: dict[Key, FieldTree | None] = field(default_factory=dict)
    lists: set[KindMatch] = field(default_factory=set)


class Observer:
    """Makes snapshots. `cpu` is held while computing and released while waiting for answers.

    `jobs` tells how the jobs of an object stand.
    """

    def __init__(
        self,
        reader: Reader,
        run: Callable[..., Any],
        settings: Mapping[str, Value],
        cpu: AbstractContextManager[Any],
        jobs: Callable[[Key], Mapping[str, JobState]] = lambda _: {},
    ) -> None:
        self._reader = reader
        self._run = run
        self._settings = settings
        self._cpu = cpu
        self._jobs = jobs

    def observe(self, rule: Rule, key: Key, live: Mapping[str, Any], ports: Ports) -> Sight:
        """Every read of `rule` about `live`; must be called without holding the CPU lock."""
        progress = _Progress()
        snapshot = Snapshot(
            key=key, object=live, observed=progress.observed, now=ports.now, jobs=self._jobs(key)
        )
        pending = list(rule.observe)
        if rule.finalize is not None and live["metadata"].get("deletionTimestamp"):
            pending += rule.finalize.observe
        names = self.names(rule, snapshot)
        while pending:
            with self._cpu:
                later, network = self._wave(pending, names, progress, ports)
            if len(later) == len(pending) and not network:
                # The loader refuses cycles, so this cannot happen with a checked rule.
                raise ExpressionError(f"observations wait for each other: {[item.name for item in later]}")
            if network:
                answers = self._ask(network)
                with self._cpu:
                    self._take(network, answers, progress)
            pending = later
        missing = tuple(name for name, seen in progress.observed.items() if seen.status == "error")
        return Sight(snapshot, names, progress.objects, frozenset(progress.lists), missing)

    def nothing(self, rule: Rule, key: Key, live: Mapping[str, Any], ports: Ports) -> Sight:
        """The sight of a pass that looks at nothing: every read skipped, nothing that would wake the object."""
        reads = (*rule.observe, *(rule.finalize.observe if rule.finalize is not None else ()))
        skipped = Observed("skipped", message="nothing is looked at in this mode")
        snapshot = Snapshot(
            key=key, object=live, observed={read.name: skipped for read in reads}, now=ports.now
        )
        return Sight(snapshot, self.names(rule, snapshot), {}, frozenset(), ())

    def names(self, rule: Rule, snapshot: Snapshot) -> Evaluation:
        """Fresh names over a snapshot, for what is asked after acting."""
        return Evaluation(rule, snapshot, self._settings)

    def _wave(
        self, pending: list[ObserveRule], names: Evaluation, progress: _Progress, ports: Ports
    ) -> tuple[list[ObserveRule], list[tuple[ObserveRule, list[Read]]]]:
        before = len(progress.observed)
        later: list[ObserveRule] = []
        network: list[tuple[ObserveRule, list[Read]]] = []
        for rule in pending:
            try:
                reads = self._prepare(rule, names, progress, ports)
            except NotObserved:
                later.append(rule)
                continue
            if reads is None:
                continue
            if any(read.work is not None for read in reads):
                network.append((rule, reads))
            else:
                progress.observed[rule.name] = self._conclude(rule, reads, [None] * len(reads))
        if later and len(progress.observed) > before:
            # What was answered at once may be all that these have waited for.
            rest, more = self._wave(later, names, progress, ports)
            return rest, network + more
        return later, network

    def _prepare(
        self, rule: ObserveRule, names: Evaluation, progress: _Progress, ports: Ports
    ) -> list[Read] | None:
        """The reads of one observation, or None when its answer is known without asking."""
        try:
            wanted = True if rule.when is None else rule.when.evaluate(names.scope)
            if isinstance(wanted, Unknown):
                status: ObservedStatus = "skipped" if wanted.skipped else "error"
                reason = f"{wanted.source}: {wanted.reason}"
                progress.observed[rule.name] = Observed(status, code="DependencyUnknown", message=reason)
                return None
            if not wanted:
                progress.observed[rule.name] = Observed("skipped", message="its `when` is false")
                return None
            return self._reader.prepare(rule, names, ports, progress.objects, progress.lists)
        except NotObserved:
            raise
        except EngineError as error:
            progress.observed[rule.name] = failed(rule, error)
        except Exception as error:  # noqa: BLE001 - told as this read's failure
            progress.observed[rule.name] = failed(rule, _bug(rule.name, error))
        return None

    def _ask(self, network: list[tuple[ObserveRule, list[Read]]]) -> list[list[Any]]:
        longest = max(rule.deadline_s for rule, _ in network)

        async def gather() -> list[list[Any]]:
            return await _concurrently([_all(rule, reads) for rule, reads in network])

        try:
            answers: list[list[Any]] = self._run(gather(), timeout_s=longest + _HOP_SLACK_S)
        except RemoteError as error:
            return [[error] * len(reads) for _, reads in network]
        return answers

    def _take(
        self,
        network: list[tuple[ObserveRule, list[Read]]],
        answers: list[list[Any]],
        progress: _Progress,
    ) -> None:
        for (rule, reads), answer in zip(network, answers, strict=True):
            progress.observed[rule.name] = self._conclude(rule, reads, answer)

    def _conclude(self, rule: ObserveRule, reads: list[Read], answers: list[Any]) -> Observed:
        results = [_picked(rule, read, answer) for read, answer in zip(reads, answers, strict=True)]
        if rule.for_each is None:
            return results[0]
        entries = [
            {
                "key": read.item,
                "ok": seen.status == "value",
                "value": seen.value,
                "error": {"code": seen.code, "message": seen.message} if seen.status == "error" else None,
            }
            for read, seen in zip(reads, results, strict=True)
        ]
        return Observed("value", entries)


async def _all(rule: ObserveRule, reads: list[Read]) -> list[Any]:
    return await _concurrently([_one(rule, read) for read in reads])


async def _concurrently(works: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """What each gives; a single one, the usual case, needs no task of its own."""
    return [await works[0]] if len(works) == 1 else list(await asyncio.gather(*works))


async def _one(rule: ObserveRule, read: Read) -> Any:
    """One answer, or the error it ended with: a read never ends another one."""
    if read.work is None:
        return None
    try:
        async with asyncio.timeout(rule.deadline_s):
            return await read.work()
    except TimeoutError:
        return RemoteError(f"no answer within {rule.deadline_s:g} s", code="DeadlineExceeded", sent="unknown")
    except EngineError as error:
        return error
    except Exception as error:  # noqa: BLE001 - told as this read's failure
        return _bug(rule.name, error)


def _picked(rule: ObserveRule, read: Read, answer: Any) -> Observed:
    try:
        return picked(rule, read, answer)
    except Exception as error:  # noqa: BLE001 - told as this read's failure
        return failed(rule, _bug(rule.name, error))


def _bug(name: str, error: Exception) -> RemoteError:
    """An error nobody has thought of; its text stays in the log, it may hold anything."""
    log.error("obs.%s ended with a bug of ours", name, exc_info=error)
    return Bug(error)
