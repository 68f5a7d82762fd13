"""A linkd for tests of clients: a data directory of its own and a tiny model.

$LINKD is the program, $MAKE_TINY_MODEL writes a model of 20 kB.
"""

import contextlib
import os
import pathlib
import secrets
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(process, port, token):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/readyz", headers={"Authorization": f"Bearer {token}"})
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"linkd ended with {process.returncode}")
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError("linkd is not ready")


class Daemon:
    """What a test needs to know: directory, socket, port and token."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.socket = self.directory / "s"
        self.port = _free_port()
        self.token = secrets.token_hex(16)


@contextlib.contextmanager
def running():
    # short: a socket's path has 107 bytes at most
    with tempfile.TemporaryDirectory(prefix="linkd-", dir="/tmp") as directory:
        daemon = Daemon(directory)
        models = daemon.directory / "models"
        models.mkdir()
        subprocess.run([os.environ["MAKE_TINY_MODEL"], models / "tiny"], check=True)
        token_file = daemon.directory / "token"
        token_file.touch(mode=0o600)
        token_file.write_text(daemon.token + "\n")
        process = subprocess.Popen(
            [os.environ["LINKD"], "--data", daemon.directory / "data",
             "--socket", daemon.socket, "--model", "tiny",
             "--listen", f"127.0.0.1:{daemon.port}", "--token-file", token_file],
            env={**os.environ, "LINKD_MODELS": str(models)})
        try:
            _wait_until_ready(process, daemon.port, daemon.token)
            yield daemon
        finally:
            process.terminate()
            process.wait(timeout=60)
