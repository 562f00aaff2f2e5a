"""What is remembered between passes: results, own writes, patience; and that it stays bounded."""

from __future__ import annotations

import subprocess
import sys
import weakref

import pytest

from engine import process
from engine.base.errors import CapabilityError
from engine.base.kinds import Key
from engine.base.model import Made
from engine.base.values import Opaque
from engine.capabilities.memo import Memo
from engine.freshness import OwnWrites
from engine.wake import is_status_only
from tests.unit.spine.capabilities import ANSWERS, COMPUTED, TEST_CAPABILITIES
from tests.unit.spine.world import CONFIG_MAP, SECRET, WIDGET, key_of, widget

KEPT, PURE = TEST_CAPABILITIES["test.kept"], TEST_CAPABILITIES["test.pure"]


def test_a_result_is_computed_once_for_one_input():
    memo = Memo()
    assert [memo.run(KEPT, {"of": Opaque("a")}, now) for now in (1.0, 2.0)] == [{"text": "A"}] * 2
    memo.run(KEPT, {"of": Opaque("b")}, 1.0)
    assert COMPUTED == ["a", "b"]


def test_only_a_capability_that_says_so_is_kept():
    memo = Memo()
    memo.run(PURE, {"of": "a"}, 1.0)
    memo.run(PURE, {"of": "a"}, 1.0)
    assert COMPUTED == ["a", "a"]
    with pytest.raises(TypeError, match="not pure"):
        memo.run(TEST_CAPABILITIES["test.read"], {"of": "a"}, 1.0)


def test_a_failure_is_not_kept():
    memo = Memo()
    ANSWERS["a"] = CapabilityError("no")
    with pytest.raises(CapabilityError):
        memo.run(KEPT, {"of": Opaque("a")}, 1.0)
    ANSWERS["a"] = {"text": "yes"}
    assert memo.run(KEPT, {"of": Opaque("a")}, 1.0) == {"text": "yes"}


def test_the_least_recently_used_result_goes_first():
    memo = Memo(capacity=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        memo.run(KEPT, {"of": Opaque(name)}, 1.0)
    assert COMPUTED == ["a", "b", "c", "b"]


def test_no_secret_and_no_stand_in_is_part_of_what_is_remembered():
    memo = Memo()
    memo.run(KEPT, {"of": Opaque("canary")}, 1.0)
    assert "canary" not in repr(list(memo._results))
    with pytest.raises(TypeError, match="Made"):
        memo.run(KEPT, {"of": Made("text")}, 1.0)


def test_garbage_is_not_looked_for_in_what_was_imported_before_the_engine_began():
    text = """
import gc, engine.app
from engine import process
before = len(gc.get_objects())
process.tune()
print(before, len(gc.get_objects()))
"""
    told = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    before, after = map(int, told.stdout.split())
    assert after < before / 10


def test_what_only_garbage_holds_is_given_back_too():
    memo = Memo()
    memo.itself, gone = memo, weakref.ref(memo)
    del memo
    process.give_back_memory()
    assert gone() is None


def version(number, name="w"):
    return widget(name, resourceVersion=str(number))


def test_what_our_own_write_has_overtaken_is_known_until_the_cache_shows_the_write():
    writes = OwnWrites({WIDGET})
    writes.note(key_of(), version(1), version(2))
    assert writes.has_overtaken(key_of(), version(1))
    assert not writes.has_overtaken(key_of(), version(2))
    assert not writes.has_overtaken(key_of(), version(1))


@pytest.mark.parametrize("told", [((1, 3), (1, 4)), ((1, 4), (1, 3))])
def test_of_two_writes_the_later_one_is_never_taken_for_overtaken_whichever_is_told_of_first(told):
    writes = OwnWrites({WIDGET})
    for before, after in told:
        writes.note(key_of(), version(before), version(after))
    assert [writes.has_overtaken(key_of(), version(n)) for n in (1, 3)] == [True, True]
    assert writes.made(key_of(), version(4))
    assert not writes.has_overtaken(key_of(), version(4))


@pytest.mark.parametrize("told", [("b", "c"), ("c", "b")])
def test_of_versions_that_are_no_numbers_neither_of_two_writes_holds_a_pass_up(told):
    writes = OwnWrites({WIDGET})
    for after in told:
        writes.note(key_of(), version("a"), version(after))
    assert writes.has_overtaken(key_of(), version("a"))
    assert not writes.has_overtaken(key_of(), version(told[0]))


def test_of_several_writes_in_one_pass_each_overtakes_the_one_before():
    writes = OwnWrites({WIDGET})
    writes.note(key_of(), version(1), version(3))
    writes.note(key_of(), version(1), version(5))
    assert [writes.has_overtaken(key_of(), version(n)) for n in (1, 3, 5)] == [True, True, False]


def test_a_version_nobody_knows_ends_the_waiting_so_that_nothing_waits_for_ever():
    writes = OwnWrites({WIDGET})
    writes.note(key_of(), version(1), version(2))
    assert not writes.has_overtaken(key_of(), version(7))
    assert not writes._overtaken and not writes._last


def test_a_write_that_changed_nothing_overtakes_nothing():
    writes = OwnWrites({WIDGET})
    writes.note(key_of(), version(1), version(1))
    assert not writes.has_overtaken(key_of(), version(1))


def test_writes_of_kinds_without_passes_are_not_kept():
    writes = OwnWrites({WIDGET})
    for number in range(100):
        for kind in (SECRET, CONFIG_MAP):
            writes.note(Key(kind, "default", "s"), version(number), version(number + 1))
    assert not writes._overtaken and not writes._last


def test_a_write_of_ours_is_told_from_one_of_others_until_it_was_seen():
    writes = OwnWrites({WIDGET})
    writes.note(key_of(), version(1), version(2))
    assert writes.made(key_of(), version(2))
    assert not writes.made(key_of(), version(3))
    writes.forget(key_of())
    assert not writes.made(key_of(), version(2))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": {"word": "x"}}, True),
        ({"spec": {"size": 2}}, False),
        ({"annotations": {"a": "b"}}, False),
        ({"finalizers": ["x"]}, False),
        ({"deletionTimestamp": "2027-01-01T00:00:00Z"}, False),
        ({"generation": 2}, False),
    ],
)
def test_a_change_of_nothing_but_the_status_is_told_apart(change, expected):
    old = widget(resourceVersion="1", status={"word": "a"})
    new = widget(**({"resourceVersion": "2", "status": {"word": "a"}} | change))
    assert is_status_only(old, new) is expected
    assert not is_status_only(None, new)
    assert not is_status_only(old, None)
