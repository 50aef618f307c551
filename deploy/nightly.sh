#!/bin/sh
# nightly.sh: each night at 03:15 UTC a backup, to FORMSTREAM_BACKUP_URL or else to /backups, and after that of Sunday a drill,
# until it is told to stop. A backup that fails is tried again after an hour, twice. /tmp/failed is there while the last one
# of either did not end well.
set -eu

where=
[ -n "${FORMSTREAM_BACKUP_URL:-}" ] || where=/backups

# A shell that waits hears at once that it shall stop, one whose command sleeps does not.
rest() {
    sleep "$1" &
    wait $!
}

back_up() {
    for pause in 3600 3600 0; do
        # shellcheck disable=SC2086
        formstream backup $where --keep 14 --json && return
        rest "$pause"
    done
    return 1
}

drill() {
    # shellcheck disable=SC2086
    formstream drill $where --scratch "$FORMSTREAM_DATA_DIR" --json
}

trap 'exit 0' TERM INT
while true; do
    now=$(date -u +%s)
    rest $((86400 - (now - 11700) % 86400))
    today=$(date -u +%u)
    if back_up && { [ "$today" != 7 ] || drill; }; then
        rm -f /tmp/failed
    else
        touch /tmp/failed
    fi
done
