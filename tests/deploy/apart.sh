#!/bin/sh
# apart.sh COMMAND: runs it on a network of its own, where nothing else listens, with addresses beside loopback as a
# machine on a network has, the names of docker-compose.yml, and an empty /run. Of the machine nothing changes, and what
# the command has started ends with it.
set -eu

if [ "$1" != --inside ]; then
    if [ "$(id -u)" = 0 ]; then
        exec unshare --net --mount --pid --fork --kill-child --mount-proc -- "$0" --inside 0 0 "$@"
    fi
    exec sudo --preserve-env env PATH="$PATH" unshare --net --mount --pid --fork --kill-child --mount-proc -- "$0" --inside "$(id -u)" "$(id -g)" "$@"
fi
user=$2
group=$3
shift 3

ip link set lo up
ip address add 10.77.0.2/32 dev lo
ip -6 address add fd77::2/128 dev lo nodad
# Ray asks which address leads to the world; nothing gets there.
ip route add default dev lo src 10.77.0.2
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start

mount -t tmpfs tmpfs /run
mkdir -m 700 /run/secrets
chown "$user:$group" /run/secrets
cat >/run/hosts <<HOSTS
127.0.0.1 localhost app mail
::1 localhost
10.77.0.2 $(hostname) nats postgres
HOSTS
mount --bind /run/hosts /etc/hosts

# Not by exec: this shell is the first process of its kind, and buries those that lose their parents.
if [ "$user" = 0 ]; then
    "$@"
    exit
fi
setpriv --reuid "$user" --regid "$group" --init-groups -- "$@"
