"""The HTTP endpoints of one engine: metrics, and the probes of whoever supervises the process.

Neither touches a pass: metrics are text that is there already, a probe asks whether the watches have
listed and the workers' threads live. Neighbours: `engine` starts them, `serve` and `health` answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread

from engine.exposition import Form
from engine.health import probe_handler
from engine.listener import Listener
from engine.measure import Meter
from engine.ports.kube.client import KubeClient
from engine.process_metrics import process_text
from engine.serve import Gate, ServingCertificate, metrics_handler
from engine.settings import Settings
from engine.watch import Cache


def listeners(
    settings: Settings, client: KubeClient, meter: Meter, cache: Cache, threads: Sequence[Thread]
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
        handler = probe_handler(
            health={"workers": lambda: _alive(threads), "watches": cache.liveness},
            ready={"caches": cache.readiness},
        )
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


def _alive(threads: Sequence[Thread]) -> str | None:
    dead = [thread.name for thread in threads if thread.ident is not None and not thread.is_alive()]
    return f"ended: {', '.join(dead)}" if dead else None
