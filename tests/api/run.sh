#!/usr/bin/env bash
# Asks the running gateway whatever its OpenAPI document allows, and much that it does not: nothing is answered with 5xx, with a status or a
# content type that the document does not have, or in another form than it says. The same is asked each time.
#
# LINGATE_BIN names the built program (default: target/debug). What follows goes to schemathesis.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
gateway=${LINGATE_BIN:-${CARGO_TARGET_DIR:-$here/../../target}/debug/lingate}
venv=$here/.venv
results=$here/results

if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$(sha256sum <"$here/requirements.txt")" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    sha256sum <"$here/requirements.txt" >"$venv/.installed"
fi

rm -rf "$results"
mkdir -p "$results"
port=$("$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$results/lingate.yml" <<YAML
listen: 127.0.0.1:$port
auth: keys
api_keys: [{name: operator, key: sk-operator-of-the-tests, kind: management}]
payments: {stripe: {webhook_secret: whsec_of_the_tests}}
YAML
(cd "$results" && exec env -i LINGATE_ADMIN_PASSWORD=a-battery-of-the-tests "$gateway" serve) >"$results/gateway.log" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null || true' EXIT

SCHEMATHESIS_TOKEN=$("$venv/bin/python" "$here/sign_in.py" "http://127.0.0.1:$port" operator a-battery-of-the-tests) || {
    cat "$results/gateway.log" >&2
    exit 1
}

# What is not asked, each with its reason.
without=()
while read -r operation _; do
    without+=(--exclude-operation-id "$operation")
done < <(grep -v '^#' "$here/without.txt")

cd "$results"
code=0
PYTHONPATH=$here SCHEMATHESIS_HOOKS=hooks "$venv/bin/schemathesis" --no-color run "http://127.0.0.1:$port/openapi.json" \
    --header "Authorization: Bearer $SCHEMATHESIS_TOKEN" "${without[@]}" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    --phases examples,coverage,fuzzing --max-examples 8 --seed 1 --generation-deterministic \
    --suppress-health-check all --no-shrink --continue-on-failure --warnings off --request-timeout 60 "$@" || code=$?
if ! kill -0 "$pid" 2>/dev/null || grep -q panicked gateway.log; then
    echo "the gateway did not bear it:" >&2
    grep -A3 panicked gateway.log >&2 || tail -20 gateway.log >&2
    exit 1
fi
exit "$code"
