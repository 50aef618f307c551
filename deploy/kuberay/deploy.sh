#!/bin/sh
# deploy.sh STAGE IMAGE URL: apply an overlay with an image, wait until the new cluster answers, ask the platform through its
# front door for half a minute, and apply what was there before when it does not, fails too often or is too slow
# (`formstream smoke`, or what FORMSTREAM_SMOKE says). KubeRay starts a new Ray cluster beside the old one and moves
# the service over when every application runs (blue-green), so a cluster that does not start costs nothing.
set -eu

stage=$1 image=$2 url=$3
here=$(cd "$(dirname "$0")" && pwd)
namespace=formstream-$stage service=formstream
patience=${FORMSTREAM_DEPLOY_SECONDS:-1200} pause=${FORMSTREAM_DEPLOY_PAUSE:-10}
# shellcheck source=deploy/kuberay/rayservice.sh
. "$here/rayservice.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

kubectl kustomize "$here/overlays/$stage" | sed "s|image: .*/formstream:.*|image: $image|" >"$work/new.yaml"
kubectl --namespace "$namespace" apply view-last-applied "rayservice/$service" --output yaml >"$work/old.yaml" 2>/dev/null ||
    rm -f "$work/old.yaml"

# shellcheck disable=SC2086  # a command with its arguments
answers() {
    ${FORMSTREAM_SMOKE:-formstream smoke} "$url"
}

kubectl apply --filename "$work/new.yaml"
if await && answers; then
    echo "$stage runs $image."
    exit 0
fi
echo "$stage does not answer with $image." >&2
kubectl --namespace "$namespace" describe rayservice "$service" >&2 || true
if [ -f "$work/old.yaml" ]; then
    echo "Going back to what was there before." >&2
    kubectl apply --filename "$work/old.yaml"
fi
exit 1
