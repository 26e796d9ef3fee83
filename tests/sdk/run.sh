#!/usr/bin/env bash
# Drives the running gateway with the official SDKs of OpenAI, Anthropic and Google, for Python and Node, and with the AI SDK.
#
#   tests/sdk/run.sh             through the gateway, against an upstream of each dialect; then the stream matrix
#   tests/sdk/run.sh --direct    straight to the upstream: what the judge itself says to each SDK
#   tests/sdk/run.sh --matrix    the stream matrix alone; with LINGATE_BLESS=1 it writes docs/compatibility.md
#
# LINGATE_BIN and TESTKIT_BIN name the built programs (default: target/debug). What follows the options goes to pytest.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}/debug
gateway=${LINGATE_BIN:-$target/lingate}
judge=${TESTKIT_BIN:-$target/testkit-upstream}
results=$here/results
venv=$here/.venv

direct=0 suites=1
case ${1:-} in
--direct) direct=1 && shift ;;
--matrix) suites=0 && shift ;;
esac

# Installs again when a lock file has changed.
fresh() {
    [ "$(cat "$2" 2>/dev/null)" = "$(sha256sum <"$1")" ]
}
if ! fresh "$here/requirements.txt" "$venv/.installed"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    sha256sum <"$here/requirements.txt" >"$venv/.installed"
fi
# The SDKs need a newer Node than many systems have: the environment brings its own.
PATH=$venv/bin:$PATH
if ! fresh "$here/node/package-lock.json" "$here/node/node_modules/.installed"; then
    (cd "$here/node" && npm ci --silent --ignore-scripts)
    sha256sum <"$here/node/package-lock.json" >"$here/node/node_modules/.installed"
fi

rm -rf "$results"
mkdir -p "$results"
started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
}
trap stop EXIT

free_port() {
    "$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
healthy() { # URL, log
    for _ in $(seq 200); do
        if "$venv/bin/python" - "$1" <<<'import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + "/health", timeout=1)' 2>/dev/null; then
            return
        fi
        sleep 0.05
    done
    echo "$1 does not come up:" >&2
    cat "$2" >&2
    exit 1
}

judge() { # name, options; leaves the address in $address
    local port
    port=$(free_port)
    "$judge" --port "$port" "${@:2}" >"$results/$1.log" 2>&1 &
    started+=($!)
    address=http://127.0.0.1:$port
    healthy "$address" "$results/$1.log"
}

# One provider per dialect, and one more for each error: a gateway rests a key that was refused or limited. Breakers are off: each client
# shall see every failure.
providers() { # whether the providers have keys of their own
    echo "providers:"
    local dialect suffix
    for dialect in chat responses messages gemini; do
        for suffix in "" -400 -401 -403 -404 -429 -500 -503; do
            echo "  up-$dialect$suffix:"
            echo "    base_url: ${upstream[$dialect]}"
            echo "    dialects: [$dialect]"
            echo "    breaker: false"
            if [ "$1" = keys ]; then echo "    keys: [sk-up-$dialect$suffix]"; fi
            if [ -z "$suffix" ]; then echo "    models: [listed-$dialect]"; fi
        done
    done
}
serve() { # name, configuration; leaves the address in $address
    local port
    port=$(free_port)
    mkdir -p "$results/$1"
    printf 'listen: 127.0.0.1:%s\ndata: %s\n%s\n' "$port" "$results/$1/data" "$2" >"$results/$1/lingate.yml"
    (cd "$results/$1" && exec "$gateway" serve --config lingate.yml) >"$results/$1.log" 2>&1 &
    started+=($!)
    address=http://127.0.0.1:$port
    healthy "$address" "$results/$1.log"
}

# The official suites, each test against each upstream.
suites() {
    (
        cd "$here/node"
        for sdk in openai stored anthropic google; do
            node --test --test-reporter=junit --test-reporter-destination="$results/node-$sdk.xml" "$sdk.test.mjs" || true
        done
    ) >"$results/node.log" 2>&1 &
    local node=$!
    started+=("$node")
    (cd "$here/python" && "$venv/bin/python" -m pytest -q -p no:cacheprovider --junitxml="$results/python.xml" "$@") \
        >"$results/python.log" 2>&1 || true
    wait "$node" || true
    "$venv/bin/python" "$here/table.py" "$results"/python.xml "$results"/node-{openai,stored,anthropic,google}.xml
}

# One program for each language, both at once; their arguments follow, and what they find is in $results/NAME-LANGUAGE.jsonl.
ask() { # name
    (cd "$here/node" && node "$1.mjs" "${@:2}" "$results/$1-node.jsonl") >"$results/$1-node.log" 2>&1 &
    local node=$!
    started+=("$node")
    "$venv/bin/python" "$here/python/$1.py" "${@:2}" "$results/$1-python.jsonl" >"$results/$1-python.log" 2>&1 || cat "$results/$1-python.log"
    wait "$node" || cat "$results/$1-node.log"
}

# What servers really send, and what each client reads of it; then ten turns of an agent with each client.
matrix() {
    local upstreams="providers:" dialect lane
    ask agent
    judge shapes --shapes "$here/shapes.toml" --fixtures "$here/../../crates/dialect/fixtures"
    for dialect in chat responses messages gemini; do
        for lane in shapes repaired; do
            upstreams+=$(printf '\n  %s-%s:\n    base_url: %s\n    dialects: [%s]\n    keys: [sk-shapes]\n    breaker: false' "$lane" "$dialect" "$address" "$dialect")
        done
        upstreams+=$'\n    repair_streams: true'
    done
    serve matrix "$(printf 'auth: open\n%s\n' "$upstreams")"
    SDK_BASE=$address
    "$venv/bin/python" "$here/matrix.py" cases "$results/cases.json"
    ask matrix "$results/cases.json"
    "$venv/bin/python" "$here/matrix.py" judge "$here/../../docs/compatibility.md" "$results"/{agent,matrix}-{python,node}.jsonl
}

export SDK_DIRECT=$direct SDK_BASE SDK_PASSTHROUGH=
failed=0
if [ "$direct" = 1 ]; then
    judge judge
    SDK_BASE=$address
    suites "$@" || failed=1
    exit "$failed"
fi

# Each upstream speaks its own dialect alone: what the gateway fails to convert finds no door.
declare -A upstream
for dialect in chat responses messages gemini; do
    judge "judge-$dialect" --dialect "$dialect"
    upstream[$dialect]=$address
done
serve gateway "$(printf 'auth: open\n'; providers keys)"
SDK_BASE=$address
serve passthrough "$(printf 'auth: passthrough\n'; providers none)"
SDK_PASSTHROUGH=$address
if [ "$suites" = 1 ]; then suites "$@" || failed=1; fi
matrix || failed=1
exit "$failed"
