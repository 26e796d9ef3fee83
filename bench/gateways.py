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


def lingate(binary: pathlib.Path, folder: pathlib.Path, port: int, upstream: int, log: pathlib.Path) -> Process:
    """Lingate with one provider per dialect, all of them the mock."""
    root = f"http://127.0.0.1:{upstream}"
    config = folder / "lingate.yml"
    config.write_text(
        f"""\
listen: 127.0.0.1:{port}
auth: open
data: {folder}/data
providers:
  up-chat: {{base_url: "{root}/v1", dialects: [chat], keys: [k]}}
  up-messages: {{base_url: "{root}/v1", dialects: [messages], keys: [k]}}
  up-gemini: {{base_url: "{root}/v1beta", dialects: [gemini], keys: [k]}}
"""
    )
    return Process([str(binary), "serve", "--config", str(config)], port, log)


@dataclass(frozen=True)
class Gateway:
    name: str
    process: Process
    measured: bool  # whether the process's CPU time and memory are of interest
    converts: bool = False  # else it is asked in the client's dialect and hands the mock's answer through

    def run(self, tools: pathlib.Path, mock: Mock, scenario: Scenario, seconds: float, pace_us: int) -> dict:
        """One scenario, as the load generator's report with what the mock noticed."""
        mock.ask(f"pace?us={pace_us}")
        mock.ask("reset")
        model = f"up-{scenario.upstream}/mock" if self.converts else "mock"
        command = [str(tools / "loadgen"), "--address", f"127.0.0.1:{self.process.port}", "--model", model]
        command += scenario.loadgen_options(seconds)
        if self.measured:
            command += ["--pid", str(self.process.pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
        if done.returncode != 0:
            raise Failed(f"{self.name}, {scenario.name}: {done.stderr[-2000:]}")
        return json.loads(done.stdout) | {"upstream": mock.ask("report")}
