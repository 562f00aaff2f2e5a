"""The crash matrix finds what it is there to find: five bugs, each put into a copy of the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash import trial as trials
from tests.crash.matrix import Slot, references
from tests.crash.program import program
from tests.crash.seeded import Bug, bugs, with_bug
from tests.crash.trial import Reference, Trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BUGS = bugs()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Slot, dict[str, Reference]]:
    """A slot with the program as it is, and how it does the scenarios that the bugs are shown in."""
    folder = tmp_path_factory.mktemp("sound")
    slot = Slot(0, folder / "slot", program(folder))
    scenarios = {
        Trial.parse(name).scenario.name: Trial.parse(name).scenario for bug in BUGS for name in bug.trials
    }
    verdicts = references(slot, scenarios.values())
    assert [each.failures for each in verdicts.values()] == [()] * len(scenarios)
    return slot, {name: each.reference for name, each in verdicts.items()}


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name.replace(" ", "-") for bug in BUGS])
def test_a_seeded_bug_is_found(
    bug: Bug, sound: tuple[Slot, dict[str, Reference]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "LONGEST_S", 30.0)
    slot, known = sound
    patched = Slot(0, tmp_path / "slot", with_bug(bug, tmp_path), slot.snapshots)
    names = [Trial.parse(name) for name in bug.trials]
    said = [failure for each in names for failure in patched.run(each, known[each.scenario.name]).failures]
    assert any(failure.startswith(bug.oracles) for failure in said), said


def test_without_the_bug_the_same_trials_hold(sound: tuple[Slot, dict[str, Reference]]) -> None:
    slot, known = sound
    names = [Trial.parse(name) for bug in BUGS for name in bug.trials]
    said = {str(each): slot.run(each, known[each.scenario.name]).failures for each in names}
    assert said == dict.fromkeys(said, ())


def test_a_seeded_bug_that_no_longer_applies_is_an_error(tmp_path: Path) -> None:
    bug = Bug("gone", (("engine/act/once.py", "nowhere to be found", ""),), (), ())
    with pytest.raises(AssertionError, match="'gone' no longer applies"):
        with_bug(bug, tmp_path)
