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

# Ray's interfaces run any code they are given: a token opens them, and the dashboard stays on loopback.
export RAY_AUTH_MODE=token
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

ray start --head --block --dashboard-host=127.0.0.1 --disable-usage-stats \
    --num-cpus="${RAY_NUM_CPUS:-8}" --object-store-memory=100000000 --metrics-export-port=8080 &
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
