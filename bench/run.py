#!/usr/bin/env python3
"""Measures what Lingate costs, beside a bare hyper proxy in the same run, and prints a Markdown table.

Everything is on loopback and on this machine. README.md says how to read the figures.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

from gateways import Failed, Gateway, Mock, bare_proxy, lingate
from report import Results, markdown
from scenarios import PACE_US, SCENARIOS

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, under two minutes; good for a first look, not for a claim")
    parser.add_argument("--rounds", type=int, help="default 3; 1 with --quick")
    parser.add_argument("--only", metavar="TEXT", default="", help="scenarios whose name holds this text")
    parser.add_argument("--no-lingate", action="store_true", help="measure the bare proxy alone: proves the tools")
    parser.add_argument("--no-build", action="store_true", help="use the binaries of the last run")
    parser.add_argument("--binary", type=pathlib.Path, help="another build of Lingate to measure")
    parser.add_argument("--port", type=int, default=18400, help="first of three loopback ports")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 3)
    seconds = 1.5 if options.quick else 3.0

    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    tools = target / "release"
    if not options.no_build:
        build = ["cargo", "build", "--release", "--locked", "--target-dir", str(target)]
        subprocess.run([*build, "--manifest-path", str(ROOT / "bench/Cargo.toml")], check=True)
        if not options.no_lingate and not options.binary:
            subprocess.run([*build, "--manifest-path", str(ROOT / "Cargo.toml"), "-p", "lingate"], check=True)

    results = Results()
    binary = None if options.no_lingate else options.binary or tools / "lingate"
    load = os.getloadavg()[0]
    # Building is not measuring; from here on the clock runs.
    deadline = time.monotonic() + (110 if options.quick else 470)
    try:
        complete = True
        for number in range(rounds):
            complete = complete and measure(results, number, tools, binary, options, seconds, deadline)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1

    name = "hyper-proxy" if options.no_lingate else "lingate"
    cores = os.cpu_count()
    table = markdown(results, name)
    print(f"\n{name}, {rounds} rounds of {seconds:g} s per scenario, {cores} cores, {cpu_model()}\n\n{table}")
    faults = results.faults()
    if not complete:
        faults.append("time ran out before every round was finished: the figures are of the rounds that were")
    for fault in faults:
        print(f"FAULT {fault}")
    if load > 1:
        # The build's own load is in this average for a minute or two.
        print(f"\nThe load was {load:.1f} when measuring began: if that was not the build, repeat on a quiet machine.")
    target.mkdir(parents=True, exist_ok=True)
    out = target / "bench.json"
    out.write_text(
        json.dumps({"cores": cores, "cpu": cpu_model(), "load": load, "rounds": rounds, "seconds": seconds, "idle_mb": results.idle_mb,
                    "runs": results.runs, "faults": faults}, indent=1)
    )
    print(f"\nEvery figure of every round: {out}")
    return 1 if faults else 0


def measure(results: Results, number: int, tools: pathlib.Path, binary: pathlib.Path | None, options, seconds: float, deadline: float) -> bool:
    """One round: fresh processes, each scenario on each of them in turn. `False` when time ran out."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lingate-bench-")))
        port = options.port
        mock = stack.enter_context(Mock(tools, port, folder / "mock.log"))
        proxy = stack.enter_context(bare_proxy(tools, port + 1, mock.port, folder / "proxy.log"))
        gateways = [Gateway("direct", mock, measured=False), Gateway("hyper-proxy", proxy, measured=True)]
        if binary:
            process = stack.enter_context(lingate(binary, folder, port + 2, mock.port, folder / "lingate.log"))
            gateways.append(Gateway("lingate", process, measured=True, converts=True))
        time.sleep(1.0)
        for gateway in gateways[1:]:
            results.idle_mb.setdefault(gateway.name, []).append(gateway.process.rss_mb())
        for scenario in SCENARIOS:
            if options.only not in scenario.name:
                continue
            # Neighbours in time share the machine's mood; every other round goes the other way round.
            for gateway in gateways if number % 2 == 0 else reversed(gateways):
                if gateway.name == "direct" and not scenario.unhurried:
                    continue
                if time.monotonic() + seconds + 3 > deadline:
                    return False
                report = gateway.run(tools, mock, scenario, seconds, PACE_US if scenario.paced else 0)
                results.add(gateway.name, scenario, report)
                print(
                    f"round {number + 1}  {gateway.name:12} {scenario.name:42} {report['rps']:8.0f} requests/s"
                    f"  {report.get('cpu_us_per_request', 0):8.1f} µs CPU  p50 {report['latency_us']['p50']} µs",
                    file=sys.stderr,
                )
    return True


def cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
