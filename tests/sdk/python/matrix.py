"""What the official SDKs for Python read of each stream of the list: a line of JSON per client, mode and stream."""

import concurrent.futures
import json
import os
import sys
import time
import traceback

import anthropic
import openai
from google import genai
from google.genai import types

BASE = os.environ["SDK_BASE"]
KEY = "sk-caller-0123456789"
ASKED = "Say something."
SCHEMA = {"type": "object", "properties": {}}


class Reading:
    """An answer as a program sees it that goes by its SDK's documentation."""

    def __init__(self):
        self.text, self.thoughts, self.finish, self.usage = "", "", None, None
        self.calls = []

    def call(self, id, name, arguments):
        self.calls.append({"id": id, "name": name, "arguments": arguments})


def chat(tools):
    client = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY, max_retries=0, timeout=20)
    declared = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in tools]

    def options(model):
        return {
            "model": model,
            "messages": [{"role": "user", "content": ASKED}],
            "tools": declared,
            "stream_options": {"include_usage": True},
        }

    def events(model):
        read, calls = Reading(), {}
        for chunk in client.chat.completions.create(stream=True, **options(model)):
            if chunk.usage:
                read.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]
            for choice in chunk.choices:
                read.text += choice.delta.content or ""
                read.thoughts += getattr(choice.delta, "reasoning_content", None) or ""
                for piece in choice.delta.tool_calls or []:
                    call = calls.setdefault(piece.index, ["", "", ""])
                    call[0] += piece.id or ""
                    call[1] += piece.function.name or ""
                    call[2] += piece.function.arguments or ""
                read.finish = choice.finish_reason or read.finish
        for id, name, arguments in calls.values():
            read.call(id, name, json.loads(arguments))
        return read

    def helper(model):
        with client.chat.completions.stream(**options(model)) as stream:
            for _event in stream:
                pass
            completion = stream.get_final_completion()
        read = Reading()
        [choice] = completion.choices
        read.text, read.finish = choice.message.content or "", choice.finish_reason
        read.thoughts = getattr(choice.message, "reasoning_content", None) or ""
        for call in choice.message.tool_calls or []:
            read.call(call.id, call.function.name, json.loads(call.function.arguments))
        if completion.usage:
            read.usage = [completion.usage.prompt_tokens, completion.usage.completion_tokens]
        return read

    return {"events": events, "helper": helper}


def responses(tools):
    client = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY, max_retries=0, timeout=20)
    declared = [{"type": "function", "name": name, "parameters": SCHEMA, "strict": False} for name in tools]

    def options(model):
        return {"model": model, "input": ASKED, "tools": declared, "reasoning": {"summary": "auto"}, "store": False}

    def see(response):
        read = Reading()
        for item in response.output:
            if item.type == "message":
                read.text += "".join(part.text for part in item.content if part.type == "output_text")
            elif item.type == "reasoning":
                told = [*item.summary, *(item.content or [])]
                read.thoughts += "\n\n".join(part.text for part in told)
            elif item.type == "function_call":
                read.call(item.call_id, item.name, json.loads(item.arguments))
        read.finish = response.incomplete_details.reason if response.incomplete_details else response.status
        if response.usage:
            read.usage = [response.usage.input_tokens, response.usage.output_tokens]
        return read

    def events(model):
        read, spoken, numbers, last = Reading(), {}, [], None
        for event in client.responses.create(stream=True, **options(model)):
            numbers.append(event.sequence_number)
            if event.type == "response.output_text.delta":
                read.text += event.delta
            elif event.type == "response.reasoning_summary_text.delta":
                read.thoughts += event.delta
            elif event.type == "response.function_call_arguments.delta":
                spoken[event.output_index] = spoken.get(event.output_index, "") + event.delta
            elif event.type == "response.output_item.done" and event.item.type == "function_call":
                assert spoken[event.output_index] == event.item.arguments, "the deltas say something else"
                read.call(event.item.call_id, event.item.name, json.loads(event.item.arguments))
            elif event.type == "response.failed":
                raise Failed(event.response.error.message)
            elif event.type == "error":
                raise Failed(event.message)
            elif event.type in ("response.completed", "response.incomplete"):
                last = see(event.response)
        if last:
            assert numbers == list(range(len(numbers))), f"numbers {numbers}"
            assert (read.text, read.calls) == (last.text, last.calls), "the last event says something else"
            read.thoughts, read.finish, read.usage = read.thoughts or last.thoughts, last.finish, last.usage
        return read

    def helper(model):
        with client.responses.stream(**options(model)) as stream:
            for _event in stream:
                pass
            return see(stream.get_final_response())

    return {"events": events, "helper": helper}


class Failed(Exception):
    """The stream tells by an event that there is no answer."""


def messages(tools):
    client = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0, timeout=20)
    declared = [{"name": name, "input_schema": SCHEMA} for name in tools]

    def options(model):
        return {
            "model": model,
            "messages": [{"role": "user", "content": ASKED}],
            "tools": declared,
            "max_tokens": 4096,
            "thinking": {"type": "adaptive", "display": "summarized"},
        }

    def count(*told):
        """What is told later replaces what was told before, where it is there."""
        latest = {}
        for usage in told:
            latest |= {key: value for key, value in usage.to_dict().items() if value is not None}
        prompt = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
        return [sum(latest.get(key, 0) for key in prompt), latest.get("output_tokens")]

    def events(model):
        read, open_blocks, spoken = Reading(), [], {}
        ended, counts = False, []
        for event in client.messages.create(stream=True, **options(model)):
            if event.type == "message_start":
                counts.append(event.message.usage)
            elif event.type == "content_block_start":
                assert not open_blocks, "a block starts while another is open"
                open_blocks.append(event.index)
                if event.content_block.type == "tool_use":
                    read.call(event.content_block.id, event.content_block.name, {})
                    spoken[event.index] = (read.calls[-1], [])
            elif event.type == "content_block_delta":
                assert open_blocks == [event.index], "a delta for a block that is not open"
                if event.delta.type == "text_delta":
                    read.text += event.delta.text
                elif event.delta.type == "thinking_delta":
                    read.thoughts += event.delta.thinking
                elif event.delta.type == "input_json_delta":
                    spoken[event.index][1].append(event.delta.partial_json)
            elif event.type == "content_block_stop":
                assert open_blocks.pop() == event.index, "another block stops than the one that is open"
            elif event.type == "message_delta":
                counts.append(event.usage)
                read.finish, read.usage = event.delta.stop_reason, count(*counts)
            elif event.type == "message_stop":
                ended = True
        read.finish = read.finish if ended else None
        for call, pieces in spoken.values():
            call["arguments"] = json.loads("".join(pieces) or "{}")
        return read

    def helper(model):
        with client.messages.stream(**options(model)) as stream:
            spoken = "".join(stream.text_stream)
            message = stream.get_final_message()
        read = Reading()
        for block in message.content:
            if block.type == "text":
                read.text += block.text
            elif block.type == "thinking":
                read.thoughts += block.thinking
            elif block.type == "tool_use":
                read.call(block.id, block.name, block.input)
        assert read.text == spoken, "the text of the events is another one"
        read.finish, read.usage = message.stop_reason, count(message.usage)
        return read

    return {"events": events, "helper": helper}


def gemini(tools):
    options = types.HttpOptions(base_url=BASE, timeout=20_000, retry_options=types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key=KEY, http_options=options)
    declared = [types.FunctionDeclaration(name=name, parameters_json_schema=SCHEMA) for name in tools]
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=declared)],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=types.ThinkingConfig(include_thoughts=True),
    )

    def gather(chunks):
        read = Reading()
        for chunk in chunks:
            if chunk.usage_metadata:
                counts = chunk.usage_metadata
                output = (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0)
                read.usage = [counts.prompt_token_count, output]
            for candidate in chunk.candidates or []:
                for part in (candidate.content and candidate.content.parts) or []:
                    if part.function_call:
                        call = part.function_call
                        read.call(call.id, call.name, call.args or {})
                    elif part.thought:
                        read.thoughts += part.text or ""
                    else:
                        read.text += part.text or ""
                read.finish = candidate.finish_reason.value if candidate.finish_reason else read.finish
        return read

    def events(model):
        return gather(client.models.generate_content_stream(model=model, contents=ASKED, config=config))

    def session(model):
        return gather(client.chats.create(model=model, config=config).send_message_stream(ASKED))

    return {"events": events, "session": session}


def told(read, model):
    begin = time.monotonic()
    return attempt(read, model) | {"seconds": round(time.monotonic() - begin, 3)}


def attempt(read, model):
    try:
        return {"read": vars(read(model))}
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        return {"error": f"{type(error).__name__}: {error}"[:400], "at": f"{line.filename}:{line.lineno}"}


def main(cases, out):
    with open(cases) as file:
        cases = json.load(file)
    tools = cases["tools"]
    clients = {"chat": chat(tools), "responses": responses(tools), "messages": messages(tools), "gemini": gemini(tools)}
    jobs = [
        (door, mode, read, model)
        for door, modes in clients.items()
        for mode, read in modes.items()
        for model in cases["models"][door]
    ]
    with concurrent.futures.ThreadPoolExecutor(4) as pool, open(out, "w") as file:
        for (door, mode, _, model), result in zip(jobs, pool.map(lambda job: told(job[2], job[3]), jobs)):
            print(json.dumps({"client": "python", "door": door, "mode": mode, "model": model} | result), file=file)


if __name__ == "__main__":
    main(*sys.argv[1:])
