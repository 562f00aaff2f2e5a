"""What the server of `nursery` imports once for all that it forks: the programs, with all that they load late."""

import engine.app
import engine.cli
import engine.cli.run
import engine.cli.simulate
import engine.ports.stores.s3
import engine.simulator.process
import engine.standalone.__main__

__all__ = ["engine"]
