"""Hand-overs: the leader is killed, stopped, paused or cut off, or its lease is meddled with, while a cluster lives.

Each round brings a cluster up, changes its configuration a few times and deletes it, and does harm at moments that are
drawn. What must hold afterwards: one Bootstrap, one configuration and one reset a machine as often as they were asked for,
the objects gone, the disks empty. Calls that a woken leader still sends are counted: before it wakes the others are frozen, so whatever
then arrives is its own. `python -m tests.faults.handover --count 100` runs so many; a failure names the command that
repeats it. Neighbours: `replicas` has the processes, `test_handover` takes a sample.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.base.errors import RemoteError
from engine.ports.kube.client import KubeClient
from tests.faults.apart import MACHINES
from tests.faults.replicas import KEY, SHORT, TRUE, Replica, Replicas, Times, acts_after, alone
from tests.sim.cluster import APPLY, BOOTSTRAP, NAME, RESET, Cluster, patched, quickstart
from tests.sim.shipped import until

SEED = int(os.environ.get("TALOS_OPERATOR_TEST_SEED", "20261128"))
_QUIET_S = 60.0


@dataclass(frozen=True, slots=True)
class HandOver:
    """What one harm came to. Seconds: `acts` until somebody else had ended a pass, `ends` until the loser had ended."""

    harm: str
    changed: bool
    acts: float | None = None
    ends: float | None = None
    stale: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """What a harm is done to."""

    run: Replicas
    client: KubeClient
    draw: random.Random

    @property
    def times(self) -> Times:
        return self.run.times

    def pause(self, shortest: float, longest: float) -> None:
        """Wait for so many leases."""
        time.sleep(self.times.lease * self.draw.uniform(shortest, longest))


def kill(scene: Scene, leader: Replica) -> HandOver:
    """kill -9."""
    former = scene.run.holder(scene.client)
    leader.send(signal.SIGKILL)
    return HandOver("kill", True, acts=acts_after(scene.run, former, scene.client, _QUIET_S))


def stop(scene: Scene, leader: Replica) -> HandOver:
    """SIGTERM: it gives the lease up and ends with 0."""
    former, process = scene.run.holder(scene.client), leader.process
    assert process is not None
    with scene.run.nobody_revives(leader):
        leader.send(signal.SIGTERM)
        seconds = acts_after(scene.run, former, scene.client, _QUIET_S)
        assert process.wait(60) == 0
    return HandOver("stop", True, acts=seconds)


def pause(scene: Scene, leader: Replica) -> HandOver:
    """SIGSTOP for half to three leases, SIGCONT."""
    former = scene.run.holder(scene.client)
    leader.send(signal.SIGSTOP)
    began = time.monotonic()
    scene.pause(0.5, 3)
    if time.monotonic() - began < scene.times.lease + 2 * scene.times.retry:
        leader.send(signal.SIGCONT)
        now = scene.run.leader(scene.client, _QUIET_S)
        return HandOver("pause", now is not leader)
    until("somebody else has the lease", lambda: scene.run.holder(scene.client) not in ("", former))
    with alone(scene.run, leader):
        before = len(scene.run.mutations())
        woken = time.monotonic()
        leader.send(signal.SIGCONT)
        until("it has ended", leader.has_ended, deadline_s=20)
        ends = time.monotonic() - woken
        stale = len(scene.run.mutations()) - before
    return HandOver("pause", True, ends=ends, stale=stale)


def delete(scene: Scene, leader: Replica) -> HandOver:
    """Somebody deletes the lease; its holder writes it anew."""
    former = scene.run.holder(scene.client)
    with suppress(RemoteError):
        scene.client.delete(KEY)
    until("there is a lease again", lambda: scene.run.holder(scene.client))
    return HandOver("delete", scene.run.holder(scene.client) != former)


def storm(scene: Scene, leader: Replica) -> HandOver:
    """Somebody writes to the lease as fast as it can, so that those who renew it come too late."""
    former, ended = scene.run.holder(scene.client), threading.Event()

    def write() -> None:
        count = 0
        while not ended.is_set():
            count += 1
            with suppress(RemoteError):
                scene.client.patch(KEY, {"metadata": {"annotations": {"storm": str(count)}}})

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    scene.pause(0.5, 1.5)
    ended.set()
    for writer in writers:
        writer.join()
    scene.run.leader(scene.client, _QUIET_S)
    return HandOver("storm", scene.run.holder(scene.client) != former)


def usurp(scene: Scene, leader: Replica) -> HandOver:
    """Somebody writes another holder into the lease: the leader ends at once."""
    with scene.run.nobody_revives(leader):
        scene.client.patch(KEY, {"spec": {"holderIdentity": "usurper", "leaseDurationSeconds": 1}})
        began = time.monotonic()
        until("it has ended", leader.has_ended, deadline_s=20)
        ends = time.monotonic() - began
    return HandOver("usurp", True, ends=ends)


def cut(scene: Scene, leader: Replica) -> HandOver:
    """The API server is out of the leader's reach for half to two leases."""
    former = scene.run.holder(scene.client)
    leader.line.cut()
    scene.pause(0.5, 2)
    leader.line.mend()
    scene.run.leader(scene.client, _QUIET_S)
    return HandOver("cut", scene.run.holder(scene.client) != former)


Harm = Callable[[Scene, Replica], HandOver]
HARMS: tuple[Harm, ...] = (kill, stop, pause, pause, delete, storm, usurp, cut)
CHANGES = 4


def _harm(scene: Scene, harms: Iterator[Harm], longest_s: float) -> HandOver:
    """The next harm, at a moment that is drawn, with another engine waiting; whoever leads then bears it."""
    until("another one waits", lambda: scene.run.waiting(scene.client), deadline_s=_QUIET_S)
    time.sleep(scene.draw.uniform(0, longest_s))
    leader = scene.run.leader(scene.client, _QUIET_S)
    return next(harms)(scene, leader)


def _drawn(draw: random.Random) -> Iterator[Harm]:
    while True:
        yield from draw.sample(HARMS, len(HARMS))


def live(scene: Scene, cluster: Cluster, harms: Iterator[Harm]) -> list[HandOver]:
    """One round: bring up, change, delete; two harms while it is brought up and one at each other time."""
    done = []
    document = quickstart(1, 1)
    cluster.apply(document)
    done += [_harm(scene, harms, 2.0), _harm(scene, harms, 2.0)]
    cluster.ready(deadline_s=180)
    for number in range(CHANGES):
        boots = {at: scene.run.machines()[at]["boot_id"] for at in MACHINES}
        cluster.apply(patched(document, {"machine": {"env": {"GREETING": f"hello {number}"}}}))
        done.append(_harm(scene, harms, 1.0))
        _restarted(scene, boots)
        cluster.ready(deadline_s=180)
    cluster.delete("TalosCluster", NAME)
    done.append(_harm(scene, harms, 1.0))
    cluster.gone("TalosCluster", NAME, deadline_s=180)
    empty = {"maintenance"}
    until(
        "the disks are empty",
        lambda: {scene.run.machines()[at]["stage"] for at in MACHINES} == empty,
        deadline_s=60,
    )
    return done


def _restarted(scene: Scene, boots: dict[str, str]) -> None:
    def all_new() -> bool:
        now = scene.run.machines()
        return all(now[at]["boot_id"] != before for at, before in boots.items())

    until("both machines have started with the change", all_new, deadline_s=180)


def judge(run: Replicas) -> None:
    """What must hold at the end of a round: everything was done, and nothing twice."""
    assert sum(run.accepted(BOOTSTRAP).values()) == 1, run.accepted(BOOTSTRAP)
    once = Counter(MACHINES)
    wanted = Counter(dict.fromkeys(MACHINES, 1 + CHANGES))
    assert run.accepted(APPLY) == wanted, run.accepted(APPLY)
    assert run.accepted(RESET) == once, run.accepted(RESET)
    exits = Counter(code for each in run.replicas for code in each.exits)
    assert set(exits) <= {0, 1, -signal.SIGKILL}, exits
    assert "Traceback" not in run.logs()


def round_of(
    folder: Path, seed: int, number: int, times: Times, harms: Sequence[Harm] = ()
) -> list[HandOver]:
    """Carry out one round; AssertionError, with the command that repeats it, when something does not hold."""
    draw = random.Random(f"{seed} {number}")
    run = Replicas(folder / f"round-{number}", times)
    run.folder.mkdir(mode=0o700, parents=True)
    try:
        with run.running() as cluster:
            done = live(Scene(run, cluster.client, draw), cluster, iter(harms) if harms else _drawn(draw))
        judge(run)
    except Exception as error:
        told = f"repeat it with: python -m tests.faults.handover --seed {seed} --only {number}"
        raise AssertionError(f"{told}\n{error}\n{run.logs()}") from error
    return done


def told(done: Sequence[HandOver]) -> str:
    """A table of what happened, by harm."""
    lines = [
        "harm    done  changed  s until others act: median, longest   s until the loser ends: longest  stale"
    ]
    for harm in sorted({each.harm for each in done}):
        mine = [each for each in done if each.harm == harm]
        acts = [each.acts for each in mine if each.acts is not None]
        ends = [each.ends for each in mine if each.ends is not None]
        acting = f"{statistics.median(acts):6.2f} {max(acts):6.2f}" if acts else " " * 13
        ending = f"{max(ends):6.2f}" if ends else " " * 6
        changed, stale = sum(each.changed for each in mine), sum(each.stale for each in mine)
        lines.append(f"{harm:7} {len(mine):4}  {changed:7}  {acting:>36}  {ending:>30}  {stale:5}")
    return "\n".join(lines)


def main() -> int:
    """Run rounds until so many hand-overs are done; 1 when one of the rounds failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.handover", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="so many hand-overs at least")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", type=int, metavar="N", help="one round by its number")
    parser.add_argument("--true-times", action="store_true", help="15/10/2 s in place of short times")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="handover-"))
    times = TRUE if options.true_times else SHORT
    done: list[HandOver] = []
    failed: list[int] = []
    number = options.only or 0
    while len(done) < options.count:
        try:
            found = round_of(folder, options.seed, number, times)
            done += found
            print(f"round {number}: {', '.join(each.harm for each in found)}: held", flush=True)
        except AssertionError as error:
            failed.append(number)
            print(f"round {number}: FAILED\n{error}", flush=True)
        number += 1
        if options.only is not None or len(failed) > 3:
            break
    print(f"seed {options.seed}: {len(done)} hand-overs, {len(failed)} rounds failed {failed or ''}")
    print(told(done))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
