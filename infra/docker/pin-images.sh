#!/usr/bin/env bash
# Name every image that we build on or start by its digest: a tag is what its owner, or who has his password, makes of it.
#
#   pin-images.sh [FILE...]            look the digests up, and write them behind the tags; again, to take newer ones over
#   pin-images.sh --check [FILE...]    name those that have none; exit code 1 if there is one. Asks nobody. A release runs it
#
# FILE: a Dockerfile (`ARG NAME_IMAGE=...`, `FROM image`) or a Compose file; default: those of this folder. Needs docker
# with buildx and the registries. What is built here (no tag but dev) has no digest elsewhere and is left alone.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
check=
[[ ${1:-} != --check ]] || { check=1; shift; }
(($#)) || set -- "$here/Dockerfile" "$here/compose.yaml"

# One a line, as it stands there. `FROM ${NAME}` and `FROM stage` name what is found elsewhere; a tag tells the others.
references() {
    sed -nE -e 's/^ARG [A-Z_]*IMAGE=([^ ]+).*/\1/p' \
        -e 's/^FROM ([^$ ]+:[^ ]+).*/\1/p' \
        -e 's/^ *image: *"?\$\{[A-Z_]+:-([^}]+)\}.*/\1/p' \
        -e 's/^ *image: *"?([^$" ]+).*/\1/p' "$1" | grep -vE '^millrace:dev$' | sort -u || true
}

digest_of() {
    local found
    found=$(docker buildx imagetools inspect "$1" --format '{{json .Manifest}}')
    [[ $found =~ \"digest\":\ *\"(sha256:[0-9a-f]{64})\" ]] || { echo "no digest of $1" >&2; return 1; }
    printf '%s' "${BASH_REMATCH[1]}"
}

unpinned=0
for file; do
    while IFS= read -r reference; do
        [[ -n $reference ]] || continue
        if [[ -n $check ]]; then
            [[ $reference =~ ^[^@]+:[^@]+@sha256:[0-9a-f]{64}$ ]] ||
                { echo "$file: $reference has no digest: run infra/docker/pin-images.sh" >&2; unpinned=1; }
        else
            tag=${reference%@*}
            digest=$(digest_of "$tag")
            # Where the whole reference ends: redis:8 is no part of redis:8.2.
            sed -i -E "s#(=|:-|: *\"?|FROM )${reference//./\\.}([ }\"]|\$)#\1$tag@$digest\2#" "$file"
            echo "$tag@$digest"
        fi
    done < <(references "$file")
done
exit "$unpinned"
