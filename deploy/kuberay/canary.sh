#!/bin/sh
# canary.sh STAGE IMAGE URL: put an image beside what runs, lead 5, 25, 50 and 100 of a hundred requests to it
# (FORMSTREAM_CANARY_STEPS), and ask it at each step through the front door, by a header, and what runs beside it too
# (`formstream smoke`, or what FORMSTREAM_SMOKE says). One that does not answer, fails more often or is slower is taken
# away, within the time that the proxy takes to be told. One that passes is deployed by deploy.sh, and then taken away.
# Where nothing runs yet there is nothing to be beside: deploy.sh does it at once.
set -eu

stage=$1 image=$2 url=$3
here=$(cd "$(dirname "$0")" && pwd)
namespace=formstream-$stage service=formstream-canary
patience=${FORMSTREAM_DEPLOY_SECONDS:-1200} pause=${FORMSTREAM_DEPLOY_PAUSE:-10}
smoke=${FORMSTREAM_SMOKE:-formstream smoke}
header=X-Formstream-Canary
# shellcheck source=deploy/kuberay/rayservice.sh
. "$here/rayservice.sh"

runs=$(kubectl --namespace "$namespace" get rayservice formstream --ignore-not-found --output name)
[ -n "$runs" ] || exec "$here/deploy.sh" "$stage" "$image" "$url"
work=$(mktemp -d)

weigh() {
    kubectl --namespace "$namespace" annotate ingress "$service" --overwrite \
        "nginx.ingress.kubernetes.io/canary-weight=$1"
}

# The requests first: nobody is led to what is being removed.
remove() {
    kubectl --namespace "$namespace" delete ingress "$service" --ignore-not-found
    sleep "$pause"
    kubectl --namespace "$namespace" delete rayservice "$service" --ignore-not-found
}

leave() {
    code=$?
    trap - EXIT INT TERM
    remove >&2 || echo "The canary is still there: kubectl --namespace $namespace delete ingress,rayservice $service" >&2
    rm -rf "$work"
    exit "$code"
}

give_up() {
    echo "$stage stays as it is: $1" >&2
    kubectl --namespace "$namespace" describe rayservice "$service" >&2 || true
    exit 1
}

# The same manifests with another name, and the settings that they name; all the rest is shared.
kubectl kustomize "$here/overlays/$stage" | sed "s|image: .*/formstream:.*|image: $image|" >"$work/all.yaml"
awk -v name="$service" '
    function flush() {
        if (kind == "RayService") sub(/\n  name: formstream\n/, "\n  name: " name "\n", text)
        if (kind == "RayService" || kind == "ConfigMap") printf "---\n%s", text
        text = kind = ""
    }
    /^---/ { flush(); next }
    /^kind: / { kind = $2 }
    { text = text $0 "\n" }
    END { flush() }
' "$work/all.yaml" >"$work/canary.yaml"
grep -q "^  name: $service\$" "$work/canary.yaml" || {
    echo "There is no RayService formstream in overlays/$stage." >&2
    exit 1
}
host=$(sed -n 's/^  - host: //p' "$work/all.yaml" | head -n 1)
sed "s|host: .*|host: $host|" "$here/canary-ingress.yaml" >"$work/ingress.yaml"

trap leave EXIT
trap 'exit 1' INT TERM
kubectl --namespace "$namespace" apply --filename "$work/canary.yaml"
await || give_up "the canary does not start."
kubectl --namespace "$namespace" apply --filename "$work/ingress.yaml"
for weight in ${FORMSTREAM_CANARY_STEPS:-5 25 50 100}; do
    weigh "$weight"
    sleep "$pause"
    # shellcheck disable=SC2086  # a command with its arguments
    $smoke --header "$header=always" --against "$header=never" "$url" ||
        give_up "the canary does not do as well with $weight of a hundred requests."
    echo "The canary does well with $weight of a hundred requests."
done
FORMSTREAM_SMOKE="$smoke --header $header=never" "$here/deploy.sh" "$stage" "$image" "$url"
