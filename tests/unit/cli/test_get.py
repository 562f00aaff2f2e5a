"""`get` against an API server: what is asked, how it is shown, and what is said when there is nothing."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

GROUP = "example.org"
DEFINITION = {
    "metadata": {"name": "boats.example.org"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Boat", "plural": "boats", "singular": "boat", "shortNames": ["bo"]},
        "versions": [
            {
                "name": "v1",
                "storage": True,
                "additionalPrinterColumns": [
                    {"name": "Harbour", "type": "string", "jsonPath": ".spec.harbour"}
                ],
            }
        ],
    },
}


def boat(name, namespace, status="True"):
    reason = "Afloat" if status == "True" else "Leaking"
    ready = {"type": "Ready", "status": status, "reason": reason, "message": f"{name} is {reason.lower()}"}
    return {
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"harbour": "Bergen"},
        "status": {"conditions": [{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    }


BOATS = [boat("anna", "default"), boat("bella", "default", "False"), boat("clara", "north")]


def listed(items):
    return {"metadata": {"resourceVersion": "1"}, "items": items}


def resources(kind, plural, *, namespaced):
    return {"resources": [{"name": plural, "kind": kind, "namespaced": namespaced}]}


ANSWERS = {
    "/apis/apiextensions.k8s.io/v1": resources(
        "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
    ),
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": listed([DEFINITION]),
    f"/apis/{GROUP}/v1/boats": listed(BOATS),
    f"/apis/{GROUP}/v1/namespaces/default/boats": listed(BOATS[:2]),
    f"/apis/{GROUP}/v1/namespaces/empty/boats": listed([]),
    f"/apis/{GROUP}/v1/namespaces/default/boats/bella": BOATS[1],
}


@pytest.fixture
def answers():
    return dict(ANSWERS)


@pytest.fixture
def kubeconfig(answers, tmp_path):
    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers.get(self.path.partition("?")[0])
            gone = {"kind": "Status", "code": 404, "reason": "NotFound", "message": f"{self.path} not found"}
            body = json.dumps(answer or gone).encode()
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield written(tmp_path / "kubeconfig", server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


def written(path, port):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "test", "user": {"token": "x"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


@pytest.fixture
def get(command, kubeconfig):
    return lambda *arguments: command("get", *arguments, "--kubeconfig", kubeconfig)


@pytest.mark.parametrize("word", ["boats", "Boat", "boat", "bo"])
def test_a_kind_is_found_by_any_of_its_names(get, word):
    shown = get(word)
    assert shown.returncode == 0, shown.stderr
    header, first, second = shown.stdout.splitlines()
    assert header.split() == ["NAME", "HARBOUR", "READY", "REASON", "AGE"]
    assert first.split()[:4] == ["anna", "Bergen", "True", "Afloat"]
    assert second.split()[:4] == ["bella", "Bergen", "False", "Leaking"]


def test_all_namespaces_come_with_their_names(get):
    header, *rows = get("boats", "-A").stdout.splitlines()
    assert header.split()[:2] == ["NAMESPACE", "NAME"]
    assert [row.split()[:2] for row in rows] == [
        ["default", "anna"],
        ["default", "bella"],
        ["north", "clara"],
    ]


def test_one_object_is_shown_with_all_its_conditions(get):
    shown = get("boat", "bella").stdout
    assert "CONDITION" in shown
    assert "bella is leaking" in shown


def test_json_is_the_object_itself(get):
    assert json.loads(get("boat", "bella", "-o", "json").stdout) == BOATS[1]


def test_a_list_in_yaml_says_what_each_item_is(get):
    whole = yaml.safe_load(get("boats", "-o", "yaml").stdout)
    assert whole["kind"] == "List"
    assert [(item["kind"], item["apiVersion"]) for item in whole["items"]] == [("Boat", f"{GROUP}/v1")] * 2


def test_an_empty_list_is_no_failure_and_prints_nothing_to_parse(get):
    shown = get("boats", "-n", "empty")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "no boats found\n")


def test_an_unknown_kind_gets_a_suggestion(get):
    shown = get("baots")
    assert shown.returncode == 2
    assert shown.stderr.splitlines() == ["error: no kind is called 'baots'", "  hint: did you mean boats?"]


def test_an_absent_object_is_an_error_that_names_it(get):
    shown = get("boat", "nobody")
    assert shown.returncode == 1
    assert shown.stderr.startswith("error: ")
    assert "nobody" in shown.stderr


def test_without_the_right_to_read_definitions_the_shipped_ones_serve(get, answers):
    del answers["/apis/apiextensions.k8s.io/v1"]
    answers["/apis/talos.alperen.cloud/v1alpha1/namespaces/default/talosmachines"] = listed([])
    shown = get("tm")
    assert (shown.returncode, shown.stderr) == (0, "no talosmachines found\n")


def test_a_server_that_is_away_is_told_with_its_address(command, tmp_path):
    shown = command("get", "boats", "--kubeconfig", written(tmp_path / "gone", 1))
    assert shown.returncode == 1
    assert "127.0.0.1:1" in shown.stderr
    assert "  hint: " in shown.stderr


def test_a_kubeconfig_that_is_not_there_is_named(command, tmp_path):
    shown = command("get", "boats", "--kubeconfig", tmp_path / "none")
    assert shown.returncode == 2
    assert str(tmp_path / "none") in shown.stderr
