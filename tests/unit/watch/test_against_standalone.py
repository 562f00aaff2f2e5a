"""Client and cache end to end against the embedded API: real TLS, real discovery, real conflicts."""

from __future__ import annotations

import pytest

from engine.base.errors import AlreadyExists, Conflict, Missing, Refused
from engine.base.kinds import Key
from engine.ports.kube.client import KubeClient
from engine.ports.kube.events import EventRecord
from engine.ports.kube.review import AccessQuestion
from engine.standalone import StandaloneApi
from engine.watch import Cache

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.test}
spec:
  group: example.test
  names: {kind: Thing, listKind: ThingList, plural: things, singular: thing}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer, minimum: 1}, role: {type: string}}}
          status: {type: object, properties: {phase: {type: string}}}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standalone")
    (folder / "crds").mkdir()
    (folder / "crds" / "things.yaml").write_text(CRD)
    api = StandaloneApi(folder, folder / "crds")
    api.start()
    client = KubeClient.connect(api.kubeconfig)
    yield client
    client.close()
    api.stop()


@pytest.fixture(scope="module")
def kind(client):
    return client.kind_named("example.test/v1", "Thing")


def key_of(kind, name):
    return Key(kind, "default", name)


def test_kinds_are_discovered(client, kind):
    assert (kind.plural, kind.namespaced) == ("things", True)
    assert client.kind_named("v1", "Secret").plural == "secrets"
    with pytest.raises(Missing):
        client.kind_named("example.test/v1", "Other")


def test_an_objects_life_from_create_to_delete(client, kind):
    key = key_of(kind, "life")
    body = {"metadata": {"name": "life", "finalizers": ["example.test/keep"]}, "spec": {"size": 1}}
    assert client.create(kind, "default", body, dry_run=True)["metadata"]["name"] == "life"
    with pytest.raises(Missing):
        client.get(key)
    made = client.create(kind, "default", body)
    with pytest.raises(AlreadyExists):
        client.create(kind, "default", body)
    with pytest.raises(Refused, match="size"):
        client.patch(key, {"spec": {"size": 0}})
    client.patch_status(key, {"status": {"phase": "Here"}})
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "spec": {"size": 2}}
    with pytest.raises(Conflict):
        client.patch(key, stale)
    assert client.get(key)["status"] == {"phase": "Here"}
    with pytest.raises(Conflict):
        client.delete(key, uid="another")
    client.delete(key, uid=made["metadata"]["uid"])
    assert client.get(key)["metadata"]["deletionTimestamp"]
    client.patch(key, [{"op": "remove", "path": "/metadata/finalizers"}], type="json")
    with pytest.raises(Missing):
        client.get(key)


def test_what_an_apply_no_longer_says_is_taken_away(client, kind):
    key = key_of(kind, "applied")
    client.apply(key, {"spec": {"size": 3, "role": "x"}})
    client.apply(key, {"spec": {"size": 4}})
    assert client.get(key)["spec"] == {"size": 4}
    client.delete(key)


def test_lists_come_in_pages_at_one_version(client, kind):
    for number in range(5):
        client.apply(key_of(kind, f"p{number}"), {"metadata": {"labels": {"for": "pages"}}})
    pages = list(client.list_pages(kind, "default", limit=2, label_selector="for=pages"))
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert [page.first for page in pages] == [True, False, False]
    assert len({page.resource_version for page in pages}) == 1
    for number in range(5):
        client.delete(key_of(kind, f"p{number}"))


def test_a_cache_follows_it(client, kind, until):
    secret = client.kind_named("v1", "Secret")
    client.apply(key_of(kind, "watched"), {"spec": {"role": "one"}})
    cache = Cache(client, [kind, secret], on_demand=[secret], owners=[kind])
    told = []
    cache.subscribe(lambda changed, old, new: told.append((changed, old, new)))
    cache.start(10)
    try:
        assert [item["metadata"]["name"] for item in cache.list(kind, "default", {"spec.role": "one"})] == [
            "watched"
        ]
        client.apply(key_of(kind, "watched"), {"spec": {"role": "two"}})
        until(lambda: cache.list(kind, "default", {"spec.role": "two"}))
        wanted = Key(secret, "default", "wanted")
        assert cache.get(wanted) is None
        client.create(secret, "default", {"metadata": {"name": "wanted"}, "data": {"a": "Yg=="}})
        client.create(secret, "default", {"metadata": {"name": "unwanted"}, "data": {"a": "Yg=="}})
        until(lambda: cache.get(wanted))
        assert [item["metadata"]["name"] for item in cache.list(secret)] == ["wanted"]
        client.delete(key_of(kind, "watched"))
        until(lambda: cache.get(key_of(kind, "watched")) is None)
        assert [changed.name for changed, _, _ in told].count("Secret") == 1
    finally:
        cache.stop()


def test_events_are_written_and_counted(client, kind, until):
    key = key_of(kind, "eventful")
    made = client.apply(key, {"spec": {}})
    for _ in range(3):
        client.emit(EventRecord(made, "Warning", "Refused", "it said no", "thing-controller"))
    events = client.kind_named("v1", "Event")

    def count():
        found = [item for page in client.list_pages(events, "default") for item in page.items]
        return [item["count"] for item in found if item["involvedObject"]["name"] == "eventful"]

    until(lambda: count() == [3])
    client.delete(key)


def test_a_token_that_nobody_issued_belongs_to_nobody(client):
    assert client.review_token("made-up") is None


def test_the_kubeconfigs_own_user_may_read_metrics(client):
    token = client._transport._access.bearer.token()
    user = client.review_token(token)
    assert client.review_access(user, AccessQuestion("/metrics"))
