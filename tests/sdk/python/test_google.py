"""The Google Gen AI SDK for Python, used as its README uses it."""

import asyncio
import json
import urllib.request

import expect
import pydantic
import pytest
from expect import Seen, model
from google import genai
from google.genai import errors, types

OWN = "up-gemini"
MODES = ["whole", "stream"]


def connect(base):
    options = types.HttpOptions(base_url=base, timeout=20_000, retry_options=types.HttpRetryOptions(attempts=1))
    return genai.Client(api_key=expect.CALLER_KEY, http_options=options)


client = connect(expect.BASE)

WEATHER = types.FunctionDeclaration(
    name="get_weather", description="Weather of a city", parameters_json_schema=expect.WEATHER_SCHEMA
)
TIME = types.FunctionDeclaration(
    name="get_time",
    parameters=types.Schema(
        type=types.Type.OBJECT, properties={"tz": types.Schema(type=types.Type.STRING)}, required=["tz"]
    ),
)
TOOLS = [types.Tool(function_declarations=[WEATHER, TIME])]


def ask(mode, upstream, scenario, contents="Say something.", **config):
    """One request; what the SDK makes of the answer."""
    config["automatic_function_calling"] = types.AutomaticFunctionCallingConfig(disable=True)
    options = {
        "model": model(upstream, scenario),
        "contents": contents,
        "config": types.GenerateContentConfig(**config),
    }
    if mode == "stream":
        return see(list(client.models.generate_content_stream(**options)))
    return see([client.models.generate_content(**options)])


def see(responses):
    seen = Seen(model=responses[-1].model_version, id=responses[-1].response_id)
    parts = []
    for response in responses:
        for candidate in response.candidates or []:
            parts += (candidate.content.parts or []) if candidate.content else []
            if candidate.finish_reason:
                assert not seen.finish, "a second finish reason"
                seen.finish = candidate.finish_reason.value
    for part in parts:
        if part.function_call:
            seen.calls.append((part.function_call.id, part.function_call.name, part.function_call.args))
        elif part.thought:
            seen.thoughts += part.text or ""
        else:
            seen.text += part.text or ""
    seen.parts = parts
    usage = [response.usage_metadata for response in responses if response.usage_metadata][-1]
    seen.input, seen.cached = usage.prompt_token_count, usage.cached_content_token_count or 0
    seen.output = usage.candidates_token_count + (usage.thoughts_token_count or 0)
    assert usage.total_token_count == seen.input + seen.output
    return seen


def test_text(upstream, mode):
    seen = ask(mode, upstream, "text")
    assert (seen.text, seen.finish) == (expect.TEXT, "STOP")
    expect.usage(seen)
    expect.named(seen, upstream, "text")


def test_system(upstream, mode):
    assert ask(mode, upstream, "system", system_instruction="Be brief — très bref.").text == "Be brief — très bref."


def test_multi_turn(upstream, mode):
    contents = [
        types.UserContent("My name is Ada."),
        types.ModelContent("Hello Ada."),
        types.UserContent("What is my name?"),
    ]
    seen = ask(mode, upstream, "multi-turn", contents)
    assert expect.told(seen) == [["user", "My name is Ada."], ["assistant", "Hello Ada."], ["user", "What is my name?"]]


def test_chat_session(upstream):
    chat = client.chats.create(model=model(upstream, "multi-turn"))
    chat.send_message("One.")
    second = chat.send_message("Two.")
    assert json.loads(second.text) == [["user", "One."], ["assistant", '[["user","One."]]'], ["user", "Two."]]


def test_image(upstream, mode):
    contents = [types.Part.from_bytes(data=expect.PIXELS, mime_type="image/png"), "What is this?"]
    assert expect.told(ask(mode, upstream, "image", contents)) == [expect.IMAGE]


def test_tool_declarations(upstream):
    expect.declared(ask("whole", upstream, "describe-tools", tools=TOOLS))


def test_tool(upstream, mode):
    seen = ask(mode, upstream, "tool", tools=TOOLS)
    assert seen.text == "Let me look."
    assert [(name, arguments) for _id, name, arguments in seen.calls] == [("get_weather", expect.WEATHER_ARGUMENTS)]
    assert seen.finish == "STOP"
    expect.usage(seen)


def test_parallel_tools(upstream, mode):
    seen = ask(mode, upstream, "parallel", tools=TOOLS)
    assert [(name, arguments) for _id, name, arguments in seen.calls] == [
        ("get_weather", expect.WEATHER_ARGUMENTS),
        ("get_time", expect.TIME_ARGUMENTS),
    ]
    assert seen.finish == "STOP"


def test_tool_result(upstream, mode):
    question = types.UserContent("Weather and time?")
    first = ask("whole", upstream, "parallel", question, tools=TOOLS)
    calls = [part.function_call for part in first.parts if part.function_call]
    answers = [{"temp": 21}, {"output": "12:00 in Zürich"}]
    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response=answer))
        for call, answer in zip(calls, answers, strict=True)
    ]
    contents = [question, types.Content(role="model", parts=first.parts), types.Content(role="user", parts=results)]
    seen = ask(mode, upstream, "tool-result", contents, tools=TOOLS)
    expect.loop(seen, [call.id for call in calls])


def test_tool_failure(upstream):
    call = types.Part.from_function_call(name="get_time", args={"tz": "CET"})
    result = types.Part.from_function_response(name="get_time", response={"error": "no such zone"})
    contents = [types.UserContent("The time?"), types.ModelContent(call), types.UserContent(result)]
    [received] = expect.told(ask("whole", upstream, "tool-result", contents, tools=TOOLS))["results"]
    assert "no such zone" in json.dumps(received["content"])
    assert received["failed"] or "error" in json.dumps(received["content"]).lower()


@pytest.mark.parametrize(
    ("mode_name", "names", "arrives"),
    [("AUTO", None, "auto"), ("NONE", None, "none"), ("ANY", None, "any"), ("ANY", ["get_time"], "get_time")],
)
def test_tool_choice(upstream, mode_name, names, arrives):
    calling = types.FunctionCallingConfig(mode=mode_name, allowed_function_names=names)
    config = types.ToolConfig(function_calling_config=calling)
    assert expect.told(ask("whole", upstream, "choice", tools=TOOLS, tool_config=config)) == arrives


class Forecast(pydantic.BaseModel):
    city: str
    days: int
    dry: bool
    tags: list[str]


FORECAST = Forecast(city="city ✓", days=7, dry=True, tags=["tags ✓"])


def test_structured_output(upstream, mode):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Forecast)
    options = {"model": model(upstream, "schema"), "contents": "A forecast, please.", "config": config}
    if mode == "stream":
        spoken = "".join(chunk.text or "" for chunk in client.models.generate_content_stream(**options))
        assert Forecast.model_validate_json(spoken) == FORECAST
    else:
        assert client.models.generate_content(**options).parsed == FORECAST


def test_structured_output_by_json_schema(upstream):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    seen = ask("whole", upstream, "schema", response_mime_type="application/json", response_json_schema=schema)
    assert expect.told(seen) == {"city": "city ✓"}


def test_max_tokens(upstream, mode):
    seen = ask(mode, upstream, "max-tokens", max_output_tokens=37)
    assert (seen.text, seen.finish) == ("limit 37", "MAX_TOKENS")


def test_stop(upstream, mode):
    seen = ask(mode, upstream, "stop", stop_sequences=["END", "HALT"])
    assert (expect.told(seen), seen.finish) == (expect.stops(upstream), "STOP")


def test_sampling(upstream):
    seen = ask("whole", upstream, "sampling", temperature=0.5, top_p=0.25)
    assert expect.told(seen) == {"temperature": 0.5, "top_p": 0.25}


def test_reasoning(upstream, mode):
    seen = ask(mode, upstream, "reasoning", thinking_config=types.ThinkingConfig(include_thoughts=True))
    assert seen.text == "4"
    expect.usage(seen, thoughts=3)
    assert seen.thoughts == "Let me think: 2 + 2."


def test_error(upstream, status, mode):
    with pytest.raises(errors.APIError) as raised:
        ask(mode, upstream, f"error-{status}")
    assert type(raised.value) is (errors.ClientError if status < 500 else errors.ServerError)
    # A refused key is an invalid argument to Gemini itself, whose answer passes through as it is.
    assert raised.value.code == (400 if status == 401 and upstream == OWN else status)
    assert raised.value.status
    assert "judge" in raised.value.message
    if status == 429:
        details = raised.value.details["error"]["details"]
        assert [detail["retryDelay"] for detail in details if "retryDelay" in detail] == ["7s"]


@pytest.mark.parametrize("scenario", ["broken", "cut"])
def test_a_stream_that_fails_is_never_a_finished_answer(upstream, scenario):
    with pytest.raises(Exception) as raised:
        ask("stream", upstream, scenario)
    assert not isinstance(raised.value, AssertionError)


def test_count_tokens(upstream):
    counted = client.models.count_tokens(model=model(upstream, "text"), contents="Hello, world")
    if upstream in ("up-chat", "up-responses"):  # not counted there: the gateway estimates
        assert 1 <= counted.total_tokens <= 30
    else:
        assert counted.total_tokens == 42


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_array_framing(upstream, version):
    """Without alt=sse a stream is one JSON array, which no SDK asks for and curl users do."""
    request = urllib.request.Request(
        f"{expect.BASE}/{version}/models/{model(upstream, 'text')}:streamGenerateContent",
        json.dumps({"contents": [{"parts": [{"text": "Hi"}]}]}).encode(),
        {"content-type": "application/json", "x-goog-api-key": expect.CALLER_KEY},
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        assert response.headers["content-type"].startswith("application/json")
        chunks = json.load(response)
    assert len(chunks) > 2
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(part.get("text", "") for part in parts) == expect.TEXT
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert chunks[-1]["usageMetadata"]["totalTokenCount"] == 30


def test_provider_key(upstream):
    seen = ask("whole", upstream, "key")
    expected = expect.CALLER_KEY if expect.DIRECT else f"sk-{upstream}"
    assert expect.told(seen)["key"] == expected


@pytest.mark.gateway
def test_passthrough_key(upstream):
    caller = connect(expect.PASSTHROUGH)
    response = caller.models.generate_content(model=model(upstream, "key"), contents="Which key?")
    assert json.loads(response.text)["key"] == expect.CALLER_KEY


def test_models(upstream):
    names = [one.name for one in client.models.list()]
    assert "models/" + expect.listed(upstream) in names


@pytest.mark.gateway
def test_model(upstream):
    assert client.models.get(model=expect.listed(upstream)).name == "models/" + expect.listed(upstream)


def test_async(upstream):
    async def run():
        stream = await client.aio.models.generate_content_stream(model=model(upstream, "text"), contents="Hi")
        return "".join([chunk.text or "" async for chunk in stream])

    assert asyncio.run(run()) == expect.TEXT
