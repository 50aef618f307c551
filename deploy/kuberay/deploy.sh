#!/bin/sh
# deploy.sh STAGE IMAGE URL: apply an overlay with an image, wait until the new cluster answers, ask the platform through its
# front door for half a minute, and apply what was there before when it does not, fails too often or is too slow
# (`formstream smoke`, or what FORMSTREAM_SMOKE says). KubeRay starts a new Ray cluster beside the old one and moves
# the service over when every application runs (blue-green), so a cluster that does not start costs nothing.
set -eu

stage=$1 image=$2 url=$3
here=$(cd "$(dirname "$0")" && pwd)
namespace=formstream-$stage
patience=${FORMSTREAM_DEPLOY_SECONDS:-1200} pause=${FORMSTREAM_DEPLOY_PAUSE:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

kubectl kustomize "$here/overlays/$stage" | sed "s|image: .*/formstream:.*|image: $image|" >"$work/new.yaml"
kubectl --namespace "$namespace" apply view-last-applied rayservice/formstream --output yaml >"$work/old.yaml" 2>/dev/null ||
    rm -f "$work/old.yaml"

# shellcheck disable=SC2086  # a command with its arguments
answers() {
    ${FORMSTREAM_SMOKE:-formstream smoke} "$url"
}

status() {
    kubectl --namespace "$namespace" get rayservice formstream --output "jsonpath=$1"
}

placed() {
    # While a new cluster is on its way the service still leads to the old one.
    [ "$(status '{.status.observedGeneration}')" = "$(status '{.metadata.generation}')" ] &&
        [ "$(status '{.status.conditions[?(@.type=="Ready")].status}')" = True ] &&
        [ "$(status '{.status.conditions[?(@.type=="UpgradeInProgress")].status}')" = False ]
}

await() {
    tries=$((patience / pause))
    # Twice in a row: the operator notices a change before it says that it does something about it.
    until placed && sleep "$pause" && placed; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep "$pause"
    done
}

kubectl apply --filename "$work/new.yaml"
if await && answers; then
    echo "$stage runs $image."
    exit 0
fi
echo "$stage does not answer with $image." >&2
kubectl --namespace "$namespace" describe rayservice formstream >&2 || true
if [ -f "$work/old.yaml" ]; then
    echo "Going back to what was there before." >&2
    kubectl apply --filename "$work/old.yaml"
fi
exit 1
