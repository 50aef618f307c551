#!/bin/sh
# update.sh: build what this folder holds, and put it in the place of what runs on this host, without refusing a request.
# A container of the new image stands beside the old one, gets 5, 25, 50 and 100 of a hundred requests
# (FORMSTREAM_CANARY_STEPS, in fives), and is asked at each step (`formstream smoke`, or what FORMSTREAM_SMOKE says).
# While it has all of them the old one is replaced, and takes them back. What does not answer, fails too often or is too
# slow is taken away again. Needs memory for two; `docker compose up --build --wait` needs it once, and half a minute.
set -eu
cd "$(dirname "$0")/.."

next=formstream-next
patience=${FORMSTREAM_DEPLOY_SECONDS:-300} pause=${FORMSTREAM_DEPLOY_PAUSE:-5}
smoke=${FORMSTREAM_SMOKE:-formstream smoke}

running=$(docker compose ps --quiet app)
[ -n "$running" ] || {
    echo "Nothing runs here yet: docker compose up --build --wait" >&2
    exit 1
}
docker compose exec -T caddy grep -q FORMSTREAM_UPSTREAMS /etc/caddy/Caddyfile || {
    echo "Caddy has the Caddyfile of an older version: docker compose up --detach --force-recreate --no-deps caddy" >&2
    exit 1
}
name=$(docker inspect --format '{{.Config.Image}}' "$running")
before=$(docker inspect --format '{{.Image}}' "$running")

reload() {
    docker compose exec -T --env "FORMSTREAM_UPSTREAMS=$1" caddy \
        caddy reload --config /etc/caddy/Caddyfile --adapter caddyfile
}

# So many of a hundred requests go to the next one; Caddy finishes those that it has begun as they were.
lead_to_next() {
    upstreams='' part=0
    while [ "$part" -lt 20 ]; do
        if [ "$part" -lt $(($1 / 5)) ]; then upstreams="$upstreams $next:8000"; else upstreams="$upstreams app:8000"; fi
        part=$((part + 1))
    done
    # Caddy replaces the address that it is told at, too, sometimes before it has answered.
    reload "${upstreams# }" || reload "${upstreams# }"
    sleep "$pause"
}

healthy() {
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]
}

await() {
    tries=$((patience / pause))
    until healthy "$1"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep "$pause"
    done
}

answers() {
    # shellcheck disable=SC2086  # a command with its arguments
    docker exec "$1" $smoke http://127.0.0.1:8000
}

replace() {
    docker compose up --detach --no-deps app && await "$(docker compose ps --quiet app)"
}

leave() {
    code=$?
    trap - EXIT INT TERM
    if [ "$code" -ne 0 ]; then
        echo "Going back to what was there before." >&2
        docker image tag "$before" "$name"
        # Nothing to do where it runs still. The next one goes on answering meanwhile, and for good if need be.
        replace >&2 || {
            echo "What was there before does not start: docker compose logs app. The container $next is left." >&2
            exit "$code"
        }
    fi
    lead_to_next 0 && docker stop -t 120 "$next" >/dev/null
    docker rm --force "$next" >/dev/null
    exit "$code"
}

give_up() {
    echo "$1" >&2
    exit 1
}

docker compose build app
trap leave EXIT
trap 'exit 1' INT TERM
docker compose run --detach --no-deps --name "$next" app >/dev/null
await "$next" || give_up "The new version does not start: $(docker logs --tail 20 "$next" 2>&1)"
for weight in ${FORMSTREAM_CANARY_STEPS:-5 25 50 100}; do
    lead_to_next "$weight"
    answers "$next" || give_up "The new version does not do well with $weight of a hundred requests."
    echo "The new version does well with $weight of a hundred requests."
done
lead_to_next 100
replace || give_up "The new version does not start in its place."
answers "$(docker compose ps --quiet app)" || give_up "The new version does not do well in its place."
echo "This host runs what this folder holds."
