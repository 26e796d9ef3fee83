"""The Anthropic SDK for Python, used as its README uses it."""

import asyncio
import base64
import json

import anthropic
import expect
import httpx2
import pydantic
import pytest
from expect import Seen, model

OWN = "up-messages"
MODES = ["whole", "stream", "helper"]

client = anthropic.Anthropic(base_url=expect.BASE, api_key=expect.CALLER_KEY, max_retries=0, timeout=20)

WEATHER = {"name": "get_weather", "description": "Weather of a city", "input_schema": expect.WEATHER_SCHEMA}
TIME = {"name": "get_time", "input_schema": expect.TIME_SCHEMA}

ERROR_CLASSES = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    503: anthropic.InternalServerError,
}


def ask(mode, upstream, scenario, messages=None, **options):
    """One request; what the SDK makes of the answer."""
    options = {
        "model": model(upstream, scenario),
        "messages": messages or [{"role": "user", "content": "Say something."}],
        "max_tokens": 512,
    } | options
    if mode == "stream":
        return gather(client.messages.create(stream=True, **options))
    if mode == "helper":
        with client.messages.stream(**options) as stream:
            spoken = "".join(stream.text_stream)
            seen = see(stream.get_final_message())
        assert seen.text == spoken
        return seen
    return see(client.messages.create(**options))


def see(message):
    assert (message.type, message.role) == ("message", "assistant")
    seen = Seen(finish=message.stop_reason, id=message.id, model=message.model)
    for block in message.content:
        if block.type == "text":
            seen.text += block.text
        elif block.type == "thinking":
            seen.thoughts += block.thinking
        elif block.type == "tool_use":
            seen.calls.append((block.id, block.name, block.input))
    seen.message = message
    count(seen, message.usage)
    return seen


def count(seen, usage):
    seen.cached = usage.cache_read_input_tokens or 0
    seen.input = usage.input_tokens + seen.cached + (usage.cache_creation_input_tokens or 0)
    seen.output = usage.output_tokens


def gather(stream):
    """The raw events, whose order the helper does not check."""
    seen, types, open_blocks, arguments = Seen(), [], [], {}
    for event in stream:
        types.append(event.type)
        if event.type == "message_start":
            seen.id, seen.model = event.message.id, event.message.model
        elif event.type == "content_block_start":
            assert not open_blocks, "a block starts while another is open"
            open_blocks.append(event.index)
            if event.content_block.type == "tool_use":
                seen.calls.append((event.content_block.id, event.content_block.name, {}))
                arguments[event.index] = (len(seen.calls) - 1, "")
        elif event.type == "content_block_delta":
            assert open_blocks == [event.index]
            if event.delta.type == "text_delta":
                seen.text += event.delta.text
            elif event.delta.type == "thinking_delta":
                seen.thoughts += event.delta.thinking
            elif event.delta.type == "input_json_delta":
                number, so_far = arguments[event.index]
                arguments[event.index] = (number, so_far + event.delta.partial_json)
        elif event.type == "content_block_stop":
            assert open_blocks.pop() == event.index
        elif event.type == "message_delta":
            seen.finish = event.delta.stop_reason
            count(seen, event.usage)
    assert (types[0], types[-1]) == ("message_start", "message_stop")
    for number, spoken in arguments.values():
        call_id, name, _none = seen.calls[number]
        seen.calls[number] = (call_id, name, json.loads(spoken))
    return seen


def test_text(upstream, mode):
    seen = ask(mode, upstream, "text")
    assert (seen.text, seen.finish) == (expect.TEXT, "end_turn")
    expect.usage(seen)
    expect.named(seen, upstream, "text")


@pytest.mark.parametrize("system", ["Be brief — très bref.", [{"type": "text", "text": "Be brief — très bref."}]])
def test_system(upstream, mode, system):
    assert ask(mode, upstream, "system", system=system).text == "Be brief — très bref."


def test_multi_turn(upstream, mode):
    messages = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": [{"type": "text", "text": "What is my name?"}]},
    ]
    seen = ask(mode, upstream, "multi-turn", messages)
    assert expect.told(seen) == [["user", "My name is Ada."], ["assistant", "Hello Ada."], ["user", "What is my name?"]]


def test_image(upstream, mode):
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(expect.PIXELS).decode()}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    seen = ask(mode, upstream, "image", [{"role": "user", "content": content}])
    assert expect.told(seen) == [expect.IMAGE]


def test_tool_declarations(upstream):
    expect.declared(ask("whole", upstream, "describe-tools", tools=[WEATHER, TIME]))


def test_tool(upstream, mode):
    seen = ask(mode, upstream, "tool", tools=[WEATHER, TIME])
    assert seen.text == "Let me look."
    [(call_id, name, arguments)] = seen.calls
    assert call_id
    assert (name, arguments) == ("get_weather", expect.WEATHER_ARGUMENTS)
    assert seen.finish == "tool_use"
    expect.usage(seen)


def test_parallel_tools(upstream, mode):
    seen = ask(mode, upstream, "parallel", tools=[WEATHER, TIME])
    assert [(name, arguments) for _id, name, arguments in seen.calls] == [
        ("get_weather", expect.WEATHER_ARGUMENTS),
        ("get_time", expect.TIME_ARGUMENTS),
    ]
    assert len({call_id for call_id, _name, _arguments in seen.calls}) == 2
    assert seen.finish == "tool_use"


def test_tool_result(upstream, mode):
    question = {"role": "user", "content": "Weather and time?"}
    first = ask("whole", upstream, "parallel", [question], tools=[WEATHER, TIME])
    ids = [call_id for call_id, _name, _arguments in first.calls]
    results = [
        {"type": "tool_result", "tool_use_id": ids[0], "content": '{"temp": 21}'},
        {"type": "tool_result", "tool_use_id": ids[1], "content": [{"type": "text", "text": "12:00 in Zürich"}]},
    ]
    messages = [question, {"role": "assistant", "content": first.message.content}, {"role": "user", "content": results}]
    expect.loop(ask(mode, upstream, "tool-result", messages, tools=[WEATHER, TIME]), ids)


def test_tool_failure(upstream):
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {"tz": "CET"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such zone", "is_error": True}
    messages = [
        {"role": "user", "content": "The time?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    [received] = expect.told(ask("whole", upstream, "tool-result", messages, tools=[TIME]))["results"]
    assert "no such zone" in received["content"]
    # Chat has no mark for a failure: there the text must say it.
    assert received["failed"] or "error" in received["content"].lower()


@pytest.mark.parametrize(
    ("choice", "arrives"),
    [("auto", "auto"), ("none", "none"), ("any", "any"), ("get_time", "get_time")],
)
def test_tool_choice(upstream, choice, arrives):
    choice = {"type": choice} if choice != "get_time" else {"type": "tool", "name": choice}
    seen = ask("whole", upstream, "choice", tools=[WEATHER, TIME], tool_choice=choice)
    assert expect.told(seen) == arrives


class Forecast(pydantic.BaseModel):
    city: str
    days: int
    dry: bool
    tags: list[str]


FORECAST = Forecast(city="city ✓", days=7, dry=True, tags=["tags ✓"])


@pytest.mark.modes("whole", "helper")
def test_structured_output(upstream, mode):
    options = {
        "model": model(upstream, "schema"),
        "messages": [{"role": "user", "content": "A forecast, please."}],
        "max_tokens": 512,
        "output_format": Forecast,
    }
    if mode == "helper":
        with client.messages.stream(**options) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.parse(**options)
    assert message.parsed_output == FORECAST


def test_max_tokens(upstream, mode):
    seen = ask(mode, upstream, "max-tokens", max_tokens=37)
    assert (seen.text, seen.finish) == ("limit 37", "max_tokens")


def test_stop(upstream, mode):
    seen = ask(mode, upstream, "stop", stop_sequences=["END", "HALT"])
    assert expect.told(seen) == expect.stops(upstream)
    # The other dialects do not say which sequence ended the answer.
    assert seen.finish == ("stop_sequence" if upstream == OWN else "end_turn")


def test_reasoning(upstream, mode):
    seen = ask(mode, upstream, "reasoning")
    assert seen.text == "4"
    expect.usage(seen, thoughts=3)
    if upstream == OWN:
        assert seen.thoughts == "Let me think: 2 + 2."


def test_error(upstream, status, mode):
    with pytest.raises(ERROR_CLASSES[status]) as raised:
        ask(mode, upstream, f"error-{status}")
    assert "judge" in raised.value.message
    assert raised.value.body["type"] == "error"
    if status == 503:
        assert raised.value.status_code in (503, 529)
    if status == 429:
        assert raised.value.response.headers["retry-after"] == "7"


@pytest.mark.modes("stream", "helper")
@pytest.mark.parametrize("scenario", ["broken", "cut"])
def test_a_stream_that_fails_is_never_a_finished_answer(upstream, mode, scenario):
    with pytest.raises(Exception) as raised:
        ask(mode, upstream, scenario)
    assert isinstance(raised.value, (anthropic.APIError, httpx2.HTTPError))


def test_count_tokens(upstream):
    counted = client.messages.count_tokens(
        model=model(upstream, "text"), system="Be brief.", messages=[{"role": "user", "content": "Hello, world"}]
    )
    if upstream in ("up-chat", "up-responses"):  # not counted there: the gateway estimates
        assert 1 <= counted.input_tokens <= 30
    else:
        assert counted.input_tokens == 42


def test_provider_key(upstream):
    seen = ask("whole", upstream, "key")
    expected = expect.CALLER_KEY if expect.DIRECT else f"sk-{upstream}"
    assert expect.told(seen)["key"] == expected


@pytest.mark.gateway
def test_passthrough_key(upstream):
    own = anthropic.Anthropic(base_url=expect.PASSTHROUGH, api_key=expect.CALLER_KEY, max_retries=0, timeout=20)
    message = own.messages.create(
        model=model(upstream, "key"), messages=[{"role": "user", "content": "Which key?"}], max_tokens=512
    )
    assert json.loads(message.content[0].text)["key"] == expect.CALLER_KEY


def test_models(upstream):
    ids = [one.id for one in client.models.list()]
    assert expect.listed(upstream) in ids


@pytest.mark.gateway
def test_model(upstream):
    assert client.models.retrieve(expect.listed(upstream)).id == expect.listed(upstream)


def test_async(upstream):
    async def run():
        async with anthropic.AsyncAnthropic(
            base_url=expect.BASE, api_key=expect.CALLER_KEY, max_retries=0, timeout=20
        ) as own:
            async with own.messages.stream(
                model=model(upstream, "text"), messages=[{"role": "user", "content": "Hi"}], max_tokens=512
            ) as stream:
                return await stream.get_final_text()

    assert asyncio.run(run()) == expect.TEXT
