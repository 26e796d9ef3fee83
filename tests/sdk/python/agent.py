"""Ten turns of an agent with each official SDK for Python, against each upstream: a line of JSON per conversation.

The judge's scenario `agent` checks each request against all that was said before; here the tools are run, and the end is told.
"""

import concurrent.futures
import json
import os
import sys
import traceback

import anthropic
import openai
from google import genai
from google.genai import types

BASE = os.environ["SDK_BASE"]
KEY = "sk-caller-0123456789"
TASK = "Add up what the tools give."
MOST_TURNS = 12
ADD = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}
LOOKUP = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
TOOLS = {"add": ("Adds two numbers", ADD), "lookup": ("Looks up a key", LOOKUP)}


def run(name, arguments):
    if name == "add":
        return {"sum": arguments["a"] + arguments["b"]}
    return {"value": f"value of {arguments['key']}"}


def chat(model, streamed):
    client = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY, max_retries=0, timeout=20)
    tools = [
        {"type": "function", "function": {"name": name, "description": text, "parameters": schema}}
        for name, (text, schema) in TOOLS.items()
    ]
    messages = [{"role": "user", "content": TASK}]
    for _ in range(MOST_TURNS):
        options = {"model": model, "messages": messages, "tools": tools, "reasoning_effort": "high"}
        if streamed:
            with client.chat.completions.stream(**options) as stream:
                message = stream.until_done().get_final_completion().choices[0].message
        else:
            message = client.chat.completions.create(**options).choices[0].message
        if not message.tool_calls:
            return message.content
        # `parsed` is what the helper adds; the rest goes back as it came.
        turn = message.to_dict() if not streamed else message.model_dump(exclude_none=True, exclude={"parsed"})
        for call in turn["tool_calls"]:
            call["function"].pop("parsed_arguments", None)
            call.pop("index", None)
        messages.append(turn)
        for call in message.tool_calls:
            result = run(call.function.name, json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
    raise RuntimeError("no end")


def responses(model, streamed):
    client = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY, max_retries=0, timeout=20)
    tools = [
        {"type": "function", "name": name, "description": text, "parameters": schema, "strict": False}
        for name, (text, schema) in TOOLS.items()
    ]
    items = [{"role": "user", "content": TASK}]
    for _ in range(MOST_TURNS):
        options = {
            "model": model,
            "input": items,
            "tools": tools,
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "high", "summary": "auto"},
        }
        if streamed:
            with client.responses.stream(**options) as stream:
                for _event in stream:
                    pass
                response = stream.get_final_response()
        else:
            response = client.responses.create(**options)
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return response.output_text
        items += [sent_back(item) for item in response.output]
        for call in calls:
            result = run(call.name, json.loads(call.arguments))
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": json.dumps(result)})
    raise RuntimeError("no end")


def sent_back(item):
    """An item as it came over the wire, without what the helper added."""
    sent = item.model_dump(exclude_none=True, exclude={"parsed_arguments"})
    for part in sent.get("content", []):
        part.pop("parsed", None)
    return sent


def messages(model, streamed):
    client = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0, timeout=20)
    tools = [{"name": name, "description": text, "input_schema": schema} for name, (text, schema) in TOOLS.items()]
    turns = [{"role": "user", "content": TASK}]
    for _ in range(MOST_TURNS):
        options = {
            "model": model,
            "messages": turns,
            "tools": tools,
            "max_tokens": 4096,
            "thinking": {"type": "adaptive", "display": "summarized"},
        }
        if streamed:
            with client.messages.stream(**options) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**options)
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            return "".join(block.text for block in message.content if block.type == "text")
        turns.append({"role": "assistant", "content": message.content})
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": json.dumps(run(call.name, call.input))}
            for call in calls
        ]
        turns.append({"role": "user", "content": results})
    raise RuntimeError("no end")


def gemini(model, streamed):
    options = types.HttpOptions(base_url=BASE, timeout=20_000, retry_options=types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key=KEY, http_options=options)
    declared = [
        types.FunctionDeclaration(name=name, description=text, parameters_json_schema=schema)
        for name, (text, schema) in TOOLS.items()
    ]
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=declared)],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=types.ThinkingConfig(include_thoughts=True),
    )
    session = client.chats.create(model=model, config=config)
    said = TASK
    for _ in range(MOST_TURNS):
        if streamed:
            chunks = list(session.send_message_stream(said))
        else:
            chunks = [session.send_message(said)]
        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or []]
        calls = [part.function_call for part in parts if part.function_call]
        if not calls:
            return "".join(part.text or "" for part in parts if not part.thought)
        said = [
            types.Part(
                function_response=types.FunctionResponse(id=call.id, name=call.name, response=run(call.name, call.args))
            )
            for call in calls
        ]
    raise RuntimeError("no end")


DOORS = {"chat": chat, "responses": responses, "messages": messages, "gemini": gemini}


def told(door, upstream, streamed):
    result = {"client": "python", "door": door, "upstream": upstream, "mode": "stream" if streamed else "whole"}
    try:
        return result | {"end": json.loads(DOORS[door](f"up-{upstream}/agent", streamed))}
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        return result | {"error": f"{type(error).__name__}: {error}"[:600], "at": f"{line.filename}:{line.lineno}"}


def main(out):
    jobs = [(door, upstream, streamed) for door in DOORS for upstream in DOORS for streamed in [False, True]]
    with concurrent.futures.ThreadPoolExecutor(4) as pool, open(out, "w") as file:
        for result in pool.map(lambda job: told(*job), jobs):
            print(json.dumps(result), file=file)


if __name__ == "__main__":
    main(*sys.argv[1:])
