"""Every oracle can fail: small records in which one thing is wrong, and the same ones in which nothing is."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.crash.canonical import canonical, differences
from tests.crash.effects import SERVICE, effects
from tests.crash.invariants import CHECKS
from tests.crash.program import program
from tests.crash.record import Record, Sight, Version
from tests.crash.secrets import leaks
from tests.crash.trial import Trial

NODE, OTHER = "127.0.9.1", "127.0.9.2"
KEY = "MC4CAQAwBQYDK2VwBCIEIOLJRhMrxXkvHJ2nSKDVDGzGwnUXfNBCmnBcFYOzFTWb"
FINALIZER = {"finalizers": ["talosmachine/finalizer"]}
ENDING = {"deletionTimestamp": "2026-11-28T12:00:00Z"}
OPEN = {"intents": [{"key": "retire", "target": "", "attempt": 1, "done": False}]}


def version(
    kind: str, at: float, *, type_: str = "MODIFIED", metadata: Mapping[str, Any] = {}, **parts: Any
) -> Version:
    body = {
        "kind": kind,
        "metadata": {
            "name": "it",
            "uid": "7f1c0f0e-0000-4000-8000-000000000011",
            "generation": 2,
            **metadata,
        },
        **({"spec": {"endpoint": NODE}} if kind == "TalosMachine" else {}),
        **parts,
    }
    return Version(int(at), type_, body, None, at, at)


def call(
    method: str, at: float, machine: str = NODE, code: str | None = "OK", etcd: Any = None
) -> dict[str, Any]:
    return {
        "method": SERVICE + method,
        "machine": machine,
        "time": at,
        "code": code,
        "etcd": etcd,
        "killed": None,
    }


def record(*seen: Version | dict[str, Any], printed: str = "") -> Record:
    versions = [each for each in seen if isinstance(each, Version)]
    calls = [each for each in seen if isinstance(each, dict)]
    bodies = [json.dumps(each.body).encode() for each in versions]
    sight = Sight(len(versions), bodies, [], calls, [])
    return Record(sight, versions, 0, {}, printed, "127.0.9")


def said(given: Record) -> set[str]:
    """The marks of the oracles that complain."""
    return {text.partition(":")[0] for check in CHECKS for text in check(given)}


def owned(at: float = 1, **more: Any) -> Version:
    return version("TalosMachine", at, metadata=FINALIZER, **more)


def etcd(running: int, voters: int = 3) -> dict[str, int]:
    return {"voters": voters, "running": running, "own": 1}


ENDED = version("TalosMachine", 5, metadata=FINALIZER | ENDING, status=OPEN)
GONE = version("TalosMachine", 9, type_="DELETED", metadata=ENDING)
START = {"intents": [{"key": "etcd", "target": NODE, "attempt": 1, "done": False}]}


@pytest.mark.parametrize(
    ("given", "marks"),
    [
        pytest.param([owned(status=START), call("Bootstrap", 2)], set(), id="one-bootstrap"),
        pytest.param(
            [owned(status=START), call("Bootstrap", 2), call("Bootstrap", 3)], {"S1"}, id="two-bootstraps"
        ),
        pytest.param([owned(), call("Bootstrap", 2)], {"S1"}, id="no-intent"),
        pytest.param([call("Bootstrap", 2), owned(3, status=START)], {"S1", "S4"}, id="intent-too-late"),
        pytest.param([owned(), call("Reboot", 2, etcd=etcd(3))], set(), id="all-members-run"),
        pytest.param([owned(), call("Reboot", 2, etcd=etcd(2))], {"S2", "S3"}, id="another-one-is-down"),
        pytest.param([owned(), call("Reboot", 2, etcd=etcd(4, 5))], {"S2"}, id="down-with-quorum"),
        pytest.param([owned(), call("Reboot", 2, etcd=etcd(2, 2))], {"S3"}, id="no-quorum-without-it"),
        pytest.param([ENDED, call("Reset", 6), GONE], set(), id="reset-then-gone"),
        pytest.param([ENDED, GONE], {"S4"}, id="gone-without-a-reset"),
        pytest.param([ENDED, call("Reset", 6, code="UNAVAILABLE"), GONE], {"S4"}, id="gone-without-success"),
        pytest.param([ENDED, GONE, call("Reset", 10)], {"S4"}, id="gone-before-its-reset"),
        pytest.param([owned(status=OPEN), call("Reset", 2)], {"S4"}, id="reset-of-what-stays"),
        pytest.param([version("TalosMachine", 1), call("Reboot", 2)], {"S4"}, id="no-finalizer"),
        pytest.param([ENDED, call("ApplyConfiguration", 7)], {"S4"}, id="begun-with-what-ends"),
        pytest.param([owned(status={"observedGeneration": 3})], {"S6"}, id="ahead"),
        pytest.param(
            [owned(status={"observedGeneration": 2}), owned(2, status={"observedGeneration": 1})],
            {"S6"},
            id="falls",
        ),
    ],
)
def test_an_invariant_is_told_where_it_is_broken_and_nowhere_else(given: list[Any], marks: set[str]) -> None:
    assert said(record(*given)) == marks


def test_ready_of_a_generation_that_was_not_observed_is_told() -> None:
    def became(observed: int) -> Record:
        ready = {"type": "Ready", "status": "True", "observedGeneration": observed}
        return record(owned(status={"observedGeneration": observed, "conditions": [ready]}))

    assert said(became(2)) == set()
    assert said(became(1)) == {"S6"}


def test_a_key_is_found_wherever_it_leaks() -> None:
    pem = f"-----BEGIN ED25519 PRIVATE KEY-----\n{KEY}\n-----END ED25519 PRIVATE KEY-----\n"
    inner = base64.b64encode(pem.encode()).decode()
    secret = version(
        "Secret", 1, data={"bundle": base64.b64encode(f"certs:\n  key: {inner}\n".encode()).decode()}
    )
    assert list(leaks(record(secret, printed="all is well"), ())) == []
    assert len(list(leaks(record(secret, printed=f"with {KEY}"), ()))) == 1
    event = version("Event", 2, message=f"key: {inner}")
    assert len(list(leaks(record(secret, event), ()))) == 1


def test_worlds_differ_by_what_matters_alone() -> None:
    def world(uid: str, state: str) -> dict[str, Any]:
        status = {"state": state, "conditions": [{"type": "Ready", "lastTransitionTime": uid}]}
        return canonical(record(version("TalosMachine", 1, metadata={"uid": uid}, status=status)))

    assert list(differences(world("a", "Ready"), world("b", "Ready"))) == []
    assert len(list(differences(world("a", "Ready"), world("a", "Pending")))) == 1


def test_a_refused_reset_counts_and_a_refused_configuration_does_not() -> None:
    seen = effects(
        record(
            call("Reset", 1, code="UNAVAILABLE"),
            call("Reset", 2, code=None),
            call("ApplyConfiguration", 3, code="X"),
        )
    )
    assert seen == {f"{SERVICE}Reset to 127.0.X.1": 1}


@pytest.mark.parametrize(
    "name",
    [
        "change/api.17.after/x5",
        "removal/api.1.before+machines.2.replied/x0.04/lag0.3",
        "bringup/undisturbed/x20",
    ],
)
def test_the_name_of_a_trial_is_all_that_it_depends_on(name: str) -> None:
    assert str(Trial.parse(name)) == name


def test_rules_without_periods_to_shorten_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "root" / "rules").mkdir(parents=True)
    with pytest.raises(AssertionError, match="only 0 resting periods"):
        program(tmp_path, tmp_path / "root")
