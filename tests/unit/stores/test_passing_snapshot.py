"""A snapshot that passes by in pieces is whole or not, however it is cut into pieces."""

from __future__ import annotations

import hashlib
import random

import pytest
from test_snapshot_copy import SMALL

from engine.etcdfile.streaming import PassingSnapshot
from engine.etcdfile.verify import BadSnapshot


def passed(data, draw):
    passing = PassingSnapshot()
    while data:
        cut = draw.choice([1, 5, 31, 32, 33, 1024, 4096, 5000, 100_000])
        passing.take(data[:cut])
        data = data[cut:]
    return passing.end()


@pytest.mark.parametrize("seed", range(50))
def test_pieces_of_any_size_make_the_same_snapshot(seed):
    assert passed(SMALL, random.Random(seed)) == hashlib.sha256(SMALL).hexdigest()


@pytest.mark.parametrize("seed", range(300))
def test_a_cut_or_changed_snapshot_is_never_whole(seed):
    draw = random.Random(seed)
    where = draw.randrange(len(SMALL))
    changed = bytearray(SMALL)
    changed[where] ^= 1 << draw.randrange(8)
    for damaged in (
        bytes(changed),
        SMALL[:where],
        SMALL[where + 1 :],
        SMALL + SMALL[:where],
        SMALL + bytes(512),
    ):
        with pytest.raises(BadSnapshot):
            passed(damaged, draw)
