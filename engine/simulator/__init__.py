"""Talos machines on loopback that speak the real protocol: a product for people and for tests.

`run(SimulatorSettings(machines=5))` simulates until it is told to stop. Real gRPC, real mTLS with
Ed25519, maintenance mode, roles, services, etcd membership, disks that survive a kill. Imports
only `base`, `protocol` and `machineconfig` of the engine, and nothing but the command line imports it.
"""

from __future__ import annotations

from engine.simulator.settings import SimulatorSettings

__all__ = ["SimulatorSettings", "run"]


def run(settings: SimulatorSettings) -> None:
    """Simulate `settings.machines` machines until SIGTERM or SIGINT; see `process.run`."""
    # grpc and cryptography load only when a simulator really runs.
    from engine.simulator import process

    process.run(settings)
