"""Prices every recorded answer that tells its usage, and compares with what the gateway says it costs.

Shares nothing with the gateway: the usage is read here from the raw answers of the providers, the rates come straight from the list
of prices (../shared/data/prices-litellm.json), and all arithmetic is of fractions. The amounts must be equal to the nano-dollar.
"""

import argparse
import collections
import fractions
import json
import math
import os
import re
import subprocess
import sys

Fraction = fractions.Fraction

DIALECTS = {
    "openai_chat": "chat",
    "openai_responses": "responses",
    "anthropic_messages": "messages",
    "gemini_generate": "gemini",
}

# Who answered a recording: the gateway's provider, and what the list of prices calls it.
PROVIDERS = {
    "openai": ("openai", ["openai", "text-completion-openai"]),
    "anthropic": ("anthropic", ["anthropic"]),
    "gemini": ("gemini", ["gemini"]),
    "azure": ("azure-openai", ["azure"]),
    "mistral": ("mistral", ["mistral"]),
    "deepseek": ("deepseek", ["deepseek"]),
    "groq": ("groq", ["groq"]),
    "xai": ("xai", ["xai"]),
    "perplexity": ("perplexity", ["perplexity"]),
    "together": ("together", ["together_ai"]),
    "cerebras": ("cerebras", ["cerebras"]),
    "moonshotai": ("moonshot", ["moonshot"]),
    "zai": ("zai", ["zai"]),
    "z": ("zai", ["zai"]),
    "vertex": ("vertex-express", ["vertex_ai-language-models", "vertex_ai"]),
}
MODES = {"chat", "responses", "completion", "image_generation"}
# When all answers are taken to be asked for: no hour of any cheap window.
MOMENT = "2026-11-30T08:00:00Z"


def load_prices(path):
    """(litellm provider, model in lower case) → facts; numbers stay decimal."""
    with open(path, encoding="utf-8") as file:
        facts = json.load(file, parse_float=Fraction, parse_int=int)
    found = {}
    for key, fact in facts.items():
        provider = fact.get("litellm_provider")
        if fact.get("mode") not in MODES:
            continue
        name = key.lower().removeprefix(f"{provider}/").removeprefix("vertex_ai/")
        found.setdefault((provider, name), fact)
    return found


def overlaid(path):
    """Rows of our own, which replace the list's: they are not the list's to check."""
    rows, provider = set(), None
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("["):
                provider = line.strip().strip("[]")
            elif provider and line.strip() and not line.startswith("#"):
                rows.add((provider, line.split()[0]))
    return rows


def objects(text):
    """The JSON objects of an answer: of a whole one, an array, or a stream of events."""
    text = text.lstrip()
    try:
        whole = json.loads(text)
        return whole if isinstance(whole, list) else [whole]
    except json.JSONDecodeError:
        pass
    out = []
    for line in text.splitlines():
        if line.startswith("data:"):
            try:
                out.append(json.loads(line[5:]))
            except json.JSONDecodeError:
                continue
    return [one for one in out if isinstance(one, dict)]


def of(value, *path):
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def chat_usage(parts):
    usage, tier = {}, None
    for part in parts:
        told = part.get("usage") or of(part, "x_groq", "usage")
        if isinstance(told, dict):
            usage = {**usage, **{key: value for key, value in told.items() if value is not None}}
        tier = part.get("service_tier") or tier
    if not usage:
        return None
    prompt, output = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    details, made = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    cached = details.get("cached_tokens")
    for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"):
        cached = cached if cached is not None else usage.get(name)
    written = details.get("cache_write_tokens")
    written = written if written is not None else usage.get("cache_creation_input_tokens")
    reasoning = made.get("reasoning_tokens") or usage.get("reasoning_tokens") or 0
    beyond = (usage.get("total_tokens") or 0) - prompt - output
    if beyond > 0 and beyond == reasoning:  # xAI counts the reasoning beside the answer.
        output += beyond
    elif beyond > 0 and beyond == (details.get("audio_tokens") or 0):
        prompt += beyond
    searches = usage.get("num_search_queries") or of(usage, "server_tool_use_details", "web_search_requests") or 0
    return {
        "prompt": prompt, "read": cached or 0, "write": written or 0, "output": output, "reasoning": reasoning,
        "audio_in": details.get("audio_tokens") or 0, "audio_out": made.get("audio_tokens") or 0,
        "image_in": details.get("image_tokens") or 0, "image_out": made.get("image_tokens") or 0,
        "searches": searches, "tier": tier,
    }


def responses_usage(parts):
    answer = None
    for part in parts:
        inner = part.get("response") if "response" in part else part
        if isinstance(inner, dict) and isinstance(inner.get("usage"), dict):
            answer = inner
    if answer is None:
        return None
    usage = answer["usage"]
    details = usage.get("input_tokens_details") or usage.get("prompt_tokens_details") or {}
    made = usage.get("output_tokens_details") or usage.get("completion_tokens_details") or {}
    prompt = usage.get("input_tokens", usage.get("prompt_tokens")) or 0
    output = usage.get("output_tokens", usage.get("completion_tokens")) or 0
    reasoning = made.get("reasoning_tokens") or 0
    beyond = (usage.get("total_tokens") or 0) - prompt - output
    if beyond > 0 and beyond == reasoning:
        output += beyond
    # A search is a finished call of the kind `search`; opening a page and looking for words in it are none.
    told = of(answer, "tool_usage", "web_search", "num_requests")
    if told is None:
        told = sum(
            1 for item in answer.get("output") or []
            if of(item, "type") == "web_search_call" and of(item, "action", "type") in (None, "search")
        )
    return {
        "prompt": prompt, "read": details.get("cached_tokens") or 0, "write": details.get("cache_write_tokens") or 0,
        "write_long": of(details, "cache_write_tokens_details", "ttl_12h_tokens") or 0, "output": output, "reasoning": reasoning,
        "audio_in": details.get("audio_tokens") or 0, "audio_out": made.get("audio_tokens") or 0,
        "image_in": details.get("image_tokens") or 0, "image_out": made.get("image_tokens") or 0,
        "searches": told, "tier": answer.get("service_tier"),
    }


def messages_usage(parts):
    usage = {}
    for part in parts:
        told = of(part, "message", "usage") or part.get("usage")
        if isinstance(told, dict):
            for key, value in told.items():
                if value is not None:
                    usage[key] = value
    if not usage:
        return None
    read, write = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens")
    split = usage.get("cache_creation") or {}
    hour = split.get("ephemeral_1h_input_tokens") or 0
    if write is None:
        write = hour + (split.get("ephemeral_5m_input_tokens") or 0)
    return {
        "prompt": (usage.get("input_tokens") or 0) + read + write, "read": read, "write": write, "write_long": min(hour, write),
        "output": usage.get("output_tokens") or 0, "reasoning": of(usage, "output_tokens_details", "thinking_tokens") or 0,
        "searches": of(usage, "server_tool_use", "web_search_requests") or 0, "tier": usage.get("service_tier"),
        "region": usage.get("inference_geo"), "speed": usage.get("speed"),
    }


def gemini_usage(parts):
    usage, queries = {}, 0
    for part in parts:
        told = part.get("usageMetadata")
        if isinstance(told, dict):
            usage = {**usage, **{key: value for key, value in told.items() if value is not None}}
        for candidate in part.get("candidates") or []:
            # The vendor bills each query that is not empty, and the same one once.
            queries = max(queries, len({word for word in of(candidate, "groundingMetadata", "webSearchQueries") or [] if word}))
    if usage.get("promptTokenCount") is None and usage.get("candidatesTokenCount") is None:
        return None

    def kind(key, name):
        return sum(one.get("tokenCount") or 0 for one in usage.get(key) or [] if one.get("modality") == name)

    thoughts = usage.get("thoughtsTokenCount") or 0
    tiers = {"ON_DEMAND": None, "ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex"}
    return {
        "prompt": (usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
        "read": usage.get("cachedContentTokenCount") or 0, "write": 0,
        "output": (usage.get("candidatesTokenCount") or 0) + thoughts, "reasoning": thoughts,
        "audio_in": kind("promptTokensDetails", "AUDIO"), "audio_out": kind("candidatesTokensDetails", "AUDIO"),
        "image_in": kind("promptTokensDetails", "IMAGE"), "image_out": kind("candidatesTokensDetails", "IMAGE"),
        "searches": queries,
        "tier": usage.get("serviceTier") or tiers.get(usage.get("trafficType")),
    }


USAGES = {"chat": chat_usage, "responses": responses_usage, "messages": messages_usage, "gemini": gemini_usage}
TIERS = {"priority": "_priority", "flex": "_flex", "batch": "_batches", "fast": "_priority"}


def per_million(number):
    """Dollars per token as nano-dollars per million tokens, a whole number: the unit that prices are kept in."""
    return math.floor(Fraction(number) * 10**15 + Fraction(1, 2))


def cost(fact, provider, usage):
    """Nano-dollars, half up."""
    prompt = usage["prompt"]
    tier = TIERS.get((usage.get("tier") or "").lower(), "")
    lengths = sorted({int(n) for key in fact for n in re.findall(r"_above_(\d+)k_tokens", key)}, reverse=True)
    ranges = [one for one in fact.get("tiered_pricing") or [] if "range" in one]

    def rate(name):
        if ranges:
            for one in reversed(ranges):
                if name in one and (prompt > one["range"][0] or one is ranges[0]):
                    return one[name]
            return None
        for length in [f"_above_{n}k_tokens" for n in lengths if prompt > n * 1000] + [""]:
            for ending in [tier, ""] if tier else [""]:
                if fact.get(f"{name}{length}{ending}"):
                    return fact[f"{name}{length}{ending}"]
        return None

    base_in, base_out = rate("input_cost_per_token") or 0, rate("output_cost_per_token") or 0
    if fact.get("output_cost_per_token") is None:
        base_out = rate("output_cost_per_image_token") or 0
    read = min(usage["read"], prompt)
    write = min(usage["write"], prompt - read)
    long = min(usage.get("write_long") or 0, write)
    text = prompt - read - write
    lines = []
    for name, count in (("audio", usage.get("audio_in") or 0), ("image", usage.get("image_in") or 0)):
        own = rate(f"input_cost_per_{name}_token")
        cached = rate(f"cache_read_input_{name}_token_cost")
        fresh = min(count, usage["prompt"] - usage["read"] - usage["write"])
        if own is not None:
            taken = min(fresh, text)
            lines.append((taken, own))
            text -= taken
        if cached is not None:
            taken = min(count - fresh, read)
            lines.append((taken, cached))
            read -= taken
    cache_write = rate("cache_creation_input_token_cost") or base_in
    cache_long = rate("cache_creation_input_token_cost_above_1hr") or rate("cache_creation_input_token_cost_above_12hr") or cache_write
    lines += [(text, base_in), (read, rate("cache_read_input_token_cost") or base_in), (write - long, cache_write), (long, cache_long)]
    left = usage["output"]
    for name, count in (
        ("output_cost_per_reasoning_token", usage["reasoning"]),
        ("output_cost_per_audio_token", usage.get("audio_out") or 0),
        ("output_cost_per_image_token", usage.get("image_out") or 0),
    ):
        own = rate(name)
        # One that says what the answer costs says nothing.
        if own is not None and fact.get(name) != fact.get("output_cost_per_token"):
            taken = min(count, left)
            lines.append((taken, own))
            left -= taken
    lines.append((left, base_out))
    total = sum(Fraction(count * per_million(own), 10**6) for count, own in lines)
    factors = fact.get("provider_specific_entry") or {}
    for name in (usage.get("region"), usage.get("speed")):
        if name and name in factors:
            total *= Fraction(factors[name])
    searches = usage["searches"]
    if provider in ("gemini", "vertex_ai", "vertex_ai-language-models") and fact.get("web_search_billing_unit") != "per_query":
        searches = min(searches, 1)
    search = of(fact, "search_context_cost_per_query", "search_context_size_medium")
    if search:
        total += searches * Fraction(search) * 10**9
    if fact.get("input_cost_per_request"):
        total += Fraction(fact["input_cost_per_request"]) * 10**9
    return math.floor(total + Fraction(1, 2))


def answers(corpus):
    for name, dialect in DIALECTS.items():
        with open(os.path.join(corpus, f"{name}.jsonl"), encoding="utf-8") as file:
            for line in file:
                exchange = json.loads(line)
                response = exchange.get("response") or {}
                yield exchange, dialect, response.get("status"), response.get("body_text")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--corpus", required=True)
    arguments.add_argument("--prices", required=True)
    arguments.add_argument("--overlay", required=True)
    arguments.add_argument("--gateway", required=True)
    chosen = arguments.parse_args()
    if not os.path.isfile(chosen.prices):
        print(f"no list of prices in {chosen.prices}: nothing to price")
        return 0
    facts, ours = load_prices(chosen.prices), overlaid(chosen.overlay)
    why, asked, expected = collections.Counter(), [], {}
    for exchange, dialect, status, text in answers(chosen.corpus):
        if not text or (status or 0) >= 400:
            why["an error or no text"] += 1
            continue
        parts = objects(text)
        usage = USAGES[dialect](parts)
        if usage is None:
            why["no usage in the answer"] += 1
            continue
        if exchange["provider"] not in PROVIDERS:
            why[f"no price list for {exchange['provider']}"] += 1
            continue
        provider, lists = PROVIDERS[exchange["provider"]]
        model = exchange["model"] or ""
        known = [(name, facts[name, model.lower()]) for name in lists if (name, model.lower()) in facts]
        if not known:
            why[f"{provider}: the list has no {model}"] += 1
            continue
        if (provider, model.lower()) in ours:
            why["a price of our own"] += 1
            continue
        expected[exchange["id"]] = (cost(known[0][1], known[0][0], usage), usage, model, provider)
        asked.append({"id": exchange["id"], "model": f"{provider}/{model}", "dialect": dialect, "answer": text})
    lines = "".join(json.dumps(one) + "\n" for one in asked)
    command = [chosen.gateway, "prices", "cost", "--batch", "-", "--at", MOMENT]
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
    told = subprocess.run(command, input=lines, capture_output=True, text=True, check=False, env=environment, cwd="/")
    if told.returncode != 0:
        print(told.stderr, file=sys.stderr)
        return 1
    wrong, priced = [], collections.Counter()
    for line in told.stdout.splitlines():
        answer = json.loads(line)
        nano, usage, model, provider = expected.pop(answer["id"])
        shown = answer.get("cost")
        if shown is None:
            if answer.get("usage") is None:
                wrong.append((answer["id"], provider, model, "the gateway reads no usage", usage))
            else:
                wrong.append((answer["id"], provider, model, "the gateway knows no price", nano))
            continue
        found = Fraction(shown) * 10**9
        if found != nano:
            wrong.append((answer["id"], provider, model, f"{int(found)} is not {nano}", usage, answer))
            continue
        priced[provider] += 1
    for one in wrong[:20]:
        print("differs:", *one)
    for id_ in list(expected)[:5]:
        print("not told:", id_)
    print(f"priced {sum(priced.values())} recorded answers, each to the nano-dollar: " + ", ".join(f"{n} {p}" for p, n in priced.most_common()))
    short = collections.Counter()
    for reason, count in why.items():
        short[re.sub(r": the list has no .*", ": a model that the list has not", reason)] += count
    print(f"not priced: {sum(short.values())}: " + ", ".join(f"{count} {reason}" for reason, count in short.most_common()))
    if wrong or expected or sum(priced.values()) < 1000:
        print(f"{len(wrong)} differ, {len(expected)} are missing")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
