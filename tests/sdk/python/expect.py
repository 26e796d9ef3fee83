"""What the judge behind the gateway answers, in terms that all three SDKs share."""

import hashlib
import json
import os
import pathlib
from dataclasses import dataclass, field

BASE = os.environ["SDK_BASE"]
"""The gateway, or with --direct the judge itself."""

DIRECT = os.environ.get("SDK_DIRECT") == "1"

PASSTHROUGH = os.environ.get("SDK_PASSTHROUGH", "")
"""A second gateway, which sends the caller's credential upstream; empty with --direct."""

CALLER_KEY = "sk-caller-0123456789"

UPSTREAMS = ["up-chat", "up-responses", "up-messages", "up-gemini"]

TEXT = 'Grüße aus Zürich — 你好, "world" 👋\nSecond line.'

PIXELS = (pathlib.Path(__file__).parent.parent / "fixtures" / "pixels.png").read_bytes()

IMAGE = {"mime": "image/png", "bytes": len(PIXELS), "sha256": hashlib.sha256(PIXELS).hexdigest()[:12]}

WEATHER_SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "The city"},
        "days": {"type": "integer"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city"],
}

TIME_SCHEMA = {"type": "object", "properties": {"tz": {"type": "string"}}, "required": ["tz"]}

WEATHER_ARGUMENTS = {"city": "city ✓", "days": 7, "unit": "celsius"}

TIME_ARGUMENTS = {"tz": "tz ✓"}

ERRORS = [400, 401, 403, 404, 429, 500, 503]


@dataclass
class Seen:
    """An answer as an SDK shows it."""

    text: str = ""
    thoughts: str = ""
    calls: list = field(default_factory=list)
    """(id, name, arguments) each."""
    finish: str = ""
    input: int = 0
    """Tokens of the prompt, cached ones included."""
    cached: int = 0
    output: int = 0
    """Tokens of the answer, thoughts included."""
    id: str = ""
    model: str = ""


def model(upstream, scenario):
    if DIRECT:
        return scenario
    # Errors come from providers of their own: a gateway may rest a key that was refused or limited.
    provider = f"{upstream}-{scenario[6:]}" if scenario.startswith("error-") else upstream
    return f"{provider}/{scenario}"


def stops(upstream):
    """Which of two stop sequences arrive; Responses has no field for them."""
    return [] if upstream == "up-responses" else ["END", "HALT"]


def listed(upstream):
    """A name that the list of models must hold."""
    return "text" if DIRECT else upstream.replace("up-", "listed-")


def usage(seen, thoughts=0):
    assert (seen.input, seen.cached, seen.output) == (21, 8, 9 + thoughts)


def named(seen, upstream, scenario):
    assert seen.id
    assert seen.model in (scenario, model(upstream, scenario))


def told(seen):
    """The JSON value that the judge said."""
    return json.loads(seen.text)


def declared(seen):
    """The two tools as they must arrive, whichever way a dialect writes types."""
    weather, time = told(seen)
    assert (weather["name"], weather["description"]) == ("get_weather", "Weather of a city")
    assert shape(weather["schema"]) == shape(WEATHER_SCHEMA)
    assert time["name"] == "get_time"
    assert shape(time["schema"]) == shape(TIME_SCHEMA)


def shape(schema):
    properties = {
        name: (inner["type"].lower(), inner.get("description"), inner.get("enum"))
        for name, inner in schema["properties"].items()
    }
    return schema["type"].lower(), list(properties.items()), schema["required"]


def loop(seen, ids):
    """What the judge must have received of two calls and their results."""
    told_back = told(seen)
    assert [(call["name"], call["arguments"]) for call in told_back["calls"]] == [
        ("get_weather", WEATHER_ARGUMENTS),
        ("get_time", TIME_ARGUMENTS),
    ]
    assert [(result["name"], result["content"]) for result in told_back["results"]] == [
        ("get_weather", {"temp": 21}),
        ("get_time", "12:00 in Zürich"),
    ]
    received = [call["id"] for call in told_back["calls"]]
    answered = [result["id"] for result in told_back["results"]]
    if all(received) and all(answered):
        assert received == answered
    assert len(set(ids)) == 2, "two calls must have two ids"
