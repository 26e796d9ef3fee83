"""Stored answers of the Responses API, used with the OpenAI SDK for Python as its README uses it."""

import json

import expect
import openai
import pytest
from expect import model

OWN = "up-responses"
MODES = ["whole", "stream", "helper"]
# A server of Responses keeps its answers itself.
UPSTREAMS = [upstream for upstream in expect.UPSTREAMS if upstream != OWN]

pytestmark = pytest.mark.gateway

client = openai.OpenAI(base_url=expect.BASE + "/v1", api_key=expect.CALLER_KEY, max_retries=0, timeout=20)

WEATHER = {"type": "function", "name": "get_weather", "description": "Weather of a city", "strict": False, "parameters": expect.WEATHER_SCHEMA}


def ask(mode, upstream, scenario, **options):
    """One request; the answer as the SDK gives it at the end."""
    options = {"model": model(upstream, scenario), "input": "Say something.", **options}
    if mode == "stream":
        last = list(client.responses.create(stream=True, **options))[-1]
        assert last.type == "response.completed"
        return last.response
    if mode == "helper":
        with client.responses.stream(**options) as stream:
            for _event in stream:
                pass
            return stream.get_final_response()
    return client.responses.create(**options)


def test_an_answer_is_found_again(upstream, mode):
    answer = ask(mode, upstream, "text")
    assert answer.output_text == expect.TEXT
    found = client.responses.retrieve(answer.id)
    assert (found.id, found.status, found.output_text) == (answer.id, "completed", expect.TEXT)
    assert [item.id for item in found.output] == [item.id for item in answer.output]
    assert found.usage == answer.usage


def test_it_can_be_streamed_again(upstream, mode):
    answer = ask(mode, upstream, "text")
    events = list(client.responses.retrieve(answer.id, stream=True))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == expect.TEXT
    assert [event.sequence_number for event in events] == list(range(len(events)))
    later = list(client.responses.retrieve(answer.id, stream=True, starting_after=1))
    assert [event.sequence_number for event in later] == list(range(2, len(events)))
    with client.responses.stream(response_id=answer.id) as stream:
        assert stream.get_final_response().output_text == expect.TEXT


def test_a_conversation_goes_on(upstream, mode):
    first = ask(mode, upstream, "text", input="Where from?")
    second = ask(mode, upstream, "multi-turn", input="And to whom?", previous_response_id=first.id)
    said = second.output_text
    places = [said.find(json.dumps(text, ensure_ascii=False)[1:-1].replace("\\", "\\\\")[:12]) for text in ("Where from?", expect.TEXT, "And to whom?")]
    assert -1 not in places and places == sorted(places), said
    assert second.previous_response_id == first.id


def test_a_tool_is_called_and_answers(upstream, mode):
    first = ask(mode, upstream, "tool", tools=[WEATHER])
    [call] = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments) == expect.WEATHER_ARGUMENTS
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
    second = ask(mode, upstream, "tool-result", tools=[WEATHER], input=[result], previous_response_id=first.id)
    told = json.loads(second.output_text)
    assert [one["name"] for one in told["calls"]] == ["get_weather"]
    assert "18 degrees" in json.dumps(told["results"])


@pytest.mark.modes("whole")
def test_its_input_is_listed(upstream, mode):
    words = ["one", "two", "three"]
    answer = ask(mode, upstream, "text", input=[{"role": "user", "content": word} for word in words])
    items = list(client.responses.input_items.list(answer.id, limit=2, order="asc"))
    assert [item.content[0].text for item in items] == words
    page = client.responses.input_items.list(answer.id, limit=1)
    assert page.has_more and page.data[0].content[0].text == "three"


@pytest.mark.modes("whole")
def test_what_is_deleted_is_gone(upstream, mode):
    answer = ask(mode, upstream, "text")
    client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)
    with pytest.raises(openai.BadRequestError) as caught:
        ask(mode, upstream, "text", previous_response_id=answer.id)
    assert caught.value.code == "previous_response_not_found"


@pytest.mark.modes("whole")
def test_what_is_done_is_not_cancelled(upstream, mode):
    answer = ask(mode, upstream, "text")
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(answer.id)
