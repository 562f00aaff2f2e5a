"""Compiles schemas/talos/*.proto into the one file that the program reads: descriptors.binpb.

A tool for whoever changes a .proto file (`python -m engine.protocol.compile`), and for the test that tells a
stale file; it needs grpcio-tools, which the running program does not. Never imported by the engine.
Neighbour: `pool` reads what it writes.
"""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path

from engine.base.assets import asset
from engine.base.errors import EngineError


def sources(folder: Path) -> list[str]:
    """The .proto files of `folder`, as paths relative to it, in a fixed order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.proto"))


def compiled(folder: Path) -> bytes:
    """A FileDescriptorSet of every .proto file of `folder` and of what they import, serialized.

    Raises EngineError when a file does not compile; protoc has then said on stderr where.
    """
    from grpc_tools import protoc

    well_known = str(files("grpc_tools") / "_proto")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "descriptors.binpb")
        arguments = [
            "protoc",
            f"-I{folder}",
            f"-I{well_known}",
            "--include_imports",
            f"-o{out}",
            *sources(folder),
        ]
        if protoc.main(arguments) != 0:
            raise EngineError(f"a .proto file in {folder} does not compile; protoc said why above")
        return out.read_bytes()


def main() -> None:
    """Write schemas/talos/descriptors.binpb anew."""
    folder = asset("schemas", "talos")
    content = compiled(folder)
    Path(folder, "descriptors.binpb").write_bytes(content)
    print(f"{len(sources(folder))} files, {len(content)} bytes")


if __name__ == "__main__":
    main()
