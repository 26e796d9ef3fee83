"""The OpenAI SDK for Python, used as its README uses it."""

import asyncio
import base64
import json

import expect
import httpx2
import openai
import pydantic
import pytest
from expect import Seen, model

OWN = "up-chat"
MODES = ["whole", "stream", "helper"]

client = openai.OpenAI(base_url=expect.BASE + "/v1", api_key=expect.CALLER_KEY, max_retries=0, timeout=20)

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city", "parameters": expect.WEATHER_SCHEMA}}
TIME = {"type": "function", "function": {"name": "get_time", "parameters": expect.TIME_SCHEMA}}

ERROR_CLASSES = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}


def ask(mode, upstream, scenario, messages=None, **options):
    """One request; what the SDK makes of the answer."""
    options |= {
        "model": model(upstream, scenario),
        "messages": messages or [{"role": "user", "content": "Say something."}],
    }
    if mode == "stream":
        return gather(client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **options))
    if mode == "helper":
        with client.chat.completions.stream(stream_options={"include_usage": True}, **options) as stream:
            for _event in stream:
                pass
            return see(stream.get_final_completion())
    return see(client.chat.completions.create(**options))


def see(completion):
    assert completion.object == "chat.completion"
    [choice] = completion.choices
    message = choice.message
    assert message.role == "assistant"
    seen = Seen(
        text=message.content or "",
        calls=[(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []],
        finish=choice.finish_reason,
        id=completion.id,
        model=completion.model,
    )
    seen.thoughts = getattr(message, "reasoning_content", None) or ""
    seen.message = message
    count(seen, completion.usage)
    return seen


def count(seen, usage):
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    seen.input, seen.output = usage.prompt_tokens, usage.completion_tokens
    seen.cached = usage.prompt_tokens_details.cached_tokens


def gather(stream):
    seen, calls, ended = Seen(), {}, False
    for chunk in stream:
        assert chunk.object == "chat.completion.chunk"
        assert seen.id in ("", chunk.id), "the id changes within the stream"
        seen.id, seen.model = chunk.id, chunk.model
        if chunk.usage:
            count(seen, chunk.usage)
        for choice in chunk.choices:
            assert not ended, "a choice after the last"
            seen.text += choice.delta.content or ""
            seen.thoughts += getattr(choice.delta, "reasoning_content", None) or ""
            for piece in choice.delta.tool_calls or []:
                call = calls.setdefault(piece.index, ["", "", ""])
                call[0] += piece.id or ""
                call[1] += piece.function.name or ""
                call[2] += piece.function.arguments or ""
            if choice.finish_reason:
                seen.finish, ended = choice.finish_reason, True
    seen.calls = [(call[0], call[1], json.loads(call[2])) for _index, call in sorted(calls.items())]
    return seen


def test_text(upstream, mode):
    seen = ask(mode, upstream, "text")
    assert (seen.text, seen.finish) == (expect.TEXT, "stop")
    expect.usage(seen)
    expect.named(seen, upstream, "text")


@pytest.mark.parametrize("role", ["system", "developer"])
def test_system(upstream, mode, role):
    messages = [{"role": role, "content": "Be brief — très bref."}, {"role": "user", "content": "Hi"}]
    assert ask(mode, upstream, "system", messages).text == "Be brief — très bref."


def test_multi_turn(upstream, mode):
    messages = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": [{"type": "text", "text": "What is my name?"}]},
    ]
    seen = ask(mode, upstream, "multi-turn", messages)
    assert expect.told(seen) == [["user", "My name is Ada."], ["assistant", "Hello Ada."], ["user", "What is my name?"]]


def test_image(upstream, mode):
    url = "data:image/png;base64," + base64.b64encode(expect.PIXELS).decode()
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
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
    assert seen.finish == "tool_calls"
    expect.usage(seen)


def test_parallel_tools(upstream, mode):
    seen = ask(mode, upstream, "parallel", tools=[WEATHER, TIME])
    assert [(name, arguments) for _id, name, arguments in seen.calls] == [
        ("get_weather", expect.WEATHER_ARGUMENTS),
        ("get_time", expect.TIME_ARGUMENTS),
    ]
    assert len({call_id for call_id, _name, _arguments in seen.calls}) == 2
    assert seen.finish == "tool_calls"


def test_tool_result(upstream, mode):
    question = {"role": "user", "content": "Weather and time?"}
    first = ask("whole", upstream, "parallel", [question], tools=[WEATHER, TIME])
    ids = [call_id for call_id, _name, _arguments in first.calls]
    messages = [
        question,
        first.message,
        {"role": "tool", "tool_call_id": ids[0], "content": '{"temp": 21}'},
        {"role": "tool", "tool_call_id": ids[1], "content": "12:00 in Zürich"},
    ]
    expect.loop(ask(mode, upstream, "tool-result", messages, tools=[WEATHER, TIME]), ids)


@pytest.mark.parametrize(
    ("choice", "arrives"),
    [("auto", "auto"), ("none", "none"), ("required", "any"), ({"type": "function", "function": {"name": "get_time"}}, "get_time")],
)
def test_tool_choice(upstream, choice, arrives):
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
        "response_format": Forecast,
    }
    if mode == "helper":
        with client.chat.completions.stream(**options) as stream:
            completion = stream.get_final_completion()
    else:
        completion = client.chat.completions.parse(**options)
    assert completion.choices[0].message.parsed == FORECAST


@pytest.mark.modes("whole", "stream")  # the helper raises LengthFinishReasonError, whatever it parses
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_max_tokens(upstream, mode, name):
    seen = ask(mode, upstream, "max-tokens", **{name: 37})
    assert (seen.text, seen.finish) == ("limit 37", "length")


def test_stop(upstream, mode):
    seen = ask(mode, upstream, "stop", stop=["END", "HALT"])
    assert (expect.told(seen), seen.finish) == (expect.stops(upstream), "stop")


def test_sampling(upstream):
    seen = ask("whole", upstream, "sampling", temperature=0.5, top_p=0.25)
    assert expect.told(seen) == {"temperature": 0.5, "top_p": 0.25}


def test_reasoning(upstream, mode):
    seen = ask(mode, upstream, "reasoning")
    assert seen.text == "4"
    expect.usage(seen, thoughts=3)


def test_error(upstream, status, mode):
    with pytest.raises(ERROR_CLASSES[status]) as raised:
        ask(mode, upstream, f"error-{status}")
    assert type(raised.value) is ERROR_CLASSES[status]
    assert "judge" in raised.value.message
    if status == 429:
        assert raised.value.response.headers["retry-after"] == "7"


@pytest.mark.modes("stream", "helper")
@pytest.mark.parametrize("scenario", ["broken", "cut"])
def test_a_stream_that_fails_is_never_a_finished_answer(upstream, mode, scenario):
    with pytest.raises(Exception) as raised:
        ask(mode, upstream, scenario)
    assert isinstance(raised.value, (openai.APIError, httpx2.HTTPError))


def test_provider_key(upstream):
    seen = ask("whole", upstream, "key")
    expected = expect.CALLER_KEY if expect.DIRECT else f"sk-{upstream}"
    assert expect.told(seen)["key"] == expected


@pytest.mark.gateway
def test_passthrough_key(upstream):
    own = openai.OpenAI(base_url=expect.PASSTHROUGH + "/v1", api_key=expect.CALLER_KEY, max_retries=0, timeout=20)
    completion = own.chat.completions.create(
        model=model(upstream, "key"), messages=[{"role": "user", "content": "Which key?"}]
    )
    assert json.loads(completion.choices[0].message.content)["key"] == expect.CALLER_KEY


def test_models(upstream):
    ids = [one.id for one in client.models.list()]
    assert expect.listed(upstream) in ids


@pytest.mark.gateway
def test_model(upstream):
    assert client.models.retrieve(expect.listed(upstream)).id == expect.listed(upstream)


def test_async(upstream):
    async def run():
        async with openai.AsyncOpenAI(
            base_url=expect.BASE + "/v1", api_key=expect.CALLER_KEY, max_retries=0, timeout=20
        ) as own:
            stream = await own.chat.completions.create(
                model=model(upstream, "text"), messages=[{"role": "user", "content": "Hi"}], stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    assert asyncio.run(run()) == expect.TEXT
