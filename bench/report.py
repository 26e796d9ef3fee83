"""Medians over the rounds, as a Markdown table with the goals beside the figures."""

from statistics import median

from scenarios import BUSY_MB, CONNECTIONS, IDLE_MB, LONE_STREAM_MS, SCENARIOS, Scenario


class Results:
    """Reports of the load generator by gateway and scenario, one per round."""

    def __init__(self):
        self.runs: dict[str, dict[str, list[dict]]] = {}
        self.idle_mb: dict[str, list[float]] = {}

    def add(self, gateway: str, scenario: Scenario, report: dict):
        self.runs.setdefault(gateway, {}).setdefault(scenario.name, []).append(report)

    def median(self, gateway: str, scenario: Scenario, *path: str) -> float | None:
        """Of one figure over the rounds."""
        figures = []
        for figure in self.runs.get(gateway, {}).get(scenario.name, []):
            for key in path:
                figure = figure.get(key) if figure else None
            if figure is not None:
                figures.append(figure)
        return median(figures) if figures else None

    def faults(self) -> list[str]:
        """Errors, answers that were not what the mock sent, requests that reached the mock damaged."""
        found = []
        for gateway, scenarios in self.runs.items():
            for name, reports in scenarios.items():
                errors = sum(report["errors"] for report in reports)
                invalid = sum(report["invalid"] for report in reports)
                damaged = sum(report["upstream"]["damaged"] for report in reports)
                silent = any(report["checked"] == 0 for report in reports)
                if errors or invalid or damaged or silent:
                    complaints = {text for report in reports for text in report["complaints"]}
                    complaints |= {report["upstream"]["last_complaint"] for report in reports} - {""}
                    found.append(
                        f"{gateway}, {name}: {errors} errors, {invalid} invalid answers, {damaged} damaged requests"
                        + (", nothing checked" if silent else "")
                        + "".join(f"\n    {text}" for text in sorted(complaints))
                    )
        return found


def number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def verdict(value: float | None, goal: float) -> str:
    return "not measured" if value is None else "met" if value <= goal else "MISSED"


def markdown(results: Results, gateway: str) -> str:
    lines = [
        "| scenario | requests/s | CPU µs/request | × bare proxy | goal | p50 µs | p99 µs | added p50 | added p99 | RSS MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    goals = []
    busy_mb = []
    for scenario in SCENARIOS:
        if results.median(gateway, scenario, "rps") is None:
            continue
        cpu = results.median(gateway, scenario, "cpu_us_per_request")
        bare = results.median("hyper-proxy", scenario, "cpu_us_per_request")
        multiple = cpu / bare if cpu and bare else None
        p50, p99 = (results.median(gateway, scenario, "latency_us", quantile) for quantile in ("p50", "p99"))
        direct = [results.median("direct", scenario, "latency_us", quantile) for quantile in ("p50", "p99")]
        added = [here - there if there is not None else None for here, there in zip((p50, p99), direct)]
        rss = results.median(gateway, scenario, "rss_peak_kb")
        rss_mb = rss * 1024 / 1e6 if rss else None
        if rss_mb and scenario.connections == CONNECTIONS:
            busy_mb.append(rss_mb)
        lines.append(
            f"| {scenario.name} | {number(results.median(gateway, scenario, 'rps'))} | {number(cpu, 1)} | {number(multiple, 2)} "
            f"| {'≤ ' + str(scenario.goal) if scenario.goal else ''} | {number(p50)} | {number(p99)} "
            f"| {number(added[0])} | {number(added[1])} | {number(rss_mb, 1)} |"
        )
        if scenario.goal:
            goals.append((scenario.name, multiple, scenario.goal, "× bare proxy"))
        if scenario.connections == 1 and not scenario.converts:
            goals.append((scenario.name, p50 / 1000, LONE_STREAM_MS, "ms"))
    if gateway != "lingate":
        return "\n".join(lines)
    idle = results.idle_mb.get(gateway)
    goals.append(("memory, idle", median(idle) if idle else None, IDLE_MB, "MB"))
    goals.append((f"memory, {CONNECTIONS} busy connections", max(busy_mb, default=None), BUSY_MB, "MB"))
    lines += ["", "| goal | measured | at most | |", "|---|--:|--:|---|"]
    lines += [
        f"| {name} | {number(value, 2)} | {limit:g} {unit} | {verdict(value, limit)} |" for name, value, limit, unit in goals
    ]
    return "\n".join(lines)


def ledger(results: Results) -> str:
    """What keys and limits, many callers, and counters in Redis cost, beside Lingate without keys and limits."""
    names = ["no keys or limits", "lingate", "10,000 keys", "counters in Redis"]
    if len(set(names) & set(results.runs)) < 2:
        return ""
    lines = ["", "", "| scenario | | CPU µs/request | more | p50 µs | more | p99 µs |", "|---|---|--:|--:|--:|--:|--:|"]
    for scenario in SCENARIOS:
        if not scenario.ledger:
            continue
        cpu_before, p50_before = None, None
        for name in names:
            cpu = results.median(name, scenario, "cpu_us_per_request")
            if cpu is None:
                continue
            p50, p99 = (results.median(name, scenario, "latency_us", quantile) for quantile in ("p50", "p99"))
            cpu_before, p50_before = cpu_before or cpu, p50_before or p50
            shown = "one key, four limits" if name == "lingate" else f"{name}, four limits" if name != names[0] else name
            lines.append(
                f"| {scenario.name} | {shown} | {number(cpu, 1)} | {cpu - cpu_before:+.1f} | {number(p50)} | {p50 - p50_before:+.0f} | {number(p99)} |"
            )
    return "\n".join(lines)
