#!/usr/bin/env bash
# Put an image in place of the one that runs: pull, migrate, start, wait for health; otherwise back to the former one.
#
#   deploy.sh IMAGE     a tag or @digest of the repository that runs now (1.2.3), or a whole reference (ghcr.io/o/millrace:1.2.3)
#
# Runs on the host, as who may use Docker. IMAGE is written to .env only when it is healthy, so a host that goes down
# half-way comes up with the former image. Migrations are not undone: each release's schema serves the release before, too.
#
# Exit codes: 0 deployed, 1 nothing was changed, 3 failed and rolled back, 4 failed, and so did the way back.
# Settings: MILLRACE_DEPLOYMENT (where .env is; default: this folder), DEPLOY_HEALTH_SECONDS (300), DEPLOY_SETTLE_SECONDS (20).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
directory=$(cd "${MILLRACE_DEPLOYMENT:-$here}" && pwd)
health_seconds=${DEPLOY_HEALTH_SECONDS:-300}
settle_seconds=${DEPLOY_SETTLE_SECONDS:-20}
settings=$directory/.env

say() { printf 'deploy: %s\n' "$*"; }
refuse() { say "$*" >&2; exit 1; }

[[ $# -eq 1 ]] || refuse "give one image: deploy.sh TAG | @sha256:DIGEST | REPOSITORY:TAG"
[[ -f $settings ]] || refuse "$settings is missing: millrace init writes it"
export MILLRACE_DEPLOYMENT=$directory

exec 9>"$directory/.deploy.lock"
flock --nonblock 9 || refuse "another deployment is under way"

current=$(sed -n 's/^MILLRACE_IMAGE=//p' "$settings" | tail -n 1)

# The whole reference of what was asked for; fails where it is no image reference.
reference() {
    local asked=$1 repository=${current%@*}
    local name='[a-z0-9][a-z0-9._-]*(:[0-9]+/)?[a-z0-9._/-]*'
    [[ ${repository##*/} == *:* ]] && repository=${repository%:*}
    case $asked in
        */*) ;;
        @*) asked=$repository$asked ;;
        *) asked=$repository:$asked ;;
    esac
    [[ $asked =~ ^${name}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$ ]] && printf '%s' "$asked"
}

[[ -n $current || $1 == */* ]] || refuse "no MILLRACE_IMAGE in $settings: give the whole reference the first time"
wanted=$(reference "$1") || refuse "not an image: $1"

# From this folder: COMPOSE_FILE in .env may name files beside compose.yaml, and Docker looks for them from where it runs.
compose() { (cd "$here" && MILLRACE_IMAGE=$1 docker compose --project-directory "$here" --env-file "$settings" "${@:2}"); }

# Services that should be up and are not, one a line; one-shot services that ended well are as they should be.
# A container that Docker still calls "starting" after the wait has no verdict yet, and none is not health.
not_well() {
    compose "$1" ps --all --format '{{.Service}} {{.State}} {{.ExitCode}} {{.Health}}' |
        awk '!($2 == "exited" && $3 == 0) && !($2 == "running" && ($4 == "" || $4 == "healthy"))'
}

# How often Docker has restarted each container.
restarts() { compose "$1" ps --quiet | xargs --no-run-if-empty docker inspect --format '{{.Name}} {{.RestartCount}}'; }

# Start with an image and see it healthy twice: at once, and when what fails late has had its time.
start() {
    local image=$1 ailing before
    compose "$image" up --detach --wait --wait-timeout "$health_seconds" --remove-orphans || return 1
    before=$(restarts "$image") || return 1
    sleep "$settle_seconds"
    [[ $(restarts "$image") == "$before" ]] || { say "something was restarted within $settle_seconds s"; return 1; }
    ailing=$(not_well "$image") || return 1
    [[ -z $ailing ]] || { say "not well after $settle_seconds s: ${ailing//$'\n'/; }"; return 1; }
}

# Replaced in one step: a host that loses power finds the old file or the new one.
remember() {
    local fresh
    fresh=$(mktemp "$settings.XXXXXX")
    cp --preserve=mode,ownership "$settings" "$fresh"
    { sed '/^MILLRACE_IMAGE=/d' "$settings"; printf 'MILLRACE_IMAGE=%s\n' "$1"; } >"$fresh"
    mv "$fresh" "$settings"
}

roll_back() {
    [[ -n $current ]] || { say "failed, and there is no former image to go back to" >&2; exit 4; }
    say "back to $current"
    if start "$current"; then say "rolled back" >&2; exit 3; fi
    say "the way back failed, too: docker compose ps, docker compose logs" >&2
    exit 4
}

say "${current:-nothing} -> $wanted"
# A name without a registry is that of an image that was built here.
fetched() { if [[ $1 == */* ]]; then docker pull --quiet "$1"; else docker image inspect "$1"; fi >/dev/null; }
fetched "$wanted" || refuse "$wanted cannot be had; nothing was changed"
# A release may need a secret that the one before did not know; init makes what is missing and touches nothing else.
docker run --rm --network none --user "$(stat --format %u:%g "$settings")" --volume "$directory:/deployment" "$wanted" \
    init --directory /deployment >/dev/null || refuse "$wanted could not complete $directory; nothing was changed"
# Before anything is stopped: the schema of a release serves the release before it, too.
compose "$wanted" run --rm migrate || { say "the migration failed"; roll_back; }
start "$wanted" || roll_back
remember "$wanted"
say "deployed $wanted"
