"""The HTTP endpoints of one engine: metrics, and the probes of whoever supervises the process.

Neither touches a pass: metrics are text that is there already, a probe asks the checks it is given. Neighbours: `engine` starts them, `serve` and `health` answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.exposition import Form
from engine.health import Check, probe_handler
from engine.listener import Listener
from engine.measure import Meter
from engine.ports.kube.client import KubeClient
from engine.process_metrics import process_text
from engine.serve import Gate, ServingCertificate, metrics_handler
from engine.settings import Settings


def listeners(
    settings: Settings,
    client: KubeClient,
    meter: Meter,
    *,
    health: Mapping[str, Check],
    ready: Mapping[str, Check],
    notes: Mapping[str, Check],
) -> list[Listener]:
    """The servers that the settings ask for, bound but not started.

    Raises SettingsError, naming the flag, when an address cannot be had.
    """
    found = []
    if settings.metrics_bind_address is not None:
        process = process_text()
        found.append(
            _metrics(settings, client, meter, lambda form: meter.series.render(form) + process(form))
        )
    if settings.health_probe_bind_address is not None:
        handler = probe_handler(health=health, ready=ready, notes=notes)
        found.append(Listener(settings.health_probe_bind_address, "--health-probe-bind-address", handler))
    return found


def _metrics(
    settings: Settings, client: KubeClient, meter: Meter, render: Callable[[Form], bytes]
) -> Listener:
    assert settings.metrics_bind_address is not None
    if not settings.metrics_secure:
        return Listener(settings.metrics_bind_address, "--metrics-bind-address", metrics_handler(render))
    certificate = ServingCertificate(
        settings.metrics_cert_dir,
        client_ca=settings.metrics_client_ca_file,
        on_read=meter.read_certificate,
    )
    meter.ask("certificateExpires", certificate.expires)
    handler = metrics_handler(render, Gate(client))
    return Listener(
        settings.metrics_bind_address, "--metrics-bind-address", handler, context=certificate.context
    )
