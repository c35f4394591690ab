"""
Starts an OpenCode for the current directory and the service in front of it, and keeps both until it is stopped.

OpenCode listens on loopback under a password made for this run, and keeps its own configuration: whatever provider
and model `opencode` uses here, the service uses. It is $OPENCODE_BIN, else the one on PATH, else the pinned one from
npm.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from opencode_install import InstallError, install

START_SECONDS = 60.0
STOP_SECONDS = 30.0
MESSAGE = '{"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "What is in this project?"}]}}'


class UpError(Exception):
    """One of the two cannot be started; the text says why."""


def main() -> int:
    """Start both, say how to call the service, wait for the end of either."""
    parser = argparse.ArgumentParser(prog="ops/run", description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--host", default=os.environ.get("A2A_HOST", "127.0.0.1"), help="address to listen on")
    parser.add_argument("--port", type=int, default=int(os.environ.get("A2A_PORT", "0")), help="default: 8000 if free")
    chosen = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background jobs are born deaf to it
        signal.signal(ending, signal.default_int_handler)
    started: list[subprocess.Popen[bytes]] = []
    try:
        serve(chosen.host, chosen.port or free_port(8000), started)
    except KeyboardInterrupt:
        print("\nStopping ...", flush=True)
        return 0
    except (UpError, InstallError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        for process in reversed(started):  # the service first: its turns are told of an end, not of a lost OpenCode
            stop(process)
    return 1


def serve(host: str, port: int, started: list[subprocess.Popen[bytes]]) -> None:
    """Start both and wait; returns when one of them ends."""
    password, token = secrets.token_urlsafe(24), os.environ.get("A2A_BEARER_TOKEN") or secrets.token_urlsafe(24)
    opencode_port = free_port(4096)
    opencode = find_opencode()
    print(f"Starting {opencode} in {Path.cwd()} ...", flush=True)
    command = [opencode, "serve", "--hostname", "127.0.0.1", "--port", str(opencode_port)]
    started.append(start(command, {"OPENCODE_SERVER_PASSWORD": password}, quiet=True))
    health = f"http://127.0.0.1:{opencode_port}/global/health"
    wait_until_up(started[0], health, "OpenCode", basic=f"opencode:{password}")

    environment = {
        "A2A_HOST": host,
        "A2A_PORT": str(port),
        "A2A_BEARER_TOKEN": token,
        "OPENCODE_BASE_URL": f"http://127.0.0.1:{opencode_port}",
        "OPENCODE_AUTH_USERNAME": "opencode",
        "OPENCODE_AUTH_PASSWORD": password,
        "OPENCODE_DIRECTORY": str(Path.cwd()),
    }
    server = Path(sys.executable).with_name("opencode-a2a-server")
    started.append(start([str(server), "serve"], environment))
    reach = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    url = f"http://{reach}:{port}"
    wait_until_up(started[1], f"{url}/.well-known/agent-card.json", "the service")
    announce(url, token)
    while all(process.poll() is None for process in started):
        time.sleep(0.5)
    raise UpError("OpenCode ended" if started[0].poll() is not None else "the service ended")


def announce(url: str, token: str) -> None:
    """Say how to call the service."""
    print(
        f"""
Address  {url}
Token    {token}
Card     {url}/.well-known/agent-card.json

Try it:

  curl -N {url}/message:stream \\
    -H 'Authorization: Bearer {token}' -H 'A2A-Version: 1.0' -H 'Content-Type: application/json' \\
    -d '{MESSAGE}'

Stop with Ctrl-C.""",
        flush=True,
    )


def find_opencode() -> str:
    """Give the user's own OpenCode if there is a usable one, else the pinned one."""
    named = os.environ.get("OPENCODE_BIN") or shutil.which("opencode")
    if named is None:
        print("No opencode on PATH; getting the pinned one from npm ...", flush=True)
        return str(install())
    done = subprocess.run([named, "--version"], capture_output=True, text=True, timeout=START_SECONDS, check=False)
    version = done.stdout.strip()
    if not version.startswith("1."):
        raise UpError(f"{named} is version {version or 'unknown'}; OpenCode 1.x is needed (OPENCODE_BIN names another)")
    return named


def start(command: list[str], settings: dict[str, str], *, quiet: bool = False) -> subprocess.Popen[bytes]:
    """
    Start a process in a group of its own, so that Ctrl-C reaches us alone and the order of the end is ours.

    OpenCode, the quiet one, gets none of the service's variables: its shell tool shows its environment to the agent.
    """
    output = subprocess.DEVNULL if quiet else None
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("A2A_") or not quiet}
    return subprocess.Popen(
        command, env=inherited | settings, stdin=subprocess.DEVNULL, stdout=output, start_new_session=True
    )


def wait_until_up(process: subprocess.Popen[bytes], url: str, name: str, basic: str | None = None) -> None:
    """Wait until the process answers with JSON."""
    request = urllib.request.Request(url)
    if basic is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(basic.encode()).decode())
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise UpError(f"{name} ended at once (exit status {process.returncode}); see its message above")
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError, json.JSONDecodeError):
            with urllib.request.urlopen(request, timeout=5) as answer:
                json.load(answer)
            return
        time.sleep(0.1)
    raise UpError(f"{name} did not answer within {START_SECONDS:g} seconds at {url}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process by its pid: asked first, killed if it does not listen."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port(wanted: int) -> int:
    """Give the port if nobody listens there, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise UpError("no port is free")


if __name__ == "__main__":
    sys.exit(main())
