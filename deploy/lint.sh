#!/bin/sh
# lint.sh TOOLS: every deployment file by its own tool, from the environment TOOLS. What no registry of packages has
# (docker compose, kubectl, terraform, actionlint) is used where it is installed, and named where it is not.
set -eu
cd "$(dirname "$0")/.."
PATH=$(cd "$1" && pwd)/bin:$PATH
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

heading() {
    printf '\n== %s\n' "$1"
}

without() {
    echo "$1 is not installed: $2"
}

heading "Compose files"
# The schema knows no tags; what they do is for docker compose to see.
sed 's/ !override//' docker-compose.test.yml >"$scratch/docker-compose.test.yml"
check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml "$scratch/docker-compose.test.yml"
if docker compose version >/dev/null 2>&1; then
    docker compose --env-file /dev/null -f docker-compose.yml config --quiet --no-interpolate
    docker compose --env-file /dev/null -f docker-compose.yml -f docker-compose.test.yml config --quiet --no-interpolate
else
    without "docker compose" "its own look at the files is left out."
fi

heading "Proxy"
caddy fmt deploy/Caddyfile >/dev/null
XDG_DATA_HOME=$scratch XDG_CONFIG_HOME=$scratch caddy validate --config deploy/Caddyfile --adapter caddyfile 2>"$scratch/caddy.log" ||
    { cat "$scratch/caddy.log"; exit 1; }

heading "Image"
hadolint deploy/Dockerfile

heading "Shell scripts"
shellcheck deploy/*.sh deploy/formstream deploy/*/*.sh tests/deploy/*.sh .ci/run

heading "Workflows"
check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
zizmor --quiet --offline --no-progress .github
if command -v actionlint >/dev/null; then
    actionlint
else
    without actionlint "expressions in workflows are not checked."
fi

heading "Kubernetes"
python deploy/kuberay/check.py

heading "Terraform"
for file in deploy/terraform/*.tf; do
    hcl2tojson "$file" >/dev/null
done
if command -v terraform >/dev/null; then
    terraform fmt -check -diff deploy/terraform
    if [ -d deploy/terraform/.terraform/providers ]; then
        terraform -chdir=deploy/terraform validate
    else
        echo "terraform init was not run in deploy/terraform: resources are not compared with their provider."
    fi
else
    without terraform "files are parsed, and not compared with their provider."
fi
