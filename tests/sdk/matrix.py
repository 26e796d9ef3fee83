"""The stream matrix: which client reads which of the streams in shapes.toml rightly, at which door.

`matrix.py cases FILE` writes what the clients are to ask for. `matrix.py judge PAGE RESULTS…` compares what they read with what
they must, and how the conversations of the agents ended, prints what is wrong, and checks that PAGE says what was measured; with
LINGATE_BLESS set it writes the page.
"""

import collections
import json
import os
import pathlib
import re
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
UPSTREAMS = {"chat": "Chat", "responses": "Responses", "messages": "Messages", "gemini": "Gemini"}
DOORS = UPSTREAMS
CLIENTS = {"python": "Python", "node": "Node", "ai-sdk": "AI SDK"}

# How a way of ending that shapes.toml names in the words of Chat is called at a door.
FINISHES = {
    "chat": {},
    "responses": {"stop": "completed", "length": "max_output_tokens", "tool_calls": "completed"},
    "messages": {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"},
    "gemini": {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"},
    "ai-sdk": {"tool_calls": "tool-calls", "content_filter": "content-filter"},
}

# Ways of asking that keep no thoughts, or of a field that they do not know only the last piece.
WITHOUT_THOUGHTS = {("chat", "ai-sdk", "openai"), ("chat", "node", "helper")}

# Ways of asking that make an error of an ending.
RAISES = {
    ("chat", "python", "helper", "length"): "LengthFinishReasonError",
    ("chat", "python", "helper", "content_filter"): "ContentFilterFinishReasonError",
    ("responses", "python", "helper", "length"): "RuntimeError: Didn't receive a `response.completed`",
    ("responses", "python", "helper", "content_filter"): "RuntimeError: Didn't receive a `response.completed`",
}

# Ways of asking that do not say which error it was.
HIDES = {("responses", "python", "helper")}

# What a client does not read, and why Lingate leaves it so.
LEFT = {
    ("odd_unknown_events", "messages", "repaired", "ai-sdk"): "a block of a new type returns to the dialect that it came from",
}

# How an agent's conversation ends, but for the turns whose reasoning came back to the upstream with its proof.
ENDS = {"sum": 535, "turns": 10}

# Agents that lose the reasoning of Chat between their turns.
FORGETFUL = {("node", "stream"), ("ai-sdk", "whole"), ("ai-sdk", "stream")}

RIGHT, RAISED, WRONG = "✓", "E", "✗"
BEGIN, END = "<!-- generated: `make compatibility` -->\n", "<!-- end of what is generated -->\n"


def shapes():
    with open(HERE / "shapes.toml", "rb") as file:
        rows = tomllib.load(file)["shape"]
    names = collections.Counter(row["name"] for row in rows)
    assert not (twice := [name for name, count in names.items() if count > 1]), twice
    for row in rows:
        if filling := row.get("filling"):
            row["text"] = row.get("text", "").replace("FILLING", "x" * filling)
        yield row


# Streams of a door's own dialect come twice: as they came, and from a provider with `repair_streams`.
LANES = {"as-it-came": "shapes", "repaired": "repaired"}


def models(row):
    """How a door names a stream, for each door and lane."""
    for door in DOORS:
        for lane, provider in LANES.items():
            if lane == "as-it-came" or door == row["upstream"]:
                yield door, lane, f"{provider}-{row['upstream']}/{row['name']}"


def cases(out):
    rows = list(shapes())
    tools = sorted({name for row in rows for name, _arguments in row.get("calls", [])})
    asked = {door: [name for row in rows for at, _lane, name in models(row) if at == door] for door in DOORS}
    with open(out, "w") as file:
        json.dump({"tools": tools, "models": asked}, file)


def verdict(row, result):
    """What became of a stream at a client, and what is wrong with it."""
    if "error" in row:
        if "error" not in result:
            return WRONG, f"no error, but {shown(result['read'])}"
        hidden = (result["door"], result["client"], result["mode"]) in HIDES
        if not hidden and not re.search(row["error"], result["error"], re.IGNORECASE):
            return WRONG, f"another error: {result['error']}"
        return RAISED, ""
    client, door, mode = result["client"], result["door"], result["mode"]
    if "error" in result:
        if result["error"].startswith(RAISES.get((door, client, mode, row["finish"]), "-")):
            return RIGHT, ""
        return WRONG, f"{result['error']} ({result.get('at')})"
    read, faults = result["read"], []
    words = FINISHES["ai-sdk" if client == "ai-sdk" else door]
    expect = {
        "text": row.get("text", ""),
        "calls": [list(call) for call in row.get("calls", [])],
        "finish": words.get(row["finish"], row["finish"]),
    }
    if "thoughts" in row and (door, client, mode) not in WITHOUT_THOUGHTS:
        expect["thoughts"] = row["thoughts"]
    if "usage" in row:
        expect["usage"] = row["usage"]
    calls = read["calls"]
    read = read | {"calls": [[call.get("name"), call.get("arguments")] for call in calls]}
    faults += [f"{key} is {shown(read.get(key))}, not {shown(right)}" for key, right in expect.items() if read.get(key) != right]
    ids = [call.get("id") for call in calls]
    # Gemini's own calls may go without.
    if door != "gemini" and (not all(ids) or len(set(ids)) < len(ids)):
        faults.append(f"ids of calls {ids}")
    return (WRONG, "; ".join(faults)) if faults else (RIGHT, "")


def shown(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 300 else f"{text[:300]}… ({len(text)} letters)"


def judge(page, files):
    rows = list(shapes())
    places = {(door, name): (row, lane) for row in rows for door, lane, name in models(row)}
    cells = collections.defaultdict(dict)
    faults, readings, judged, agents = [], 0, 0, {}
    for file in files:
        for line in pathlib.Path(file).read_text().splitlines():
            result = json.loads(line)
            if "upstream" in result:
                agents[result["client"], result["door"], result["upstream"], result["mode"]] = result
                continue
            door, client = result["door"], result["client"]
            row, lane = places[door, result["model"]]
            mark, why = verdict(row, result)
            readings += 1
            cells[row["name"], door, lane, client][result["mode"]] = mark
            # Bytes that go through are between the client and its server.
            untouched = row["upstream"] == door and lane == "as-it-came"
            judged += not untouched
            left = (row["name"], door, lane, client) in LEFT
            if mark == WRONG and not untouched and not left:
                faults.append(f"{row['name']} → {door} ({lane}), {client} ({result['mode']}): {why}")
            elif mark == WRONG and os.environ.get("MATRIX_ALL"):
                print(f"as it came: {row['name']}, {client} ({result['mode']}): {why}")
    expected = {(row["name"], door, lane, client) for row in rows for door, lane, _name in models(row) for client in CLIENTS}
    faults += [f"not measured: {cell}" for cell in sorted(expected - cells.keys())]
    faults += converse(agents)
    for fault in faults:
        print("FAILED", fault)
    print(f"agents: {len(agents)} conversations")
    print(f"stream matrix: {len(rows)} streams, {readings} readings, {judged} of them not of bytes that go through, {len(faults)} wrong")
    if faults:
        return 1
    text = page.read_text() if page.exists() else BEGIN + END
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    fresh = f"{before}{BEGIN}\n{tables(rows, cells)}\n\n{conversations(agents)}\n{END}{after}"
    if os.environ.get("LINGATE_BLESS"):
        page.write_text(fresh)
    elif fresh != text:
        print(f"FAILED {page.name} does not say what was measured: run `make compatibility`")
        for old, new in zip(text.splitlines(), fresh.splitlines()):
            if old != new:
                print(f"  - {old}\n  + {new}")
        return 1
    return 0


def converse(agents):
    """What is wrong with the conversations of the agents."""
    clients = {(client, door) for client in CLIENTS for door in DOORS} | {("ai-sdk-compatible", "chat")}
    for client, door in sorted(clients):
        for upstream in UPSTREAMS:
            for mode in ("whole", "stream"):
                name = f"agent at {door}, {client} → {upstream} ({mode})"
                result = agents.get((client, door, upstream, mode), {"error": "not measured"})
                if "error" in result:
                    yield f"{name}: {result['error']} ({result.get('at')})"
                elif {key: result["end"].get(key) for key in ENDS} != ENDS:
                    yield f"{name}: ends with {result['end']}"
                elif door == upstream and result["end"]["proven"] < ENDS["turns"] and not (door == "chat" and (client, mode) in FORGETFUL):
                    yield f"{name}: reasoning came back in {result['end']['proven']} turns only"


def conversations(agents):
    out = ["### Ten turns of an agent", ""]
    lines = []
    for client, door in sorted({key[:2] for key in agents}, key=lambda key: (list(DOORS).index(key[1]), key[0])):
        name = CLIENTS.get(client, "AI SDK, compatible")
        line = [f"{DOORS[door]}: {name}"]
        for upstream in UPSTREAMS:
            proven = [agents[client, door, upstream, mode]["end"]["proven"] for mode in ("whole", "stream")]
            line.append(f"{RIGHT} {' / '.join(map(str, dict.fromkeys(proven)))}")
        lines.append(line)
    return "\n".join(out + table(["client", *UPSTREAMS.values()], lines))


def tables(rows, cells):
    out = []
    for upstream, title in UPSTREAMS.items():
        own = [row for row in rows if row["upstream"] == upstream]
        lane = {door: "repaired" if door == upstream else "as-it-came" for door in DOORS}
        heads = [f"{DOORS[door]}: {CLIENTS[client]}" for door in DOORS for client in CLIENTS]
        lines = [[row["title"]] + [cell(cells[row["name"], door, lane[door], client]) for door in DOORS for client in CLIENTS] for row in own]
        out += [f"### What a server of {title} sends", "", f"{title} itself with `repair_streams`.", ""]
        out += table(["stream", *heads], lines)
        lines = [[row["title"]] + [cell(cells[row["name"], upstream, "as-it-came", client]) for client in CLIENTS] for row in own]
        lines = [line for line in lines if any(WRONG in mark for mark in line)]
        out += ["", f"Bytes of {title} that go through, where a client misreads them:", ""]
        out += table(["stream", *(f"{title}: {client}" for client in CLIENTS.values())], lines)
        out.append("")
    return "\n".join(out).rstrip()


def table(heads, lines):
    lines = [[text.replace("|", "\\|") for text in line] for line in lines]
    rule = ["---", *[":-:"] * (len(heads) - 1)]
    return [f"| {' | '.join(line)} |" for line in [heads, rule, *lines]]


def cell(modes):
    """One mark where all ways of asking agree; else the ways that misread it."""
    marks = set(modes.values())
    if len(marks) == 1:
        return marks.pop()
    wrong = [mode for mode, mark in modes.items() if mark == WRONG]
    return f"{WRONG} {', '.join(wrong)}"


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "cases":
        cases(*arguments)
    else:
        sys.exit(judge(pathlib.Path(arguments[0]), arguments[1:]))
