"""The trials of backups find what they are there to find: bugs, each put into a copy of the program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import matrix
from tests.crash.program import program
from tests.crash.seeded import Bug, bugs, with_bug
from tests.cuts import restoring
from tests.cuts import trial as trials
from tests.cuts.plan import Slot
from tests.cuts.trial import Trial
from tests.cuts.world import HURRIES
from tests.unit.stores.s3_server import moto_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BUGS = bugs(Path(__file__).parent / "seeded_bugs.yaml")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    """A slot with the program as it is."""
    folder = tmp_path_factory.mktemp("sound")
    tested = program(folder, hurries=HURRIES)
    with moto_server(folder) as moto:
        yield Slot(matrix.Slot(0, folder / "begin", tested), moto, tested, folder)


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name.replace(" ", "-") for bug in BUGS])
def test_a_seeded_bug_is_found(
    bug: Bug, sound: Slot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "LONGEST_S", 30.0)
    monkeypatch.setattr(restoring, "WITHIN_S", 15.0)
    patched = Slot(sound.begin, sound.moto, with_bug(bug, tmp_path, HURRIES), tmp_path)
    said = [failure for name in bug.trials for failure in patched.run(Trial.parse(name)).failures]
    assert any(failure.startswith(bug.oracles) for failure in said), said


def test_without_the_bug_the_same_trials_hold(sound: Slot) -> None:
    names = sorted({name for bug in BUGS for name in bug.trials})
    said = {name: sound.run(Trial.parse(name)).failures for name in names}
    assert said == dict.fromkeys(names, ())
