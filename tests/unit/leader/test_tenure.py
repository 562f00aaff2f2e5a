"""A tenure over real sockets: outside of it nothing is changed, on nodes or at the API server; what is read is read."""

from __future__ import annotations

import threading
import time

import pytest

from engine.base.errors import LeadershipLost
from engine.base.kinds import Key, Kind
from engine.base.tenure import Tenure, boot_time
from engine.ports.kube.client import KubeClient
from engine.ports.kube.events import EventRecord
from engine.standalone import StandaloneApi
from tests.conftest import ROOT
from tests.unit.spine.world import CONFIG_MAP

CRDS = ROOT / "schemas" / "crds"


@pytest.fixture
def api(tmp_path):
    made = StandaloneApi(tmp_path, CRDS)
    made.start()
    yield made
    made.stop()


def key(name):

    return Key(CONFIG_MAP, "default", name)


def test_a_tenure_begins_when_it_is_extended_and_ends_for_good():
    now = [100.0]
    tenure = Tenure(lambda: now[0])
    with pytest.raises(LeadershipLost) as failed:
        tenure.check("x")
    assert failed.value.sent == "no"
    tenure.extend(begin_by=110, end_by=114)
    now[0] = 109
    assert tenure.check("x") == 5
    now[0] = 110
    with pytest.raises(LeadershipLost, match="not renewed in time"):
        tenure.check("x")
    tenure.extend(begin_by=120, end_by=124)
    tenure.end()
    tenure.extend(begin_by=130, end_by=134)
    with pytest.raises(LeadershipLost, match="whoever leads now"):
        tenure.check("x")


def test_nothing_is_handed_over_while_an_effect_is_under_way():
    tenure = Tenure.unlimited()
    done = threading.Event()

    def act():
        with tenure.effect("x"):
            done.wait(5)

    thread = threading.Thread(target=act)
    thread.start()
    while tenure.wait_idle(0):
        time.sleep(0.001)
    assert not tenure.wait_idle(0.05)
    done.set()
    assert tenure.wait_idle(5)
    thread.join()


def test_outside_of_its_tenure_a_client_reads_and_tells_and_writes_nothing(api):
    tenure = Tenure()
    client = KubeClient.connect(api.kubeconfig, tenure=tenure)
    user = KubeClient.connect(api.kubeconfig)
    made = user.create(CONFIG_MAP, "default", {"metadata": {"name": "a"}, "data": {"x": "1"}})
    attempts = [
        lambda: client.create(CONFIG_MAP, "default", {"metadata": {"name": "b"}}),
        lambda: client.apply(key("a"), {"data": {"x": "2"}}),
        lambda: client.replace(key("a"), {**made, "data": {}}),
        lambda: client.patch(key("a"), {"data": {"x": "3"}}),
        lambda: client.patch_status(key("a"), {"status": {}}),
        lambda: client.delete(key("a")),
    ]
    for attempt in attempts:
        with pytest.raises(LeadershipLost):
            attempt()
    client.emit(EventRecord(made, "Normal", "Told", "it is over"))
    assert client.get(key("a")) == made
    tenure.extend(begin_by=boot_time() + 60, end_by=boot_time() + 60)
    assert client.patch(key("a"), {"data": {"x": "4"}})["data"] == {"x": "4"}
    client.close()

    events = [
        item["reason"]
        for page in user.list_pages(Kind("", "v1", "Event", "events"), "default")
        for item in page.items
    ]
    assert events == ["Told"]
    user.close()
