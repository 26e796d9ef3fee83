#!/usr/bin/env bash
# Replays recorded provider traffic through the running gateway, in all sixteen pairs of dialects, and judges what comes out.
#
#   tests/corpus/run.sh               every recording
#   tests/corpus/run.sh --sample 150  the first 150 of each dialect, by hash
#   WHAT=answers DIALECTS="openai_chat openai_responses" tests/corpus/run.sh
#                                     of answers, identity and requests only these, and only the pairs of these dialects
#
# The recordings are no part of this repository: they lie in ../shared/corpus beside the checkout, or where CORPUS says.
# Without them there is nothing to do. LINGATE_BIN names the built gateway (default: target/debug/lingate). Results go to
# tests/corpus/results, the table to results/summary.txt; thresholds.tsv says what may fail.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
corpus=${CORPUS:-$root/../shared/corpus}
gateway=${LINGATE_BIN:-${CARGO_TARGET_DIR:-$root/target}/debug/lingate}
results=$here/results
tools=$corpus/tools
sample=0
if [ "${1:-}" = --sample ]; then sample=$2; fi
if [ ! -d "$tools" ]; then
    echo "no recordings in $corpus: nothing to replay"
    exit 0
fi

rm -rf "$results"
mkdir -p "$results"
export PYTHONDONTWRITEBYTECODE=1
started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
}
trap stop EXIT
trap 'exit 1' INT TERM

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
healthy() { # URL, log
    for _ in $(seq 300); do
        if python3 - "$1" <<<'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=1)' 2>/dev/null; then
            return
        fi
        sleep 0.1
    done
    echo "$1 does not come up:" >&2
    cat "$2" >&2
    exit 1
}

# A lane has a replay server and a gateway of its own: the judges read from the server's log what the upstream received.
lane() { # name; leaves the addresses in $replay and $base
    local port provider
    port=$(free_port)
    python3 "$tools/replay.py" --corpus "$corpus" --port "$port" --chunking random >"$results/$1-replay.log" 2>&1 &
    started+=($!)
    replay=http://127.0.0.1:$port
    port=$(free_port)
    base=http://127.0.0.1:$port
    mkdir -p "$results/$1"
    {
        echo "listen: 127.0.0.1:$port"
        echo "data: $results/$1/data"
        echo "auth: open"
        echo "providers:"
        for provider in chat responses messages gemini; do
            echo "  up-$provider: {base_url: $replay, dialects: [$provider], keys: [unused-$provider]}"
        done
    } >"$results/$1/lingate.yml"
    (cd "$results/$1" && exec "$gateway" serve --config lingate.yml) >"$results/$1-gateway.log" 2>&1 &
    started+=($!)
    healthy "$replay/__replay/health" "$results/$1-replay.log"
    healthy "$base/health" "$results/$1-gateway.log"
}

short() {
    case $1 in
    openai_chat) echo chat ;;
    openai_responses) echo responses ;;
    anthropic_messages) echo messages ;;
    gemini_generate) echo gemini ;;
    esac
}
dialects=${DIALECTS:-openai_chat openai_responses anthropic_messages gemini_generate}

wanted() {
    case " ${WHAT:-answers identity requests} " in *" $1 "*) ;; *) return 1 ;; esac
}

judge() { # dialect, replay, base: its recorded answers for every client, its recorded requests for every upstream
    local name
    name=$(short "$1")
    for client in $dialects; do
        wanted answers || continue
        python3 "$tools/convert_check.py" --replay "$2" --base "$3" --upstream "$1" --client "$client" \
            --model "up-$name/replay-{id}" --limit "$sample" --json "$results/answers.jsonl" || true
    done >"$results/answers-$name.txt" 2>&1
    # Before the requests, whose log must hold nothing else.
    ! wanted identity || python3 "$here/identity.py" --replay "$2" --base "$3" --dialect "$1" --prefix "up-$name/" --sample "$sample" \
        --json "$results/identity-$name.json" >"$results/identity-$name.txt" 2>&1 || true
    ! wanted requests || (cd "$tools" && python3 request_check.py --replay "$2" --base "$3" --client "$1" --upstream "${dialects// /,}" \
        --model 'openai_chat=up-chat/replay-{id}' --model 'openai_responses=up-responses/replay-{id}' \
        --model 'anthropic_messages=up-messages/replay-{id}' --model 'gemini_generate=up-gemini/replay-{id}' --sample "$sample" \
        --json "$results/requests-$name.json" --dump "$results/failed-requests") >"$results/requests-$name.txt" 2>&1 || true
}

began=$(date +%s)
judges=()
for dialect in $dialects; do
    lane "$(short "$dialect")"
    judge "$dialect" "$replay" "$base" &
    judges+=($!)
    started+=($!)
done
wait "${judges[@]}"
echo "replayed in $(($(date +%s) - began)) s"
failed=0
python3 "$here/summary.py" "$results" "$here/thresholds.tsv" | tee "$results/summary.txt" || failed=1
# Every recorded answer costs what an independent calculation says, or this fails.
python3 "$here/prices.py" --corpus "$corpus" --prices "$corpus/../data/prices-litellm.json" \
    --overlay "$root/crates/catalog/data/prices-overlay.txt" --gateway "$gateway" | tee -a "$results/summary.txt" || failed=1
exit "$failed"
