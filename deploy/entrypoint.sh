#!/bin/sh
# One Ray head with the whole platform on it: migrate, start Ray, deploy serve_config.yaml, stay until told to stop.
# With arguments it runs the command line instead, with the same secrets: `docker run … formstream migrate`.
set -eu

# A secret is a file whose name is the variable it becomes.
for file in /run/secrets/[A-Z]*; do
    if [ -f "$file" ]; then
        export "$(basename "$file")=$(cat "$file")"
    fi
done

# Ray's interfaces run any code they are given: a token opens them, and they stay on loopback. Ray takes the machine's
# address instead of 127.0.0.1, unless it is told that there are no other nodes, which has no better name.
export RAY_AUTH_MODE=token
export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="${RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER:-0}"
if [ -z "${RAY_AUTH_TOKEN:-}" ] && [ -z "${RAY_AUTH_TOKEN_PATH:-}" ]; then
    export RAY_AUTH_TOKEN_PATH="${FORMSTREAM_DATA_DIR:-/var/lib/formstream}/ray.token"
fi

if [ "$#" -gt 0 ]; then
    exec "$@"
fi

config=${FORMSTREAM_SERVE_CONFIG:-/app/serve_config.yaml}
dashboard=http://127.0.0.1:8265
ray=

if [ -n "${RAY_AUTH_TOKEN_PATH:-}" ] && [ ! -s "$RAY_AUTH_TOKEN_PATH" ]; then
    (umask 077 && python -c 'import secrets; print(secrets.token_hex(32))' >"$RAY_AUTH_TOKEN_PATH")
fi

alive() {
    kill -0 "$ray" 2>/dev/null
}

stop() {
    trap '' TERM INT
    echo "Stopping: the applications finish what they do."
    serve shutdown --yes --address "$dashboard" || true
    kill -TERM "$ray" 2>/dev/null || true
    wait "$ray" || true
    exit "${1:-0}"
}

formstream migrate
formstream check-config "$config"

# Every port has the number that docs/operations.md names.
ray start --head --block --disable-usage-stats \
    --num-cpus="${RAY_NUM_CPUS:-8}" --object-store-memory=100000000 \
    --dashboard-host=127.0.0.1 --port=6379 --node-manager-port=6380 --object-manager-port=6381 \
    --runtime-env-agent-port=6382 --dashboard-agent-grpc-port=6383 --dashboard-agent-listen-port=6384 \
    --ray-client-server-port=10001 --min-worker-port=10002 --max-worker-port=10999 --metrics-export-port=8080 &
ray=$!
trap stop TERM INT

tries=60
until serve status --address "$dashboard" >/dev/null 2>&1; do
    tries=$((tries - 1))
    if ! alive || [ "$tries" -eq 0 ]; then
        echo "Ray did not start." >&2
        stop 1
    fi
    sleep 1
done
serve deploy --address "$dashboard" "$config"
wait "$ray"
