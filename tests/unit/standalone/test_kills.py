"""The control socket of the embedded API: what changed, and killing a caller at one of its requests."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import time

import pytest
import requests

from engine.base import control

MOMENTS = ("before", "after", "replied")
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def served(start, tmp_path, client_of):
    """A client of an API with a control socket, and a way to give it orders."""
    place = tmp_path / "control.sock"
    start(control=place)

    def order(**request):
        return control.order(place, request, timeout_s=10)

    client = client_of(tmp_path / "api")
    client.order, client.place = order, place
    return client


@pytest.fixture
def victim():
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait(10)


def write(client, text):
    """Set the data of a ConfigMap: the code, 0 when no answer came."""
    try:
        return client.apply(
            f"{MAPS}/it",
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "it"},
                "data": {"is": text},
            },
            "me",
        ).code
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return 0


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_caller_is_killed_at_the_ordered_request_and_moment(served, victim, moment):
    assert served.order(op="kill", pid=victim.pid, call=2, moment=moment)["ok"]
    assert write(served, "first") == 201
    assert served.get(f"{MAPS}/it").code == 200
    assert victim.poll() is None
    code = write(served, "second")
    assert victim.wait(10) == -signal.SIGKILL
    assert code == (200 if moment == "replied" else 0)
    there = served.get(f"{MAPS}/it").body["data"]["is"]
    assert there == ("first" if moment == "before" else "second")
    told = served.order(op="mutations")
    assert [(each["killed"], each["code"]) for each in told["mutations"]] == [
        (None, 201),
        (moment, None if moment == "before" else 200),
    ]
    assert not told["pending"]
    assert write(served, "third") == 200


def test_what_changes_objects_is_listed_without_what_it_says(served):
    served.order(op="count")
    secret = {"metadata": {"name": "mine"}, "stringData": {"password": "hunter2"}}
    at = "/api/v1/namespaces/default/secrets"
    assert served.post(at, secret).code == 201
    assert served.post(at, secret).code == 409
    assert served.merge(f"{at}/mine", {"stringData": {"password": "hunter3"}}).code == 200
    assert served.delete(f"{at}/mine").code == 200
    assert write(served, "seen") == 201
    machine = {
        "apiVersion": "talos.alperen.cloud/v1alpha1",
        "kind": "TalosMachine",
        "metadata": {"name": "m"},
        "spec": {"endpoint": "127.0.0.9", "version": "v1.13.0"},
    }
    machines = "/apis/talos.alperen.cloud/v1alpha1/namespaces/default/talosmachines"
    assert served.post(machines, machine).code == 201
    assert served.merge(f"{machines}/m/status", {"status": {"state": "Pending"}}).code == 200
    told = served.order(op="mutations")["mutations"]
    aims = [(each["verb"], each["kind"], each["name"], each["subresource"], each["code"]) for each in told]
    assert aims == [
        ("create", "Secret", "mine", "", 201),
        ("create", "Secret", "mine", "", 409),
        ("patch", "Secret", "mine", "", 200),
        ("delete", "Secret", "mine", "", 200),
        ("apply", "ConfigMap", "it", "", 201),
        ("create", "TalosMachine", "m", "", 201),
        ("patch", "TalosMachine", "m", "status", 200),
    ]
    assert [each["number"] for each in told] == list(range(1, 8))
    assert [each["revision"] for each in told] == sorted(each["revision"] for each in told)
    assert "hunter" not in json.dumps(told)


def test_what_changes_nothing_is_not_listed(served):
    served.order(op="count")
    served.get(MAPS)
    served.post(MAPS, {"metadata": {"name": "dry"}}, dryRun="All")
    served.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {}})
    served.post("/apis/nowhere/v1/things", {})
    assert served.order(op="mutations")["mutations"] == []


def test_a_watch_tells_of_a_change_as_late_as_ordered(served):
    write(served, "first")
    version = served.get(MAPS).body["metadata"]["resourceVersion"]
    assert served.order(op="lag", seconds=0.4)["ok"]
    events = served.watch(MAPS, resourceVersion=version, timeoutSeconds=5)
    began = time.monotonic()
    write(served, "second")
    assert served.get(f"{MAPS}/it").body["data"] == {"is": "second"}
    assert next(events)["object"]["data"] == {"is": "second"}
    assert time.monotonic() - began >= 0.4
    events.close()


def test_only_its_user_may_give_orders(served):
    assert stat.S_IMODE(served.place.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"op": "kill", "pid": 0, "moment": "after"}, "only another process"),
        ({"op": "kill", "pid": 2**22 + 1, "moment": "after"}, "No such process"),
        ({"op": "lag", "seconds": -1}, "a number from 0"),
        ({"op": "explode"}, "one of count, kill, lag, mutations"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(served, request_, says):
    told = served.order(**request_)
    assert not told["ok"] and says in told["error"]


def test_a_call_number_and_a_moment_have_to_exist(served, victim):
    assert "counted from 1" in served.order(op="kill", pid=victim.pid, call=0, moment="after")["error"]
    assert "one of before" in served.order(op="kill", pid=victim.pid, moment="soon")["error"]
    assert not served.order(op="mutations")["pending"]


def test_without_a_control_socket_nothing_takes_orders(start, tmp_path):
    start()
    assert list((tmp_path / "api").glob("*.sock")) == []
