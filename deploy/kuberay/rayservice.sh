# Read by deploy.sh and canary.sh: how the RayService $service of $namespace is. $patience and $pause are in seconds.
# shellcheck shell=sh disable=SC2154

status() {
    kubectl --namespace "$namespace" get rayservice "$service" --output "jsonpath=$1"
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
