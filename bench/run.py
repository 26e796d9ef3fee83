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
import shutil
import subprocess
import sys
import tempfile
import time

from gateways import NO_LIMITS, Failed, Gateway, Mock, bare_proxy, limits, lingate, redis_server
from report import Results, ledger, markdown
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
    parser.add_argument("--no-redis", action="store_true", help="leave out what needs redis-server")
    parser.add_argument("--soak", metavar="REQUESTS", type=int, help="instead: so many requests of 100,000 end users, and the memory that they take")
    parser.add_argument("--port", type=int, default=18400, help="first of ten loopback ports")
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
    if options.soak:
        return soak(tools, binary, options)
    load = os.getloadavg()[0]
    # Building is not measuring; from here on the clock runs.
    deadline = time.monotonic() + (150 if options.quick else 640)
    try:
        complete = True
        for number in range(rounds):
            complete = complete and measure(results, number, tools, binary, options, seconds, deadline)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1

    name = "hyper-proxy" if options.no_lingate else "lingate"
    cores = os.cpu_count()
    table = markdown(results, name) + ledger(results)
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
            gateways += ledgers(stack, binary, folder, mock, options)
        time.sleep(1.0)
        for gateway in gateways[1:]:
            results.idle_mb.setdefault(gateway.name, []).append(gateway.process.rss_mb())
        for scenario in SCENARIOS:
            if options.only not in scenario.name:
                continue
            # Neighbours in time share the machine's mood; every other round goes the other way round.
            for gateway in gateways if number % 2 == 0 else reversed(gateways):
                if gateway.name == "direct" and not scenario.unhurried or gateway.compared and not scenario.ledger:
                    continue
                if time.monotonic() + seconds + 3 > deadline:
                    return False
                report = gateway.run(tools, mock, scenario, seconds, PACE_US if scenario.paced else 0)
                results.add(gateway.name, scenario, report)
                print(
                    f"round {number + 1}  {gateway.name:20} {scenario.name:42} {report['rps']:8.0f} requests/s"
                    f"  {report.get('cpu_us_per_request', 0):8.1f} µs CPU  p50 {report['latency_us']['p50']} µs",
                    file=sys.stderr,
                )
    return True


def ledgers(stack: contextlib.ExitStack, binary: pathlib.Path, folder: pathlib.Path, mock: Mock, options) -> list[Gateway]:
    """Lingate as it is used, and with parts of its ledger left out or done otherwise. All of them write records."""
    kinds = {"lingate": limits(), "no keys or limits": NO_LIMITS, "10,000 keys": limits(keys=10_000, projects=1_000)}
    port = options.port + 2
    if not options.no_redis:
        if not shutil.which("redis-server"):
            raise Failed("redis-server is not installed; --no-redis does without")
        redis = stack.enter_context(redis_server(port, folder / "redis.log"))
        kinds["counters in Redis"] = limits(redis=redis.port)
    gateways = []
    for number, (name, callers) in enumerate(kinds.items(), 1):
        process = stack.enter_context(lingate(binary, folder / f"lingate-{number}", port + number, mock.port, callers))
        count = 10_000 if name == "10,000 keys" else 1
        gateways.append(Gateway(name, process, measured=True, converts=True, callers=count, compared=name != "lingate"))
    return gateways


def soak(tools: pathlib.Path, binary: pathlib.Path, options) -> int:
    """Memory over many requests, each of which counts for its end user, is written down and goes into the database."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lingate-bench-")))
        mock = stack.enter_context(Mock(tools, options.port, folder / "mock.log"))
        callers = limits(end_users=True)
        process = stack.enter_context(lingate(binary, folder / "lingate", options.port + 1, mock.port, callers))
        gateway = Gateway("lingate", process, measured=True, converts=True, callers=100_000, users=True)
        print("| requests | requests/s | CPU µs/request | RSS MB | journal MB | database MB |\n|--:|--:|--:|--:|--:|--:|")
        print(f"| 0 | | | {process.rss_mb():.1f} | | |", flush=True)
        done = 0
        while done < options.soak:
            seconds = 10.0
            report = gateway.run(tools, mock, SCENARIOS[0], seconds, 0)
            if report["errors"] or report["invalid"]:
                print(f"FAULT {report['complaints']}")
                return 1
            done += int(report["rps"] * seconds)
            data = folder / "lingate" / "data"
            sizes = [sum(file.stat().st_size for file in files if file.is_file()) / 1e6 for files in (data.glob("journal/**/*"), data.glob("lingate.db*"))]
            print(f"| {done:,} | {report['rps']:,.0f} | {report['cpu_us_per_request']:.1f} | {process.rss_mb():.1f} | {sizes[0]:.1f} | {sizes[1]:.1f} |", flush=True)
    return 0


def cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
