#!/usr/bin/env python3
"""Runs the examples of the READMEs, word for word, against the demo gateway on 127.0.0.1:8080.

Every fenced block of sh, python, js and yaml is an example. The first three must end well and print the demo's answer, or what a block of
text right behind them shows; yaml must be a configuration that `lingate config check` accepts. Each runs in a new folder, with `lingate`
on its path. The SDKs are those that tests/sdk/run.sh installs. Links between the documents must lead somewhere.
"""

import argparse
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
READMES = ["README.md", "README.zh-CN.md"]
ADDRESS = ("127.0.0.1", 8080)
SDKS = ROOT / "tests/sdk"
VENV = SDKS / ".venv/bin"
# What the demo provider says of itself in each answer.
ANSWER = "This is Lingate's demo"
DOCUMENTS = [*READMES, "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md", *(f"docs/{name}.md" for name in ["ARCHITECTURE", "cli", "compatibility", "configuration", "providers", "routing", "routing.zh-CN"])]
# What the yaml examples take from the environment.
KEYS = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ALICE_KEY", "BUILD_KEY"]
# Blocks in other languages are for reading; a language that nobody has thought of is an error.
FOR_READING = {"", "text"}


@dataclass
class Example:
    file: str
    line: int
    language: str
    text: str
    # What the page says that it prints; `None` where the page does not say.
    prints: str | None

    def __str__(self):
        return f"{self.file}:{self.line} ({self.language})"


def examples() -> list[Example]:
    found = []
    for name in READMES:
        text = (ROOT / name).read_text()
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", text, re.M | re.S):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Example(name, line, match[1], match[2], match[3]))
    return found


def gateway(program: pathlib.Path, folder: str, log) -> subprocess.Popen:
    """The gateway as `make run` starts it, in an empty folder and without a provider's key in the environment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(ADDRESS)
        except OSError:
            sys.exit("{}:{} is taken, and the examples name it: stop what listens there".format(*ADDRESS))
    environment = {"PATH": os.environ["PATH"], "HOME": folder}
    process = subprocess.Popen([str(program), "serve"], cwd=folder, env=environment, stdout=log, stderr=log)
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(ADDRESS, 0.2).close()
            return process
        except OSError:
            time.sleep(0.05)
    process.kill()
    log.seek(0)
    sys.exit(f"{program} serve does not come up:\n{log.read().decode()}")


def dead_links():
    for name in DOCUMENTS:
        file = ROOT / name
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", file.read_text()):
            if "://" not in target and not (file.parent / target).exists():
                yield f"{name}: a link leads to {target}, which is not there"


def run(example: Example, program: pathlib.Path, folder: str) -> str | None:
    """What is wrong with an example; `None` when it does what the page says."""
    folder = tempfile.mkdtemp(dir=folder)
    commands = {
        "sh": (".sh", ["bash", "-eu"], folder),
        "python": (".py", [str(VENV / "python")], folder),
        # Beside node_modules, where Node looks for the packages.
        "js": (".mjs", [str(VENV / "node") if (VENV / "node").exists() else "node"], str(SDKS / "node")),
        "yaml": (".yml", [str(program), "config", "check", "--config"], folder),
    }
    suffix, command, place = commands[example.language]
    secrets = {name: f"sk-{name.lower()}" for name in KEYS} if example.language == "yaml" else {}
    path = f"{program.parent}:{os.environ['PATH']}"
    with tempfile.NamedTemporaryFile("w", suffix=suffix, prefix=".readme-", dir=place) as file:
        file.write(example.text)
        file.flush()
        try:
            done = subprocess.run(
                [*command, file.name],
                cwd=place,
                env={"PATH": path, "HOME": folder, **secrets},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if example.prints is None else subprocess.STDOUT,
                text=True,
                timeout=60,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    output = done.stdout + (done.stderr or "")
    if done.returncode != 0:
        return f"ended with {done.returncode}: {output[-2000:]}"
    if example.prints is not None:
        return None if output == example.prints else f"did not print what the page says, but: {output[-2000:]}"
    # A stream tells the answer in pieces; what is left when everything but its letters is taken away holds no piece's border.
    said = re.sub(r"[^a-z]", "", "".join(pieces(done.stdout)).lower())
    if example.language != "yaml" and re.sub(r"[^a-z]", "", ANSWER.lower()) not in said:
        return f"did not print the demo's answer: {output[-2000:]}"
    return None


def pieces(output: str) -> list[str]:
    """The text of an answer: of the deltas in a stream as curl prints it, else all of the output."""
    return re.findall(r'"text":\s*"((?:[^"\\]|\\.)*)"', output) if output.startswith("event:") else [output]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--program", type=pathlib.Path, default=os.environ.get("LINGATE_BIN", target / "debug/lingate"))
    parser.add_argument("--list", action="store_true", help="only list the examples")
    options = parser.parse_args()
    program = options.program.resolve()

    found = examples()
    runnable = [example for example in found if example.language not in FOR_READING]
    unknown = [example for example in runnable if example.language not in {"sh", "python", "js", "yaml"}]
    if options.list:
        print(*found, sep="\n")
        return 0
    faults = [f"{example}: nothing here runs this language" for example in unknown]
    faults += dead_links()
    missing = [readme for readme in READMES if sum(example.file == readme for example in runnable) < 10]
    faults += [f"{readme}: fewer than ten examples: were they all found?" for readme in missing]

    with tempfile.TemporaryDirectory(prefix="lingate-readme-") as folder, tempfile.TemporaryFile() as log:
        process = gateway(program, folder, log)
        try:
            for example in runnable:
                if example not in unknown:
                    fault = run(example, program, folder)
                    print(f"{example}: {'FAILED' if fault else 'ok'}", flush=True)
                    faults += [f"{example}: {fault}"] if fault else []
        finally:
            process.terminate()
            process.wait(15)
    for fault in faults:
        print(f"\n{fault}", file=sys.stderr)
    print(f"examples: {len(runnable)}, faults: {len(faults)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
