#!/usr/bin/env python3
"""Fits the weights of crates/catalog/data/tokens.toml to what vendors counted for recorded requests.

    LINGATE_PIECES=/tmp/pieces.jsonl cargo test -p lingate-catalog --test estimates
    tests/corpus/fit_tokens.py /tmp/pieces.jsonl [--write] [TOKENIZER…]

Each tokenizer begins at the weights that it has and is drawn from there by the recordings of its models, on one half of them;
the other half tells whether it helped. Named tokenizers are fitted however few their recordings are, and held harder. The error that is made small is the
relative one, by its absolute value, so that odd recordings draw no more than others.
"""

import fnmatch
import json
import re
import sys
import tomllib
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "crates/catalog/data/tokens.toml"
# Never fitted: the recordings hold too little of it, or a rule gives it in tokens.
FIXED = {"image", "page", "sound", "film", "server_tool"}
# How hard a weight is held to where it began; scripts are rare in the recordings, and the vendors' tokenizers are known.
HELD = {"han": 30.0, "kana": 30.0, "hangul": 30.0, "letter": 10.0, "symbol": 10.0, "thought": 5.0}
# What a weight may reach where it began at nothing.
FREE = {"request": 40.0, "system": 20.0, "message": 5.0, "tools": 300.0, "tool": 30.0, "forced": 50.0, "digit": 0.5, "digits": 1.0, "thinking": 20.0}


# Fewer recordings than this say too little: the weights stay where they are.
ENOUGH = 40


def family(data, model):
    last = model.rsplit("/", 1)[-1].lower()
    row = next(row for row in data["model"] if any(fnmatch.fnmatchcase(last, name) for name in row["names"]))
    return next(index for index, tokenizer in enumerate(data["tokenizer"]) if tokenizer["name"] == row["tokenizer"])


def dot(weights, terms):
    return sum(weights.get(name, 0.0) * count for name, count in terms.items())


def errors(weights, samples):
    return sorted(abs(max(round(dot(weights, terms)), 1) - tokens) / tokens for terms, tokens in samples)


def at(sorted_errors, share):
    return 100 * sorted_errors[min(len(sorted_errors) - 1, int(len(sorted_errors) * share))] if sorted_errors else 0.0


def fit(begin, samples, hold):
    """Coordinate descent on reweighted least squares; weights stay positive."""
    names = sorted({name for terms, _ in samples for name in terms} - FIXED)
    weights = dict(begin)
    scale = {n: max(begin.get(n, 0.0), FREE.get(n, 0.3)) for n in names}
    strength = {n: hold * HELD.get(n, 1.0) / scale[n] ** 2 for n in names}
    columns = {n: [(i, terms[n] / tokens) for i, (terms, tokens) in enumerate(samples) if n in terms] for n in names}
    residual = [dot(weights, terms) / tokens - 1 for terms, tokens in samples]
    for _ in range(60):
        # A recording that is far off is odd: it draws less, not more.
        importance = [1 / max(abs(r), 0.03) * min(1, 0.5 / max(abs(r), 0.5)) for r in residual]
        moved = 0.0
        for n in names:
            column = columns[n]
            gradient = sum(importance[i] * residual[i] * x for i, x in column)
            gradient += strength[n] * (weights.get(n, 0.0) - begin.get(n, 0.0))
            curvature = sum(importance[i] * x * x for i, x in column) + strength[n]
            new = max(weights.get(n, 0.0) - gradient / curvature, 0.0)
            step = new - weights.get(n, 0.0)
            if step:
                for i, x in column:
                    residual[i] += step * x
                weights[n] = new
                moved = max(moved, abs(step) / scale[n])
        if moved < 1e-3:
            break
    return weights


def main():
    text = DATA.read_text()
    data = tomllib.loads(text)
    rows = data["tokenizer"]
    samples = [[] for _ in rows]
    halves = [[] for _ in rows]
    for line in Path(sys.argv[1]).read_text().splitlines():
        row = json.loads(line)
        if not row["told"]:
            continue
        index = family(data, row["model"])
        (samples if row["half"] else halves)[index].append((row["terms"], row["tokens"]))
    only = [argument for argument in sys.argv[2:] if argument != "--write"]
    fitted = []
    for index, row in enumerate(rows):
        begin = row["terms"]
        weights = begin
        if row["name"] in only if only else len(samples[index]) >= ENOUGH:
            weights = fit(begin, samples[index], hold=5.0 if only else 0.3)
        before, after = errors(begin, halves[index]), errors(weights, halves[index])
        print(
            f"{row['name']:12} {len(samples[index]):4} fitted, median {at(errors(weights, samples[index]), .5):5.1f} %; "
            f"other half {len(halves[index]):4}: {at(before, .5):5.1f} -> {at(after, .5):5.1f} %, p90 {at(before, .9):5.1f} -> {at(after, .9):5.1f} %"
        )
        fitted.append(weights)
    if "--write" in sys.argv:
        new = iter(fitted)

        def terms(_):
            weights = next(new)
            inside = ", ".join(f"{n} = {round(w, 3)!r}" for n, w in weights.items() if round(w, 3))
            return f"terms = {{ {inside} }}"

        DATA.write_text(re.sub(r"terms = \{.*\}", terms, text))


if __name__ == "__main__":
    main()
