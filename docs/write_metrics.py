"""Writes docs/metrics.md from the rules: every metric with its type, labels, meaning and a query that works.

`python docs/write_metrics.py` prints the text; `make docs` writes it, and tests/contract/test_docs_metrics.py fails
when the file says something else than the rules, or shows a query that asks for what nobody declares.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NamedTuple

from engine.boards.generate import shipped_rules
from engine.boards.known import declared
from engine.ruleset.forms import ListForm, LiteralForm
from engine.ruleset.model_metrics import MetricRule

_HEAD = """# Metrics

Written by `make docs` from the rules; edit the rules, not this file. How to scrape them and what to look at: [Monitoring](monitoring.md). How to add
one: [Add a metric](add-a-metric.md).

The series of an object vanish with it. Counters start at 0 for the values that are known beforehand, so that a rate is there from the first scrape on.
A histogram has the series `_bucket` (with the label `le`), `_sum` and `_count`.
"""

_GROUPS = (
    ("Reconciliation", ("talos_operator_reconciliation_",)),
    ("Resources", ("talos_operator_resource_",)),
    ("Clusters and machines", ("talos_operator_cluster_", "talos_operator_machine_")),
    ("Talos API", ("talos_operator_talos_api_",)),
    ("Backups of etcd", ("talos_operator_etcd_backup_",)),
    ("Certificates", ("talos_operator_certificate_", "talos_operator_metrics_certificate_")),
    ("The operator itself", ("talos_operator_",)),
    ("Under controller-runtime's names", ("controller_runtime_", "workqueue_", "rest_client_", "leader_election_", "certwatcher_")),
    ("Of rules of your own", ("",)),
)  # fmt: skip
"""A metric stands in the first group one of whose prefixes it has."""


class Example(NamedTuple):
    """A query that people ask for; `needs` is the metric without which it is left out."""

    title: str
    needs: str
    text: str
    remark: str = ""


_EXAMPLES = (
    Example(
        "Reconciliation success rate",
        "talos_operator_reconciliation_total",
        """sum by (controller) (rate(talos_operator_reconciliation_total{result="success"}[5m]))
  / sum by (controller) (rate(talos_operator_reconciliation_total[5m]))""",
        """Not `rate(x{result="success"}[5m]) / rate(x[5m])`: a division pairs series whose labels are all alike, `result` too, so success would be divided
by success. That is 1 whatever happens, and nothing at all for a controller that only fails. `requeue` (the pass waits for something) and `not_found`
(the object is gone) are part of the whole here; the recording rule `controller:talos_operator_reconciliation_success:ratio_rate5m` leaves them out.""",
    ),
    Example(
        "95th percentile reconciliation duration",
        "talos_operator_reconciliation_duration_seconds",
        """histogram_quantile(0.95,
  sum by(controller, le) (
    rate(talos_operator_reconciliation_duration_seconds_bucket[5m])
  )
)""",
    ),
    Example(
        "Total number of ready clusters",
        "talos_operator_cluster_health",
        "sum(talos_operator_cluster_health == 1)",
        "Nothing is answered when none is healthy; `sum(talos_operator_cluster_health)` answers 0 then.",
    ),
    Example(
        "Etcd backup failure rate",
        "talos_operator_etcd_backup_total",
        'rate(talos_operator_etcd_backup_total{status="failed"}[5m])',
    ),
    Example(
        "Talos API call latency",
        "talos_operator_talos_api_call_duration_seconds",
        """histogram_quantile(0.95,
  sum by(operation, le) (
    rate(talos_operator_talos_api_call_duration_seconds_bucket[5m])
  )
)""",
    ),
    Example(
        "Machines that are not ready, by namespace",
        "talos_operator_resource_status",
        'count by (namespace) (talos_operator_resource_status{resource_type="talosmachine"} == 0)',
    ),
)


def metrics_page() -> str:
    """The whole page."""
    metrics = declared(shipped_rules())
    lines = [_HEAD]
    for title, names in _grouped(metrics).items():
        head = ["| Metric | Type | Labels | Meaning | For example |", "|---|---|---|---|---|"]
        lines += [f"## {title}\n", *head, *(_row(metrics[name]) for name in names), ""]
    lines.append("## Queries\n")
    for each in _EXAMPLES:
        if each.needs in metrics:
            lines += [f"**{each.title}:**\n", f"```promql\n{each.text}\n```\n"]
            lines += [each.remark + "\n"] if each.remark else []
    lines.append(_TAIL)
    return "\n".join(lines).rstrip() + "\n"


def _grouped(metrics: Mapping[str, MetricRule]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for title, prefixes in _GROUPS:
        taken = {name for names in found.values() for name in names}
        members = [name for name in metrics if name not in taken and name.startswith(prefixes)]
        if members:
            found[title] = members
    return found


def _row(metric: MetricRule) -> str:
    labels = "<br>".join(_label(metric, label) for label in metric.labels)
    cells = (f"`{metric.name}`", metric.type, labels, metric.help.rstrip("."), f"`{example(metric)}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _label(metric: MetricRule, label: str) -> str:
    form = metric.start.get(label)
    values = (
        [str(item.value) for item in form.items if isinstance(item, LiteralForm)]
        if isinstance(form, ListForm)
        else []
    )
    return f"`{label}`" + (f" ({', '.join(f'`{value}`' for value in values)})" if values else "")


def example(metric: MetricRule) -> str:
    """A query that answers what the metric is for."""
    labels = ", ".join(label for label in metric.labels if metric.type != "gauge")
    if metric.type == "counter":
        return f"sum by ({labels}) (rate({metric.name}[5m]))" if labels else f"sum(rate({metric.name}[5m]))"
    if metric.type == "histogram":
        return f"histogram_quantile(0.95, sum by ({f'{labels}, le' if labels else 'le'}) (rate({metric.name}_bucket[5m])))"
    return metric.name


_TAIL = """## Of the process

`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_open_fds`, `process_max_fds` and
`process_start_time_seconds` mean what they mean for every program; `python_info` and `python_gc_*` take the place of Go's.
"""

if __name__ == "__main__":
    sys.stdout.write(metrics_page())
