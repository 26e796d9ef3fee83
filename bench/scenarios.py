"""What is measured, and the goal that stands beside each figure."""

from dataclasses import dataclass

# Of the mock's answers: bytes of a whole one, content events of a streamed one.
BODY = 1500
EVENTS = 100
CONNECTIONS = 64
# Open loop: far below what two cores carry, so that latency is the gateway's own and not a queue's.
RATE = 200
# Between two events of a paced stream: each wakes the gateway by itself, nothing can be coalesced.
PACE_US = 10_000

# Goals for the process as a whole.
IDLE_MB = 20
BUSY_MB = 40
LONE_STREAM_MS = 1.0


@dataclass(frozen=True)
class Scenario:
    name: str
    client: str  # the dialect asked in
    upstream: str  # the dialect of the provider that answers
    size: int = 2048  # of the request, in bytes
    stream: bool = False
    connections: int = CONNECTIONS
    rate: int | None = None
    paced: bool = False
    goal: float | None = None  # most CPU time per request, as a multiple of the bare proxy's
    ledger: bool = False  # also measured without keys and limits, with many callers, and with counters in Redis

    @property
    def converts(self) -> bool:
        return self.client != self.upstream

    @property
    def unhurried(self) -> bool:
        """Nothing queues: latency is the gateway's own."""
        return self.rate is not None or self.connections == 1

    def loadgen_options(self, seconds: float) -> list[str]:
        options = ["--wire", self.client, "--size", str(self.size), "--connections", str(self.connections)]
        options += ["--body", str(BODY), "--events", str(EVENTS)]
        warmup_ms = 700
        if self.stream:
            options.append("--stream")
        if self.rate:
            options += ["--rate", str(self.rate)]
        if self.paced:
            # One second per stream: start them spread over it, and measure once all of them run.
            ramp_ms = EVENTS * PACE_US // 1000
            options += ["--ramp-ms", str(ramp_ms)]
            warmup_ms = ramp_ms + 200
        if self.paced or self.connections == 1:
            options += ["--check-every", "4"]
        return options + ["--warmup-ms", str(warmup_ms), "--duration-ms", str(int(seconds * 1000))]


SCENARIOS = [
    Scenario("pass-through, whole", "chat", "chat", goal=1.6, ledger=True),
    Scenario("pass-through, 200 KB request", "chat", "chat", size=200_000, goal=2.0),
    Scenario("conversion, whole: chat → messages", "chat", "messages", goal=3.0),
    Scenario("conversion, whole: messages → chat", "messages", "chat", goal=3.0),
    Scenario("conversion, whole: chat → gemini", "chat", "gemini", goal=3.0),
    Scenario("conversion, whole: gemini → chat", "gemini", "chat", goal=3.0),
    Scenario("pass-through, 100 events", "chat", "chat", stream=True, goal=1.3),
    Scenario("conversion, 100 events: chat → messages", "chat", "messages", stream=True, goal=1.7),
    Scenario("conversion, 100 events: messages → chat", "messages", "chat", stream=True, goal=1.7),
    Scenario("lone stream, pass-through", "chat", "chat", stream=True, connections=1),
    Scenario("lone stream, chat → messages", "chat", "messages", stream=True, connections=1),
    Scenario(f"{RATE} requests/s, pass-through", "chat", "chat", connections=16, rate=RATE, ledger=True),
    Scenario(f"{RATE} requests/s, chat → messages", "chat", "messages", connections=16, rate=RATE),
    Scenario("paced streams, pass-through", "chat", "chat", stream=True, paced=True),
    Scenario("paced streams, chat → messages", "chat", "messages", stream=True, paced=True),
]

