"""`python -m tests.observability.pictures`: draws docs/pictures/*.svg from a bring-up on simulated machines.

Starts the engine, its machines and a Prometheus on loopback, takes one machine's power away and gives it back, and
draws what the dashboards' queries answer. Ends what it started. `make pictures` calls it.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.contract.sources import ROOT
from tests.observability.draw import Line, picture
from tests.observability.prometheus import HONORED, SCHEDULE, Prometheus, scraping
from tests.sim.cluster import Cluster, quickstart
from tests.sim.shipped import free_port, shipped, until

BOARDS = {
    "overview": "grafana/overview.json",
    "controller-runtime": "grafana/controller-runtime-metrics.json",
    "controller-resources": "grafana/controller-resources-metrics.json",
}
HEALTH = 'talos_operator_cluster_health{{job="{job}"}} == {value}'
CALM_S = 20.0


def main() -> None:
    """Bring up, disturb, draw."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, port = Path(scratch), free_port()
        with shipped(folder / "run") as run:
            (folder / "backups").mkdir()
            backups = ("--backup-directory", str(folder / "backups"))
            run.start("--simulate", "5", "--metrics-bind-address", f"127.0.0.1:{port}", *backups)
            until("the machines are there", (folder / "run" / "machines" / "ready.json").exists)
            with scraping(folder / "prometheus", port) as prometheus:
                began = time.time()
                cluster = Cluster(run, port)
                cluster.apply(quickstart())
                cluster.apply(SCHEDULE)
                _disturbed(cluster, prometheus)
                draw(prometheus, (began, time.time()))


def _disturbed(cluster: Cluster, prometheus: Prometheus) -> None:
    def health(value: int) -> Any:
        return prometheus.query(HEALTH.format(job=HONORED, value=value))

    cluster.ready(deadline_s=180)
    time.sleep(CALM_S)
    cluster.run.control(op="power-off", machine="127.0.1.2")
    until("the loss is seen", lambda: health(0), deadline_s=180)
    time.sleep(CALM_S)
    cluster.run.control(op="power-on", machine="127.0.1.2")
    until("all is well again", lambda: health(1), deadline_s=180)
    time.sleep(CALM_S)


def draw(prometheus: Prometheus, span: tuple[float, float]) -> None:
    """Write a picture of each dashboard."""
    folder = ROOT / "docs" / "pictures"
    folder.mkdir(exist_ok=True)
    for name, path in BOARDS.items():
        board = json.loads((ROOT / path).read_text("utf-8"))
        answers = {
            panel["id"]: [line for target in panel["targets"] for line in asked(prometheus, target, span)]
            for panel in board["panels"]
            if panel["type"] != "row"
        }
        (folder / f"{name}.svg").write_text(picture(board, answers, span), "utf-8")
        print(f"docs/pictures/{name}.svg: {sum(map(len, answers.values()))} series")


def asked(prometheus: Prometheus, target: Any, span: tuple[float, float]) -> list[Line]:
    """The series of one query over the time, or of its end where the panel shows a moment."""
    expr = target["expr"].replace("$__rate_interval", "20s").replace("$job", HONORED)
    expr = re.sub(r"\$(instance|cluster|namespace|pod)\b", ".*", expr)
    if target["instant"]:
        found = prometheus.ask("query", query=expr, time=str(span[1]))["result"]
        series = [(each["metric"], [each["value"]]) for each in found]
    else:
        more = {
            "start": str(span[0]),
            "end": str(span[1]),
            "step": f"{max(1.0, (span[1] - span[0]) / 150):.0f}",
        }
        found = prometheus.ask("query_range", query=expr, **more)["result"]
        series = [(each["metric"], each["values"]) for each in found]
    return [
        Line(
            _named(target["legendFormat"], metric),
            metric,
            [(float(at), float(value)) for at, value in points if value != "NaN"],
        )
        for metric, points in series
    ]


def _named(legend: str, metric: dict[str, str]) -> str:
    if legend == "__auto":
        return ""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: metric.get(found[1], ""), legend).strip()


if __name__ == "__main__":
    main()
