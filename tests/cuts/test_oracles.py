"""The judges of the trials of backups can say no: each is shown what it is there to find."""

from __future__ import annotations

import hashlib
import random

import pytest

from engine.simulator.database import database_pages
from tests.cuts import oracles, snapshotshape
from tests.cuts.oracles import Witness
from tests.cuts.places import ANSWERS, Holding
from tests.cuts.plan import whole
from tests.cuts.trial import Trial
from tests.etcdfile.test_etcdfile import cluster

KEY, STATE = "backups/a.db", "backups/a.yaml"
DATABASE = b"".join(database_pages(cluster(), 64 << 10))
WHOLE = DATABASE + hashlib.sha256(DATABASE).digest()


def backup(name: str = "a", **status: object) -> dict:
    told = {"filename": KEY, "stateFilename": STATE, "size": len(WHOLE)}
    told |= {"sha256": hashlib.sha256(WHOLE).hexdigest()}
    told |= {"conditions": [{"type": "Ready", "status": "True"}], **status}
    return {"kind": "TalosEtcdBackup", "metadata": {"name": name, "uid": name}, "status": told}


def found(files: dict[str, bytes], *claims: dict) -> list[str]:
    witness = Witness()
    witness.look(claims, claims, Holding(files, []))
    return witness.wrong


def test_a_whole_snapshot_has_no_flaw_and_any_part_of_it_has_one():
    assert list(snapshotshape.flaws(WHOLE)) == []
    draw = random.Random(7)
    for size in (
        0,
        31,
        32,
        4096,
        len(WHOLE) - 33,
        len(WHOLE) - 1,
        *(draw.randrange(len(WHOLE)) for _ in "123"),
    ):
        assert list(snapshotshape.flaws(WHOLE[:size])), size
    for place in (0, 100, len(WHOLE) - 1, *(draw.randrange(len(WHOLE)) for _ in "123456")):
        changed = WHOLE[:place] + bytes([WHOLE[place] ^ 1]) + WHOLE[place + 1 :]
        assert list(snapshotshape.flaws(changed)), place


def test_what_has_a_right_digest_and_is_no_database_is_no_snapshot():
    text = b"x" * 8192
    assert list(snapshotshape.flaws(text + hashlib.sha256(text).digest())) == ["no valid meta page"]
    less = WHOLE[:-4128]
    assert "pages" in next(snapshotshape.flaws(less + hashlib.sha256(less).digest()))


def test_what_is_complete_is_true_to_the_store():
    both = {KEY: WHOLE, STATE: b"data: {}"}
    assert found(both, backup()) == []
    assert any("has no file" in each for each in found({STATE: b""}, backup()))
    assert any("keys of a are not there" in each for each in found({KEY: WHOLE}, backup()))
    assert any("another size or digest" in each for each in found(both, backup(size=1)))
    assert any(each.startswith("partial") for each in found({KEY: WHOLE[:-1]}))


def test_more_successes_than_whole_snapshots_are_too_many():
    witness = Witness()
    witness.look([], [], Holding({KEY: WHOLE}, []))
    witness.counts({"a": 1})
    assert witness.wrong == []
    witness.counts({"a": 1, "b": 1})
    assert witness.wrong == ["counted: 2 successes, 1 whole snapshots were ever there"]


def test_at_rest_there_is_nothing_but_what_belongs_to_a_backup():
    both = {KEY: WHOLE, STATE: b""}
    assert list(oracles.left_over([backup()], Holding(both, []))) == []
    assert list(oracles.left_over([], Holding(both, []))) == [
        f"orphan: {KEY} belongs to no backup",
        f"orphan: {STATE} belongs to no backup",
    ]
    assert list(oracles.left_over([backup()], Holding(both, ["x"]))) == ["unfinished: x was begun and left"]
    assert list(oracles.left_over([], Holding({}, [], {KEY: "0"}))) == [
        f"orphan: the digest of {KEY} is there without it"
    ]
    assert any(
        "two backups" in each for each in oracles.left_over([backup(), backup("b")], Holding(both, []))
    )


def test_a_name_says_all_that_its_trial_depends_on():
    for name in ("one/folder/kill.write2.half", "gone/parts/stream.slow.9+delete.3+kill.PutObject1.after"):
        assert str(Trial.parse(name)) == name
    with pytest.raises(ValueError, match="is no trial"):
        Trial.parse("two/folder/undisturbed")


def test_a_seed_gives_the_same_trials_again():
    folder = [f"{name}1 x -" for name in ("mkdir", "open", "write", "fsync", "rename", "unlink")]
    bucket = [f"{name}1 x -" for name in ("HeadObject", "PutObject", "UploadPart", "DeleteObject")]
    acts = ("one", "gone", "pair", "beside", "often")
    calls = {
        f"{act}/{place}": folder if place == "folder" else bucket
        for act in acts
        for place in ("folder", "small", "parts")
    }
    trials = whole(calls, 1)
    assert len({str(each) for each in trials}) == len(trials) > 150
    assert [str(each) for each in trials] == [str(each) for each in whole(calls, 1)]
    answers = {each.words[1] for trial in whole(calls, 2) for each in trial.all_of("answer")}
    assert answers <= ANSWERS.keys()
