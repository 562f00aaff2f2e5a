"""kill -9 in the middle of writes: every acknowledged write is there afterwards, in order."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import threading

import requests


def serve(directory):
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.standalone", str(directory)], stdout=subprocess.PIPE, text=True
    )
    assert "serving" in process.stdout.readline()
    return process


def write_until_killed(client, round_number, acknowledged):
    path = "/api/v1/namespaces/default/configmaps"
    number = 0
    try:
        while True:
            name = f"c{round_number}-{number % 20}"
            body = {"metadata": {"name": name}, "data": {"n": str(number)}}
            if number < 20:
                answer = client.post(path, body)
            else:
                answer = client.merge(f"{path}/{name}", {"data": {"n": str(number)}})
            assert answer.code in (200, 201), answer.body
            acknowledged[name] = (number, int(answer.body["metadata"]["resourceVersion"]))
            number += 1
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return


def test_every_acknowledged_write_survives_kill_9(tmp_path, client_of):
    chance = random.Random(20261125)
    acknowledged: dict[str, tuple[int, int]] = {}
    ports = set()
    for round_number in range(6):
        process = serve(tmp_path)
        client = client_of(tmp_path)
        ports.add(re.search(r":(\d+)$", client.base)[1])
        killer = threading.Timer(chance.uniform(0.05, 0.4), process.send_signal, [signal.SIGKILL])
        killer.start()
        write_until_killed(client, round_number, acknowledged)
        process.wait(10)
        process.stdout.close()
    process = serve(tmp_path)
    try:
        listed = client_of(tmp_path).get("/api/v1/namespaces/default/configmaps").body
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        process.stdout.close()
    found = {
        one["metadata"]["name"]: (int(one["data"]["n"]), int(one["metadata"]["resourceVersion"]))
        for one in listed["items"]
    }
    assert acknowledged
    for name, (number, version) in acknowledged.items():
        # A write may have been stored without its answer getting out: later is right, earlier never.
        assert found[name] >= (number, version), name
    newest = max(version for _, version in found.values())
    assert int(listed["metadata"]["resourceVersion"]) >= newest
    assert len(ports) == 1, "a restart keeps the port"
