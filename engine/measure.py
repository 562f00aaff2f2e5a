"""Measure a pass: replace the object's set of gauges, count what happened.

An object's series are replaced as a set each pass and vanish with it, so none outlives what it
tells of. Which metrics there are is said by the rules alone. Neighbours: `samples` evaluates
them, `series` keeps the text that a scrape reads.
"""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

from engine import __version__, samples
from engine.base.kinds import Key
from engine.base.model import JobState, Outcome, Sample
from engine.base.values import Value
from engine.evaluate import Evaluation
from engine.expr import Scope
from engine.ports.kube.transport import RequestRecord
from engine.ports.talos.client import CallRecord
from engine.ruleset.model import Rule, RuleSet
from engine.ruleset.model_metrics import MetricRule
from engine.series import Family, SeriesStore
from engine.workqueue import WorkQueue


class Meter:
    """The metrics of one engine, and the observer of its work queue."""

    def __init__(self, rules: RuleSet, workers: int) -> None:
        self._metrics = rules.engine_metrics
        self._counting: dict[str, list[MetricRule]] = defaultdict(list)
        for counting in self._metrics:
            if counting.on is not None:
                self._counting[counting.on].append(counting)
        self._controllers = {kind: rule.controller for kind, rule in rules.rules.items()}
        self._engine: dict[str, Value] = {
            "controllers": sorted(self._controllers.values()),
            "operations": list(rules.operations),
            "workers": workers,
            "queues": [],
            "watches": [],
            "streams": [],
            "certificateExpires": None,
            "rulesLoadedAt": None,
            "rulesReloaded": True,
            "elections": [],
            "version": __version__,
            "python": platform.python_version(),
            "revision": rules.digest,
        }
        self._sources: dict[str, Callable[[], Value]] = {}
        overflow = next((metric.name for metric in self._metrics if metric.on == "overflow"), None)
        self.series = SeriesStore(overflow)
        scope = Scope({"engine": self._engine})
        for metric in (*self._metrics, *(item for rule in rules.rules.values() for item in rule.metrics)):
            self.series.declare(_family(metric, scope))
        self.series.collect(self, self._own_gauges)

    def watch(self, queue: WorkQueue) -> None:
        """Have `engine.queues` computed from the queue at each scrape."""
        self.ask("queues", lambda: self._queues(queue))

    def ask(self, field: str, source: Callable[[], Value]) -> None:
        """Have `engine.<field>` asked of `source` at each scrape; until then it is what it is at the start."""
        if field not in self._engine:
            raise KeyError(field)
        self._sources[field] = source

    def added(self, key: Key) -> None:
        """A key was added to the queue."""
        self._queued(key, "added", 0.0)

    def retried(self, key: Key) -> None:
        """A key was added after a failure."""
        self._queued(key, "retried", 0.0)

    def taken(self, key: Key, waited_s: float) -> None:
        """A worker took a key."""
        self._queued(key, "taken", waited_s)

    def finished(self, key: Key, worked_s: float) -> None:
        """A worker gave a key back."""
        self._queued(key, "finished", worked_s)

    def requested(self, record: RequestRecord) -> None:
        """Count one request to the API server."""
        event = {"method": record.method, "host": record.host, "code": record.code, "seconds": record.seconds}
        self._event("request", event)

    def passed(self, controller: str, result: str, seconds: float, *, bug: bool = False) -> None:
        """Count one pass; `bug`: an error that nobody raised on purpose ended it."""
        event = {"controller": controller, "result": result, "seconds": seconds, "bug": bug}
        self._event("pass", event)

    def read_certificate(self, result: str) -> None:
        """Count one reading of the mounted certificate of the metrics endpoint: `success` or `error`."""
        self._event("certificate", {"result": result})

    def called(self, record: CallRecord) -> None:
        """Count one Talos API call; the only place where they are counted."""
        event = {
            "operation": record.method.rpartition(".")[2],
            "result": "success" if record.code == "OK" else "error",
            "code": record.code,
            "seconds": record.seconds,
        }
        self._event("call", event)

    def measured(
        self,
        rule: Rule,
        key: Key,
        names: Evaluation,
        outcomes: Iterable[Outcome],
        ended: Iterable[tuple[str, JobState]] = (),
    ) -> None:
        """Replace the gauges of one object and count what its pass did and which of its jobs ended."""
        self.series.replace(key, samples.gauges(rule, names))
        for metric, labels, holder in samples.starts(rule, names):
            self.series.begin(metric.name, labels, lives_with=_holder(metric, key, holder))
        for metric, sample, holder in samples.events(rule, names, outcomes, ended):
            self._count(metric, sample, _holder(metric, key, holder))

    def drop(self, key: Key) -> None:
        """The object is gone: so are its series."""
        self.series.drop(key)

    def _queued(self, key: Key, what: str, seconds: float) -> None:
        self._event("queue", {"controller": self._controllers[key.kind], "event": what, "seconds": seconds})

    def _own_gauges(self) -> list[Sample]:
        now = {field: source() for field, source in self._sources.items()}
        return samples.engine_gauges(self._metrics, {**self._engine, **now})

    def _queues(self, queue: WorkQueue) -> list[Value]:
        due, working = Counter(key.kind for key in queue.due()), queue.working()
        entries: list[Value] = []
        for kind, controller in self._controllers.items():
            seconds = [since for key, since in working.items() if key.kind == kind]
            entries.append(
                {
                    "controller": controller,
                    "depth": due[kind],
                    "working": len(seconds),
                    "unfinished": sum(seconds),
                    "longest": max(seconds, default=0.0),
                }
            )
        return entries

    def _event(self, name: str, event: Mapping[str, Value]) -> None:
        for metric, sample in samples.engine_events(self._counting[name], event, self._engine):
            self._count(metric, sample)

    def _count(self, metric: MetricRule, sample: Sample, lives_with: Key | None = None) -> None:
        if metric.type == "histogram":
            self.series.observe(sample.family, sample.labels, sample.value, lives_with=lives_with)
        else:
            self.series.add(sample.family, sample.labels, sample.value, lives_with=lives_with)


def _holder(metric: MetricRule, key: Key, name: str | None) -> Key | None:
    if metric.lives_with is None or name is None:
        return None
    return Key(metric.lives_with.kind, key.namespace, name) if name else key


def _family(metric: MetricRule, scope: Scope) -> Family:
    return Family(
        name=metric.name,
        type=metric.type,
        help=metric.help,
        labels=tuple(metric.labels),
        buckets=metric.buckets,
        start=tuple(_start(metric, scope)),
        aggregate=metric.aggregate,
        max_series=metric.max_series,
    )


def _start(metric: MetricRule, scope: Scope) -> Iterable[tuple[tuple[str, str], ...]]:
    """The label sets that exist at 0: every combination of the values given for each label.

    Where values are given for some labels only, each object brings its own: `samples.starts`. What is counted without
    labels exists at 0 as well, unless it lives with an object.
    """
    if not metric.labels and metric.on is not None and metric.lives_with is None:
        yield ()
    if not metric.start or metric.start.keys() != metric.labels.keys():
        return
    yield from samples.starting_labels(metric, scope)
