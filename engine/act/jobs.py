"""Run what takes minutes beside the passes: one thread a job, a few at a time, told of in `job.<id>`.

A job belongs to one step of one object. It is lost when the process ends, so the evidence that counts is
what it left in the world. Never runs twice at once, never begins again before its back-off is over, and
is told to stop when its object ends. Neighbours: `perform` begins jobs, `observe` puts their states into
the Snapshot, `worker` wakes and measures.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from engine.base.errors import EngineError, RemoteError
from engine.base.kinds import Key
from engine.base.model import JobState
from engine.base.values import Value

log = logging.getLogger(__name__)

Work = Callable[[threading.Event], Value]

_REST_S = 5.0
"""What ended well and is asked for again all the same is not begun in a circle."""


@dataclass(slots=True)
class _Job:
    state: JobState
    rests_until: float = 0.0
    """By the monotonic clock: whoever sets the other one back must not keep a backup waiting for an hour."""
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Jobs:
    """The jobs of one engine, at most `places` at a time; the others wait for a place as running ones."""

    def __init__(
        self,
        wake: Callable[[Key], None],
        *,
        places: int = 2,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wake = wake
        self._clock, self._monotonic = clock, monotonic
        self._places = threading.Semaphore(places)
        self._lock = threading.Lock()
        self._jobs: dict[Key, dict[str, _Job]] = defaultdict(dict)
        self._ended: dict[Key, list[tuple[str, JobState]]] = defaultdict(list)
        self._closed = False

    def states(self, key: Key) -> Mapping[str, JobState]:
        """How the jobs of an object stand, by step; those that were never begun are missing."""
        with self._lock:
            return {step: self._told(job) for step, job in self._jobs.get(key, {}).items()}

    def _told(self, job: _Job) -> JobState:
        left = job.rests_until - self._monotonic()
        return replace(job.state, again_at=self._clock() + left) if left > 0 else job.state

    def begin(self, key: Key, step: str, work: Work, *, initial_s: float, max_s: float) -> bool:
        """Begin a job; False when it runs already. After a failure it rests from `initial_s` up to `max_s`."""
        with self._lock:
            if self._closed:
                return False
            before = self._jobs[key].get(step)
            if before is not None and before.state.phase == "running":
                return False
            failures = before.state.failures if before is not None else 0
            job = _Job(JobState(phase="running", since=self._clock(), failures=failures))
            self._jobs[key][step] = job
            job.thread = threading.Thread(
                target=self._run,
                args=(key, step, job, work, min(initial_s * 2**failures, max_s)),
                name=f"job {step} {key}",
                daemon=True,
            )
            job.thread.start()
        return True

    def stop(self, key: Key) -> None:
        """Tell the running jobs of an object to end."""
        with self._lock:
            for job in self._jobs.get(key, {}).values():
                job.stop.set()

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self.stop(key)
        with self._lock:
            self._jobs.pop(key, None)
            self._ended.pop(key, None)

    def take_ended(self, key: Key) -> list[tuple[str, JobState]]:
        """The jobs of an object that have ended since this was last asked."""
        with self._lock:
            return self._ended.pop(key, [])

    def are_running(self) -> bool:
        """Whether any job runs, told to end or not."""
        with self._lock:
            jobs = [job for jobs in self._jobs.values() for job in jobs.values()]
        return any(job.thread is not None and job.thread.is_alive() for job in jobs)

    def halt(self) -> None:
        """Tell all jobs to end and begin no other."""
        with self._lock:
            self._closed = True
            for jobs in self._jobs.values():
                for job in jobs.values():
                    job.stop.set()

    def close(self, timeout_s: float) -> None:
        """Tell all jobs to end and wait for them, for so long at most."""
        self.halt()
        with self._lock:
            running = [job for jobs in self._jobs.values() for job in jobs.values()]
        deadline = time.monotonic() + timeout_s
        for job in running:
            if job.thread is not None:
                job.thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, key: Key, step: str, job: _Job, work: Work, rest_s: float) -> None:
        with self._places:
            began = time.monotonic()
            state, rest_s = self._outcome(key, step, job, work, rest_s)
            seconds = time.monotonic() - began
        with self._lock:
            if self._jobs.get(key, {}).get(step) is not job:
                return
            job.state = replace(state, since=job.state.since, seconds=seconds)
            job.rests_until = self._monotonic() + rest_s
            self._ended[key].append((step, job.state))
        self._wake(key)

    def _outcome(self, key: Key, step: str, job: _Job, work: Work, rest_s: float) -> tuple[JobState, float]:
        """How it ended, and for how long it is not begun again."""
        failures = job.state.failures + 1
        try:
            output = work(job.stop)
        except RemoteError as error:
            log.warning("%s: %s failed: %s", key, step, error)
            rest_s = max(rest_s, error.retry_after_s or 0.0)
            told, code = str(error), error.code
        except EngineError as error:
            told, code = str(error), type(error).__name__
        except Exception as error:
            log.exception("%s: %s ended with a bug of ours", key, step)
            told, code = f"a bug of ours ({type(error).__name__})", "InternalError"
        else:
            return JobState(phase="ended", output=output), _REST_S
        return JobState(phase="failed", error=told, code=code, failures=failures), rest_s
