"""Reads the judges' reports, prints a table of all pairs and holds it against the thresholds.

The thresholds file has a line per pair: what, from, to, and how many of it may fail. `answers` go from an upstream to a client,
`requests` from a client to an upstream, `untold` counts requests that lost something the gateway did not tell, `bytes`
counts answers of one dialect that came through changed.
"""

import glob
import json
import sys

SHORT = {
    "openai_chat": "chat",
    "openai_responses": "responses",
    "anthropic_messages": "messages",
    "gemini_generate": "gemini",
}
DIALECTS = list(SHORT.values())


def main(results, thresholds):
    counted = {}  # (what, from, to): (sent, failed)
    reasons = []
    for line in lines(f"{results}/answers.jsonl"):
        run = json.loads(line)
        pair = SHORT[run["upstream"]], SHORT[run["client"]]
        counted["answers", *pair] = run["sent"], run["sent"] - run["right"]
        reasons += [
            (count["count"], "answers", *pair, reason, count["examples"][0][0])
            for reason, count in run["reasons"].items()
            if not reason.startswith(("(", "wire: ("))
        ]
    for path in glob.glob(f"{results}/requests-*.json"):
        for pair, run in json.load(open(path, encoding="utf-8")).items():
            pair = tuple(SHORT[name] for name in pair.split(" → "))
            counted["requests", *pair] = run.get("sent", 0), run.get("failed", 0)
            counted["untold", *pair] = run.get("sent", 0), run.get("silent", 0)
            reasons += [
                (count["count"], "requests", *pair, reason, " ".join(count["examples"][0])[:110])
                for reason, count in run["reasons"].items()
            ]
    for path in glob.glob(f"{results}/identity-*.json"):
        run = json.load(open(path, encoding="utf-8"))
        dialect, tally = SHORT[run["dialect"]], run["tally"]
        sent = sum(count for kind, count in tally.items() if not kind.endswith(" changed"))
        counted["bytes", dialect, dialect] = sent, len(run["different"])
        reasons += [(1, "bytes", dialect, dialect, kind, f"{id} {what}"[:140]) for kind, id, what in run["different"][:3]]

    allowed = {}
    for line in lines(thresholds):
        if line.strip() and not line.startswith("#"):
            what, source, target, count = line.split()
            allowed[what, source, target] = int(count)

    wanted = [(what, a, b) for what in ("answers", "requests", "untold") for a in DIALECTS for b in DIALECTS]
    wanted += [("bytes", dialect, dialect) for dialect in DIALECTS]
    regressed = False
    print(f"{'what':<10}{'from':<11}{'to':<11}{'sent':>6}{'failed':>8}{'allowed':>9}")
    for key in wanted:
        if key not in counted:
            print("{:<10}{:<11}{:<11}   no report".format(*key))
            regressed = True
            continue
        sent, failed = counted[key]
        limit = allowed.get(key, 0)
        note = "" if failed == limit else "  better: lower the threshold" if failed < limit else "  FAILED"
        regressed |= failed > limit or sent == 0
        print(f"{key[0]:<10}{key[1]:<11}{key[2]:<11}{sent:>6}{failed:>8}{limit:>9}{note}")
    print("\nmost frequent reasons")
    for count, what, source, target, reason, example in sorted(reasons, key=lambda reason: -reason[0])[:40]:
        print(f"{count:>6}  {what} {source} → {target}: {reason}   e.g. {example}")
    return 1 if regressed else 0


def lines(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
