"""Encrypted files open with another implementation of age, and with nothing but the right key."""

from __future__ import annotations

import random
import secrets

import pyrage
import pytest

from engine.machineconfig.sealing import SealingError, open_by, open_with, seal_for, seal_with

PASSPHRASE = "a long passphrase of which nobody knows"
SIZES = [0, 1, 65535, 65536, 65537, 200_000]


def data(size):
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_with_a_passphrase_opens_with_another_implementation_and_with_ours(size):
    sealed = seal_with(data(size), PASSPHRASE, secrets.token_bytes)
    assert pyrage.passphrase.decrypt(sealed, PASSPHRASE) == data(size)
    assert open_with(sealed, PASSPHRASE) == data(size)


def test_each_recipient_opens_it_and_nobody_else():
    one, two, stranger = (pyrage.x25519.Identity.generate() for _ in range(3))
    sealed = seal_for(data(1000), [str(one.to_public()), str(two.to_public())])
    for identity in (one, two):
        assert pyrage.decrypt(sealed, [identity]) == data(1000)
        assert open_by(sealed, [str(stranger), str(identity)]) == data(1000)
    with pytest.raises(SealingError):
        open_by(sealed, [str(stranger)])


def test_another_passphrase_opens_nothing():
    sealed = seal_with(b"keys", PASSPHRASE, secrets.token_bytes)
    with pytest.raises(SealingError, match="not the one"):
        open_with(sealed, PASSPHRASE + "!")


def test_two_files_of_the_same_content_have_nothing_in_common():
    first, second = (seal_with(data(1000), PASSPHRASE, secrets.token_bytes) for _ in range(2))
    assert first[-1016:] != second[-1016:]
    assert data(1000)[:20] not in first


@pytest.fixture(scope="module")
def sealed():
    """One file; sealing costs as much as opening, and that is meant to be much."""
    return seal_with(data(70_000), PASSPHRASE, lambda count: random.Random(count).randbytes(count))


@pytest.mark.parametrize("seed", range(60))
def test_a_changed_or_cut_file_opens_to_nothing(sealed, seed):
    draw = random.Random(seed)
    where = draw.randrange(len(sealed)) if seed % 2 else draw.randrange(220)
    changed = bytearray(sealed)
    changed[where] ^= 1 << draw.randrange(8)
    for damaged in (bytes(changed), sealed[:where]):
        with pytest.raises(SealingError):
            open_with(damaged, PASSPHRASE)


def test_pieces_that_change_places_or_are_left_out_open_to_nothing():
    sealed = seal_with(data(200_000), PASSPHRASE, secrets.token_bytes)
    start = sealed.index(b"\n", sealed.index(b"\n---") + 1) + 17
    step = 65536 + 16
    first, second, rest = (
        sealed[start : start + step],
        sealed[start + step : start + 2 * step],
        sealed[start + 2 * step :],
    )
    for damaged in (second + first + rest, first + rest, first + second, second + rest):
        with pytest.raises(SealingError):
            open_with(sealed[:start] + damaged, PASSPHRASE)


def test_a_passphrase_that_protects_nothing_is_refused():
    with pytest.raises(SealingError, match="fewer than 20"):
        seal_with(b"keys", "password", secrets.token_bytes)


@pytest.mark.parametrize("recipients", [[], ["age1xyz"], ["AGE-SECRET-KEY-1ABC"], ["ssh-rsa no"]])
def test_what_is_no_recipient_is_refused_without_being_quoted(recipients):
    with pytest.raises(SealingError) as caught:
        seal_for(b"keys", recipients)
    assert not any(text in str(caught.value) for text in recipients)


@pytest.mark.parametrize(
    "sealed", [b"", b"age-encryption.org/v1\n", b"keys", b"age-encryption.org/v1\n-> scrypt x 15\n"]
)
def test_what_is_no_such_file_is_told(sealed):
    with pytest.raises(SealingError):
        open_with(sealed, PASSPHRASE)


def test_work_that_would_take_all_memory_is_refused():
    sealed = seal_with(b"keys", PASSPHRASE, secrets.token_bytes).replace(b" 15\n", b" 40\n", 1)
    with pytest.raises(SealingError, match="too much work"):
        open_with(sealed, PASSPHRASE)
