"""Asks for every recorded answer in its own dialect, straight and through the gateway, and compares the bytes.

Where client and upstream speak the same dialect the gateway converts nothing: status, content type and every byte of the body
must be what the upstream sent.
"""

import argparse
import collections
import http.client
import json
import sys
import urllib.parse

HEADERS = {
    "openai_chat": {"authorization": "Bearer caller"},
    "openai_responses": {"authorization": "Bearer caller"},
    "anthropic_messages": {"x-api-key": "caller", "anthropic-version": "2023-06-01"},
    "gemini_generate": {"x-goog-api-key": "caller"},
}


class Server:
    """One kept connection; a broken one is opened anew."""

    def __init__(self, base):
        self.address = urllib.parse.urlsplit(base).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=30)

    def fetch(self, method, path, body=None, headers=None):
        """(status, content type, body)"""
        try:
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
            return response.status, response.headers.get("content-type"), response.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return 0, None, f"{type(error).__name__}: {error}".encode()


def request(dialect, model, stream, framing):
    """(path, body) that asks this model for an answer of the recorded kind."""
    if dialect == "openai_chat":
        body = {"model": model, "messages": [{"role": "user", "content": "Say something."}]}
        return "/v1/chat/completions", body | ({"stream": True} if stream else {})
    if dialect == "openai_responses":
        body = {"model": model, "input": "Say something."}
        return "/v1/responses", body | ({"stream": True} if stream else {})
    if dialect == "anthropic_messages":
        body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "Say something."}]}
        return "/v1/messages", body | ({"stream": True} if stream else {})
    verb = "generateContent" if not stream else "streamGenerateContent"
    query = "?alt=sse" if stream and framing != "json_array" else ""
    return f"/v1beta/models/{model}:{verb}{query}", {"contents": [{"role": "user", "parts": [{"text": "Say something."}]}]}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--replay", required=True)
    arguments.add_argument("--base", required=True)
    arguments.add_argument("--dialect", required=True, choices=HEADERS)
    arguments.add_argument("--prefix", required=True, help="of the model name, as up-chat/")
    arguments.add_argument("--sample", type=int, default=0)
    arguments.add_argument("--json", required=True)
    chosen = arguments.parse_args()

    replay, gateway = Server(chosen.replay), Server(chosen.base)
    headers = {"content-type": "application/json", **HEADERS[chosen.dialect]}
    ids = json.loads(replay.fetch("GET", f"/__replay/ids?dialect={chosen.dialect}")[2])
    tally, different = collections.Counter(), []
    for recording in sorted(ids)[: chosen.sample or None]:
        exchange = json.loads(replay.fetch("GET", f"/__replay/exchange/{recording}")[2])
        framing = exchange["meta"]["framing"]
        stream = exchange["stream"] or framing in ("sse", "json_array")
        answers = []
        for server, model in ((replay, f"replay-{recording}"), (gateway, f"{chosen.prefix}replay-{recording}")):
            path, body = request(chosen.dialect, model, stream, framing)
            answers.append(server.fetch("POST", path, json.dumps(body), headers))
        straight, through = answers
        kind = "errors" if straight[0] >= 400 else "streams" if stream else "whole"
        tally[kind] += 1
        if straight != through:
            tally[kind + " changed"] += 1
            different.append((kind, recording, difference(straight, through)))
    print(dict(tally))
    for kind, recording, what in different[:20]:
        print(kind, recording, what)
    with open(chosen.json, "w", encoding="utf-8") as file:
        json.dump({"dialect": chosen.dialect, "tally": tally, "different": different}, file, indent=1)
    return 1 if different else 0


def difference(straight, through):
    for name, one, other in zip(("status", "content-type"), straight, through):
        if one != other:
            return f"{name}: {one!r} became {other!r}: {through[2][:160]!r}"
    one, other = straight[2], through[2]
    place = next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    return f"at byte {place} of {len(one)}: {one[place:place + 60]!r} became {other[place:place + 60]!r}"


if __name__ == "__main__":
    sys.exit(main())
