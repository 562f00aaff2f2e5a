"""The capabilities of stores: credentials from Secrets, handles that show nothing, and what is stored of a Secret."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import pyrage
import pytest
import yaml
from s3_server import ACCESS, BUCKET, OWN, REGION, SECRET

from engine.base.errors import CapabilityError, Missing, Refused
from engine.base.values import Opaque
from engine.capabilities.registry import all_capabilities
from engine.machineconfig import sealing
from engine.ports.talos.client import TalosClient

KEY = "talos-operator-etcd-backups/cp/state-2026-11-28T10-00-00Z.yaml"
PASSPHRASE = "a long passphrase of which nobody knows"
IDENTITY = pyrage.x25519.Identity.generate()


def secret(name, **data):
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": "1",
            "resourceVersion": "7",
            "labels": {"a": "b"},
        },
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


class Kube:
    def __init__(self):
        self.secrets = {
            "s3": secret("s3", id=ACCESS, key=SECRET + "\n", ca=OWN.crt, broken="x"),
            "cp-state": secret("cp-state", bundleConfig="talos keys", secretBundle="more"),
            "words": secret("words", long=PASSPHRASE, short="password"),
        }
        self.secrets["s3"]["data"]["broken"] = "/w=="

    def get(self, key):
        if key.namespace != "default" or key.name not in self.secrets:
            raise Missing("no such object")
        return self.secrets[key.name]


@pytest.fixture
def run():
    """Runs a capability by its name, as the engine does."""
    client = TalosClient()
    client.start()
    kube = Kube()

    def call(name, /, **given):
        ports = SimpleNamespace(talos=client, kube=kube, now=0.0, namespace="default", dry_run=False)
        return client.run(all_capabilities()[name].start(ports, given), timeout_s=60)

    call.kube = kube
    yield call
    client.close()


def s3_storage(bucket, /, **changes):
    wanted = {
        "bucket": BUCKET,
        "region": REGION,
        "endpoint": bucket.between.url if bucket else "https://127.0.0.1:1",
        "accessKeyID": {"name": "s3", "key": "id"},
        "secretAccessKey": {"name": "s3", "key": "key"},
        "certificateAuthority": {"name": "s3", "key": "ca"},
        "insecureSkipTLSVerify": False,
    }
    return {"s3": {**wanted, **changes}}


def opened(run, world, tmp_path):
    if hasattr(world, "between"):
        return run("store.open", storage=s3_storage(world), namespace="default")
    storage = {"directory": {"path": "store"}}
    return run("store.open", storage=storage, namespace="default", root=str(tmp_path))


def test_a_handle_opens_the_store_and_shows_no_credential(run, world, tmp_path):
    handle = opened(run, world, tmp_path)
    assert isinstance(handle, Opaque)
    assert SECRET not in repr(handle)
    assert SECRET not in str(handle)
    assert run("store.stat", store=handle, key=KEY) is None


def test_a_secret_is_stored_as_a_manifest_with_nothing_but_what_a_restore_needs(run, world, tmp_path):
    handle = opened(run, world, tmp_path)
    told = run("store.put.secret", store=handle, key=KEY, namespace="default", name="cp-state")
    found = run("store.stat", store=handle, key=KEY)
    stored = world.objects()[KEY]
    assert yaml.safe_load(stored) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "cp-state", "namespace": "default", "labels": {"a": "b"}},
        "type": "Opaque",
        "data": run.kube.secrets["cp-state"]["data"],
    }
    assert (found["size"], found["sha256"], found["verified"]) == (len(stored), told["sha256"], True)
    run("store.delete", store=handle, key=KEY)
    assert world.objects() == {}
    run("store.delete", store=handle, key=KEY)


@pytest.mark.parametrize(
    ("encryption", "opens"),
    [
        (
            {"recipients": [str(IDENTITY.to_public())]},
            lambda data: pyrage.decrypt(data, [IDENTITY]),
        ),
        (
            {"passphrase": {"name": "words", "key": "long"}},
            lambda data: sealing.open_with(data, PASSPHRASE),
        ),
    ],
)
def test_an_encrypted_secret_is_opened_by_whom_it_is_for(run, world, tmp_path, encryption, opens):
    handle = opened(run, world, tmp_path)
    run(
        "store.put.secret", store=handle, key=KEY, namespace="default", name="cp-state", encryption=encryption
    )
    stored = world.objects()[KEY]
    assert b"bundleConfig" not in stored
    assert yaml.safe_load(opens(stored))["data"] == run.kube.secrets["cp-state"]["data"]


@pytest.mark.parametrize(
    "encryption",
    [
        {"recipients": []},
        {"recipients": ["age1nonsense"]},
        {"recipients": None, "passphrase": None},
        {"recipients": [str(IDENTITY.to_public())], "passphrase": {"name": "words", "key": "long"}},
        {"passphrase": {"name": "words", "key": "short"}},
        {"passphrase": {"name": "words", "key": "none"}},
        {"passphrase": {"name": "words", "key": "none", "optional": True}},
        {"passphrase": {"name": "nobody", "key": "long"}},
    ],
)
def test_what_cannot_be_encrypted_is_not_stored_in_the_clear(run, world, tmp_path, encryption):
    handle = opened(run, world, tmp_path)
    with pytest.raises((CapabilityError, Missing)) as caught:
        run(
            "store.put.secret",
            store=handle,
            key=KEY,
            namespace="default",
            name="cp-state",
            encryption=encryption,
        )
    assert "password" not in str(caught.value)
    assert world.objects() == {}


def test_a_secret_that_is_gone_is_told(run, tmp_path):
    handle = run("store.open", storage={"directory": {"path": ""}}, namespace="default", root=str(tmp_path))
    with pytest.raises(Missing, match="no Secret nobody in namespace default"):
        run("store.put.secret", store=handle, key=KEY, namespace="default", name="nobody")


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"accessKeyID": {"name": "none", "key": "id"}}, "SecretNotFound", "s3.accessKeyID: there is no Secret none"),
        ({"secretAccessKey": {"name": "s3", "key": "no"}}, "SecretKeyMissing", "has no key no; it holds broken, ca, id, key"),
        ({"secretAccessKey": {"name": "", "key": "no"}}, "InvalidStorage", "s3.secretAccessKey: names no Secret"),
        ({"secretAccessKey": {"name": "s3", "key": "broken"}}, "InvalidStorage", "holds no text"),
        ({"secretAccessKey": None}, "InvalidStorage", "s3.secretAccessKey"),
        ({"bucket": ""}, "InvalidStorage", "s3.bucket"),
        ({"region": "eu west"}, "InvalidStorage", "s3.region"),
        ({"endpoint": "ftp://host"}, "InvalidStorage", "s3.endpoint"),
        ({"endpoint": "https://host:99999"}, "InvalidStorage", "s3.endpoint"),
        ({"endpoint": "https://user:hunter2@host"}, "InvalidStorage", "s3.endpoint"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_store_is_told_by_field_and_without_secrets(run, changes, code, words):
    with pytest.raises((CapabilityError, Missing)) as caught:
        run("store.open", storage=s3_storage(None, **changes), namespace="default")
    assert caught.value.code == code
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_credentials_come_from_the_namespace_of_the_resource_alone(run):
    with pytest.raises(Missing, match="in namespace other"):
        run("store.open", storage=s3_storage(None), namespace="other")


def test_an_authority_that_may_be_absent_may_be_absent(run):
    for name in ("none", "s3"):
        selector = {"name": name, "key": "none", "optional": True}
        handle = run(
            "store.open", storage=s3_storage(None, certificateAuthority=selector), namespace="default"
        )
        assert json.loads(handle.reveal())["s3"]["authority"] == ""


def test_an_endpoint_without_a_scheme_is_https(run):
    handle = run("store.open", storage=s3_storage(None, endpoint="127.0.0.1:9000/"), namespace="default")
    assert json.loads(handle.reveal())["s3"]["endpoint"] == "https://127.0.0.1:9000"


@pytest.mark.parametrize("storage", [{}, {"s3": None}, {"directory": {"path": "a"}, **s3_storage(None)}])
def test_exactly_one_store_is_asked_for(run, storage, tmp_path):
    with pytest.raises(CapabilityError) as caught:
        run("store.open", storage=storage, namespace="default", root=str(tmp_path))
    assert caught.value.code == "InvalidStorage"


def test_no_directory_is_used_that_the_operator_does_not_give(run, tmp_path):
    for root in (None, ""):
        with pytest.raises(CapabilityError, match="--backup-directory"):
            run("store.open", storage={"directory": {"path": "a"}}, namespace="default", root=root)
    for path in ("/etc", "../x", "a/../../x"):
        with pytest.raises(Refused):
            run("store.open", storage={"directory": {"path": path}}, namespace="default", root=str(tmp_path))


def test_with_simulated_machines_no_store_but_a_local_one_is_dialled():
    client = TalosClient(loopback_only=True)
    client.start()
    try:
        ports = SimpleNamespace(talos=client, kube=Kube())
        start = all_capabilities()["store.open"].start
        for endpoint in ("https://192.0.2.1", "", "https://store.example"):
            given = {"storage": s3_storage(None, endpoint=endpoint), "namespace": "default"}
            with pytest.raises(CapabilityError) as caught:
                client.run(start(ports, given), timeout_s=20)
            assert caught.value.code == "LoopbackOnly"
        client.run(start(ports, {"storage": s3_storage(None), "namespace": "default"}), timeout_s=20)
    finally:
        client.close()
