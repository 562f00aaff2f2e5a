"""The server as a whole: who gets in, what lies in the directory, restarts, and faults around it."""

from __future__ import annotations

import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import time

import pytest
import requests
import yaml

from engine.standalone import StandaloneError

MAPS = "/api/v1/namespaces/default/configmaps"


def test_only_the_token_gets_in_and_only_over_tls(start, client_of):
    api = start()
    client = client_of(api.kubeconfig.parent)
    assert client.get("/api").code == 200
    for header in ("", "Bearer wrong", "Basic x"):
        client.session.headers["Authorization"] = header
        answer = client.get("/api/v1/namespaces")
        assert (answer.code, answer.body["reason"]) == (401, "Unauthorized")
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(api.address + "/healthz", timeout=5)


def test_health_needs_no_token(start, client_of):
    client = client_of(start().kubeconfig.parent)
    del client.session.headers["Authorization"]
    assert client.session.get(f"{client.base}/readyz", timeout=5).text == "ok"


def test_every_file_is_for_its_owner_alone(start, client_of, tmp_path):
    start()
    client_of(tmp_path / "api").post(MAPS, {"metadata": {"name": "a"}})
    for file in (tmp_path / "api").iterdir():
        if file.name != "client-ca.crt":
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_it_listens_on_loopback_alone_with_ecdsa(start):
    api = start()
    assert api.address.startswith("https://127.0.0.1:")
    port = int(api.address.rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(api.kubeconfig.parent / "ca.crt"))
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        assert wrapped.getpeercert()["subject"] == ((("commonName", "standalone"),),)


def test_a_restart_keeps_objects_address_and_credentials(start, client_of, tmp_path):
    first = start()
    made = client_of(tmp_path / "api").post(MAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}}).body
    config = first.kubeconfig.read_text()
    first.stop()
    second = start()
    assert second.kubeconfig.read_text() == config
    assert client_of(tmp_path / "api").get(f"{MAPS}/a").body == made


def test_a_watch_resumes_across_a_restart(start, client_of, tmp_path):
    first = start()
    client = client_of(tmp_path / "api")
    version = client.get(MAPS).body["metadata"]["resourceVersion"]
    client.post(MAPS, {"metadata": {"name": "a"}})
    first.stop()
    start()
    (event,) = client_of(tmp_path / "api").watch(MAPS, resourceVersion=version, timeoutSeconds=1)
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")


def test_the_log_is_bounded_and_what_it_lost_is_expired(start, client_of, tmp_path):
    start(log_limit=10)
    client = client_of(tmp_path / "api")
    for number in range(5):
        client.post(MAPS, {"metadata": {"name": f"a{number}"}})
    page = client.get(MAPS, limit=2).body["metadata"]
    for number in range(15):
        client.merge(f"{MAPS}/a0", {"data": {"n": str(number)}})
    (event,) = client.watch(MAPS, resourceVersion=page["resourceVersion"], timeoutSeconds=5)
    assert event["object"]["code"] == 410
    assert client.get(MAPS, limit=2, **{"continue": page["continue"]}).code == 410
    with sqlite3.connect(tmp_path / "api" / "objects.db") as db:
        assert db.execute("SELECT count(*) FROM log").fetchone() == (10,)
    db.close()


def test_a_version_of_the_future_is_refused(start, client_of, tmp_path):
    start()
    client = client_of(tmp_path / "api")
    answer = client.get(MAPS, resourceVersion=99999)
    assert (answer.code, answer.body["reason"]) == (504, "Timeout")
    (event,) = client.watch(MAPS, resourceVersion=99999, timeoutSeconds=5)
    assert event["object"]["reason"] == "Timeout"


def test_a_second_server_on_the_directory_is_refused(start, tmp_path):
    start()
    with pytest.raises(StandaloneError, match=r"api is in use by another process; stop it"):
        start()


def test_a_taken_port_is_a_clear_error_with_exit_code_2(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "engine.standalone", str(tmp_path), "--port", port]
        got = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert got.returncode == 2
    assert got.stderr.startswith("error: cannot listen on 127.0.0.1:") and "choose another port" in got.stderr


def test_a_file_that_is_no_database_is_a_clear_error(start, tmp_path):
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "objects.db").write_bytes(b"this is no database, whatever its name" * 100)
    with pytest.raises(StandaloneError, match=r"objects\.db: file is not a database"):
        start()


def test_a_broken_crd_file_is_named(start, tmp_path):
    (tmp_path / "crds").mkdir()
    (tmp_path / "crds" / "bad.yaml").write_text(
        yaml.safe_dump(
            {"kind": "CustomResourceDefinition", "metadata": {"name": "x"}, "spec": {"group": "g"}}
        )
    )
    with pytest.raises(StandaloneError, match=r"bad\.yaml: .*spec\.names: Required value"):
        start(crds=tmp_path / "crds")


def fill(directory, monkeypatch):
    """Leave SQLite no page to grow by, as a full disk would."""
    real = sqlite3.connect

    def connect(*args, **kwargs):
        db = real(*args, **kwargs)
        db.execute("PRAGMA max_page_count = 120")
        return db

    monkeypatch.setattr(sqlite3, "connect", connect)


def test_a_full_disk_is_507_and_nothing_half_done(start, client_of, tmp_path, monkeypatch):
    (tmp_path / "none").mkdir()
    fill(tmp_path / "api", monkeypatch)
    start(crds=tmp_path / "none")
    client = client_of(tmp_path / "api")
    stored = 0
    while (
        answer := client.post(MAPS, {"metadata": {"name": f"m{stored}"}, "data": {"x": "y" * 20000}})
    ).code == 201:
        stored += 1
        assert stored < 100
    assert (answer.code, answer.body["reason"]) == (507, "InsufficientStorage")
    assert "nothing was stored" in answer.body["message"]
    assert len(client.get(MAPS).body["items"]) == stored
    assert client.get(f"{MAPS}/m{stored}").code == 404


def test_a_locked_database_is_a_500_and_passes(start, client_of, tmp_path):
    start()
    client = client_of(tmp_path / "api")
    other = sqlite3.connect(tmp_path / "api" / "objects.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = client.post(MAPS, {"metadata": {"name": "a"}})
    assert (answer.code, answer.body["reason"]) == (500, "InternalError")
    assert "database is locked" in answer.body["message"]
    other.execute("ROLLBACK")
    other.close()
    assert client.post(MAPS, {"metadata": {"name": "a"}}).code == 201


def test_a_changed_crd_file_is_served_after_a_restart(start, client_of, tmp_path):
    crds = tmp_path / "crds"
    crds.mkdir()
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {
        "group": "x.test",
        "scope": "Cluster",
        "names": {"kind": "Thing", "plural": "things"},
        "versions": [version],
    }
    document = {"kind": "CustomResourceDefinition", "metadata": {"name": "things.x.test"}, "spec": spec}
    (crds / "things.yaml").write_text(yaml.safe_dump(document))
    first = start(crds=crds)
    thing = {"metadata": {"name": "t"}, "spec": {"a": "1", "b": "2"}}
    assert client_of(tmp_path / "api").post("/apis/x.test/v1/things", thing).body["spec"] == {"a": "1"}
    first.stop()
    schema["properties"]["spec"]["properties"]["b"] = {"type": "string", "default": "d"}
    (crds / "things.yaml").write_text(yaml.safe_dump(document))
    start(crds=crds)
    client = client_of(tmp_path / "api")
    assert client.merge("/apis/x.test/v1/things/t", {"spec": {"a": "2"}}).body["spec"] == {"a": "2", "b": "d"}
    gone = client.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.x.test")
    assert gone.code == 200 and client.get("/apis/x.test/v1/things").code == 404


def test_reviews_know_the_token_and_its_owner(start, client_of, tmp_path):
    start()
    client = client_of(tmp_path / "api")
    reviews = "/apis/authentication.k8s.io/v1/tokenreviews"
    token = client.session.headers["Authorization"][7:]
    good = client.post(reviews, {"spec": {"token": token}}).body["status"]
    assert good["authenticated"] and good["user"]["username"] == "standalone:admin"
    assert not client.post(reviews, {"spec": {"token": "other"}}).body["status"]["authenticated"]
    access = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    for user, allowed in (("standalone:admin", True), ("someone", False)):
        status = client.post(
            access, {"spec": {"user": user, "nonResourceAttributes": {"path": "/metrics"}}}
        ).body
        assert status["status"]["allowed"] is allowed


def test_old_events_are_swept_away_on_a_start(start, client_of, tmp_path):
    first = start()
    path = "/api/v1/namespaces/default/events"
    old = {"metadata": {"name": "old"}, "lastTimestamp": "2020-01-01T00:00:00Z", "involvedObject": {}}
    client = client_of(tmp_path / "api")
    client.post(path, old)
    client.post(path, {"metadata": {"name": "new"}, "involvedObject": {}})
    first.stop()
    start()
    client = client_of(tmp_path / "api")
    deadline = time.monotonic() + 10
    while len(left := client.get(path).body["items"]) > 1:
        assert time.monotonic() < deadline
    assert [one["metadata"]["name"] for one in left] == ["new"]


def test_a_stop_does_not_wait_for_open_watches(start, client_of, tmp_path):
    api = start()
    client = client_of(tmp_path / "api")
    events = client.watch(MAPS, timeoutSeconds=60)
    client_of(tmp_path / "api").post(MAPS, {"metadata": {"name": "a"}})
    next(events)
    began = time.monotonic()
    api.stop()
    assert time.monotonic() - began < 5
    events.close()
    client.session.close()
