"""What is measured: the mock by itself, a bare proxy before it, Lingate before it; each a process on loopback."""

import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass

from scenarios import BODY, EVENTS, Scenario

START_SECONDS = 15


class Failed(Exception):
    """Something did not start or broke while it was being measured."""


class Process:
    """A program that listens on loopback; ends with the `with` block."""

    def __init__(self, command: list[str], port: int, log: pathlib.Path):
        self.command, self.port, self.log = command, port, log

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                raise Failed(f"{self.command[0]} ended at once:\n{self.log.read_text()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return self
            except OSError:
                time.sleep(0.02)
        self.__exit__()
        raise Failed(f"{self.command[0]} does not listen on port {self.port}:\n{self.log.read_text()[-2000:]}")

    def __exit__(self, *_):
        self.popen.terminate()
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    @property
    def pid(self) -> int:
        return self.popen.pid

    def rss_mb(self) -> float:
        pages = int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Mock(Process):
    """The upstream that every gateway stands before."""

    def __init__(self, tools: pathlib.Path, port: int, log: pathlib.Path):
        command = [str(tools / "mock-upstream"), "--listen", f"127.0.0.1:{port}", "--body", str(BODY), "--events", str(EVENTS)]
        super().__init__(command, port, log)

    def ask(self, path: str) -> dict:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/mock/{path}", timeout=5) as answer:
            return json.loads(answer.read())


def bare_proxy(tools: pathlib.Path, port: int, upstream: int, log: pathlib.Path) -> Process:
    command = [str(tools / "hyper-proxy"), "--listen", f"127.0.0.1:{port}", "--upstream", f"127.0.0.1:{upstream}"]
    return Process(command, port, log)


def redis_server(port: int, log: pathlib.Path) -> Process:
    """Counters that replicas would share, with nothing on the disk."""
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(log.parent)]
    return Process(command, port, log)


# `########` is a number: the load generator takes turns among as many callers as it is told of.
KEY = "sk-lg-" + "0" * 41 + "########"
USER = "user-########"

# Callers whose limits are never reached, of each kind that costs something: what is counted, what is reserved and settled, what
# is held, what is money.
NO_LIMITS = "auth: open\n"


def limits(keys: int = 1, projects: int = 1, redis: int | None = None, end_users: bool = False) -> str:
    """What the file says of callers: keys with three limits each, projects and an organization with a budget."""
    each = ", {requests: 1000000, per: minute, each: end_user}" if end_users else ""
    lines = [
        "auth: keys",
        f"counters: redis://127.0.0.1:{redis}/0" if redis else "counters: memory",
        "prices: [{model: mock, input: 2.5, output: 10}]",
        "organizations:",
        "  acme:",
        "    limits: [{cost: 1000000, per: month, thresholds: [50, 80, 100]}]",
        "    projects:",
        *(f"      p{number}: {{}}" for number in range(projects)),
        "api_keys:",
    ]
    for number in range(keys):
        key = KEY.replace("########", f"{number:08}")
        lines.append(
            f"  - {{name: k{number}, key: {key}, project: acme/p{number % projects}, limits: [{{requests: 100000000, per: minute}}, "
            f"{{tokens: 100000000000, per: minute}}, {{concurrency: 100000}}{each}]}}"
        )
    return "\n".join(lines) + "\n"


def lingate(binary: pathlib.Path, folder: pathlib.Path, port: int, upstream: int, callers: str) -> Process:
    """Lingate with one provider per dialect, all of them the mock. Records of all requests go into SQLite, by way of the journal."""
    root = f"http://127.0.0.1:{upstream}"
    folder.mkdir()
    config = folder / "lingate.yml"
    config.write_text(
        f"""\
listen: 127.0.0.1:{port}
data: {folder}/data
database: sqlite
providers:
  up-chat: {{base_url: "{root}/v1", dialects: [chat], keys: [k]}}
  up-messages: {{base_url: "{root}/v1", dialects: [messages], keys: [k]}}
  up-gemini: {{base_url: "{root}/v1beta", dialects: [gemini], keys: [k]}}
{callers}"""
    )
    return Process([str(binary), "serve", "--config", str(config)], port, folder / "lingate.log")


@dataclass(frozen=True)
class Gateway:
    name: str
    process: Process
    measured: bool  # whether the process's CPU time and memory are of interest
    converts: bool = False  # else it is asked in the client's dialect and hands the mock's answer through
    callers: int = 1  # that take turns
    users: bool = False  # they are users of one key
    compared: bool = False  # only measured where the ledger's parts are told apart

    def run(self, tools: pathlib.Path, mock: Mock, scenario: Scenario, seconds: float, pace_us: int) -> dict:
        """One scenario, as the load generator's report with what the mock noticed."""
        mock.ask(f"pace?us={pace_us}")
        mock.ask("reset")
        model = f"up-{scenario.upstream}/mock" if self.converts else "mock"
        command = [str(tools / "loadgen"), "--address", f"127.0.0.1:{self.process.port}", "--model", model]
        command += scenario.loadgen_options(seconds)
        if self.converts:
            key = KEY.replace("########", "00000000") if self.users else KEY
            command += ["--key", key, "--turns", str(self.callers)]
        if self.users:
            command += ["--user", USER]
        if self.measured:
            command += ["--pid", str(self.process.pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
        if done.returncode != 0:
            raise Failed(f"{self.name}, {scenario.name}: {done.stderr[-2000:]}")
        return json.loads(done.stdout) | {"upstream": mock.ask("report")}
