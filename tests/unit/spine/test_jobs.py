"""Work that takes minutes runs beside the passes: begun once, told of, stopped with its object, measured."""

from __future__ import annotations

import threading

import pytest

from engine.act.jobs import Jobs
from engine.base.errors import CapabilityError, Throttled
from engine.base.kinds import Key
from tests.unit.spine.capabilities import ANSWERS, CALLS
from tests.unit.spine.server import spine, until
from tests.unit.spine.world import WIDGET

JOB = """
on: {every: 10m, backoff: {initial: 10s, max: 1m}}
observe:
  a: {call: test.read, with: {of: a}}
act:
  - id: copy
    when: "${obs.a.text == 'go'}"
    call: test.copy
    job: true
    with: {address: x}
conditions:
  - {type: Progressing, counts: false, is: "${job.copy.phase == 'running'}"}
  - {type: Fine, unless: [{when: "${job.copy.phase == 'failed'}", reason: CopyFailed, message: "${default(job.copy.error, '')}"}]}
status: {word: "${job.copy.phase}"}
metrics:
  - name: copies_total
    type: counter
    help: Copies
    on: job.copy.ended
    livesWith: {kind: Widget, name: "${self.spec.parent}"}
    labels: {name: "${self.metadata.name}", status: "${if(event.ok, 'success', 'failed')}"}
finalize: {name: example.org/f, timeout: 10m, onTimeout: block, steps: []}
"""


@pytest.fixture
def over(server):
    times = [1_800_000_000.0]
    with spine(server, JOB, now=lambda: times[0]) as made:
        made.times = times
        yield made
        made.jobs.close(5)


def phase(over):
    return over.jobs.states(over.server.key()).get("copy")


def begun(over, answer):
    ANSWERS.update({"a": {"text": "go"}, "copy:x": answer})
    over.server.make()
    end = over.turn()
    assert [item.status for item in end.outcomes if item.id == "copy"] == ["sent"]
    return end


def test_a_pass_does_not_wait_for_a_job_and_tells_that_it_runs(over):
    gate = threading.Event()
    begun(over, gate)
    end = over.turn()
    assert [(step.id, step.phase) for step in end.plan.steps] == [("copy", "waiting")]
    assert over.server.get()["status"]["word"] == "running"
    assert CALLS.count(("copy", "x")) == 1
    gate.set()
    until("the end of the job wakes its object", lambda: over.server.key() in over.queue.due())
    over.turn()
    assert over.server.get()["status"]["word"] == "ended"


def test_a_job_that_failed_is_told_of_and_begun_again_only_after_its_back_off(over):
    begun(over, CapabilityError("the disk is full", code="Full"))
    until("it has failed", lambda: phase(over).phase == "failed")
    end = over.turn()
    assert "not begun again before" in end.plan.steps[0].reason
    conditions = {item["type"]: item for item in over.server.get()["status"]["conditions"]}
    assert (conditions["Fine"]["reason"], conditions["Fine"]["message"]) == ("CopyFailed", "the disk is full")
    over.times[0] += 9
    assert over.turn().plan.steps[0].phase == "waiting"
    over.times[0] += 2
    over.turn()
    until("it was tried again", lambda: CALLS.count(("copy", "x")) == 2)
    until("it has failed twice", lambda: phase(over).failures == 2)
    over.times[0] += 15
    assert over.turn().plan.steps[0].phase == "waiting"
    over.times[0] += 6
    assert over.turn().plan.steps[0].phase == "do"


def test_what_ended_well_and_is_asked_for_again_is_not_begun_in_a_circle(over):
    begun(over, {"bytes": 7})
    until("it has ended", lambda: phase(over).phase == "ended")
    assert over.turn().plan.steps[0].phase == "waiting"


def test_each_end_is_counted_once_and_vanishes_with_the_object_that_it_lives_with(over):
    parent = over.server.make("p")
    ANSWERS.update({"a": {"text": "go"}, "copy:x": {"bytes": 7}})
    over.server.make("w", spec={"parent": "p"})
    over.turn("w")
    until("it has ended", lambda: phase(over).phase == "ended")
    over.turn("w")
    over.turn("w")
    line = b'copies_total{name="w",status="success"} 1'
    assert line in over.meter.series.render()
    over.meter.drop(over.server.key("w"))
    assert line in over.meter.series.render()
    over.meter.drop(over.server.key(parent["metadata"]["name"]))
    assert line not in over.meter.series.render()


def test_an_object_that_ends_stops_its_job_and_goes_after_it(over):
    begun(over, threading.Event())
    over.server.client.delete(over.server.key())
    end = over.turn()
    assert [step.reason for step in end.plan.steps] == ["its job is being stopped"]
    assert over.server.get() is not None
    until("it has stopped", lambda: phase(over).phase == "failed")
    over.turn()
    assert over.server.get() is None


def test_a_dry_run_begins_no_job(over):
    ANSWERS.update({"a": {"text": "go"}, "copy:x": {"bytes": 7}})
    over.server.make()
    made = over.act(JOB.replace("on:", "mode: dryrun\non:", 1), a={"text": "go"})
    assert [item.status for item in made.outcomes] == ["would"]
    assert CALLS == []


KEY = Key(WIDGET, "n", "w")


def test_no_more_jobs_run_than_there_are_places():
    jobs, gate = Jobs(lambda _: None, places=2), threading.Event()
    running = []

    def work(stop):
        running.append(1)
        gate.wait(10)

    for number in range(5):
        assert jobs.begin(KEY, f"s{number}", work, initial_s=1, max_s=2)
    until("two run", lambda: len(running) == 2)
    assert {state.phase for state in jobs.states(KEY).values()} == {"running"}
    gate.set()
    until("all have ended", lambda: {state.phase for state in jobs.states(KEY).values()} == {"ended"})
    jobs.close(5)


def test_a_job_rests_as_long_as_the_other_side_asks_for():
    jobs = Jobs(lambda _: None, clock=lambda: 1000.0, monotonic=lambda: 5.0)

    def work(stop):
        raise Throttled("later", retry_after_s=99.0)

    jobs.begin(KEY, "s", work, initial_s=1, max_s=2)
    until("it has failed", lambda: jobs.states(KEY)["s"].phase == "failed")
    assert jobs.states(KEY)["s"].again_at == 1099.0
    jobs.close(5)


def test_a_clock_that_is_put_back_does_not_make_a_job_rest_longer():
    wall, monotonic = [10_000.0], [5.0]
    jobs = Jobs(lambda _: None, clock=lambda: wall[0], monotonic=lambda: monotonic[0])

    def work(stop):
        raise Throttled("later")

    jobs.begin(KEY, "s", work, initial_s=10, max_s=20)
    until("it has failed", lambda: jobs.states(KEY)["s"].phase == "failed")
    wall[0] -= 3600
    assert jobs.states(KEY)["s"].again_at == wall[0] + 10
    monotonic[0] += 10
    assert jobs.states(KEY)["s"].again_at <= wall[0]
    jobs.close(5)


def test_an_engine_that_stops_tells_its_jobs_and_begins_no_others():
    jobs, stopped = Jobs(lambda _: None), []

    def work(stop):
        stopped.append(stop.wait(10))

    jobs.begin(KEY, "s", work, initial_s=1, max_s=2)
    jobs.close(5)
    assert stopped == [True]
    assert not jobs.begin(KEY, "s", work, initial_s=1, max_s=2)
