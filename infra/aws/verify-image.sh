#!/usr/bin/env bash
# In GitHub Actions: find the digest of an image and prove that this repository's release workflow built it, for the tag of
# that very release: the same workflow on another branch, or another release under this name, is refused.
#
#   verify-image.sh 1.2.3 | @sha256:DIGEST | 1.2.3@sha256:DIGEST
#
# Of a digest alone the release is the one that the image's label names: what it claims to be, its certificate must say.
# Writes image=REPOSITORY@DIGEST to GITHUB_OUTPUT: what was verified is what gets deployed, wherever the tag moves to.
set -euo pipefail

repository=ghcr.io/${GITHUB_REPOSITORY_OWNER,,}/millrace
one='[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?'
[[ ${1:?1.2.3 or @DIGEST} =~ ^(v?($one))?(@sha256:[0-9a-f]{64})?$ ]] || {
    echo "neither a release (1.2.3; 1.2 and latest move) nor a digest (@sha256:...): $1" >&2
    exit 1
}
release=${BASH_REMATCH[2]} digest=${BASH_REMATCH[4]#@}
inspect() { docker buildx imagetools inspect "$1" --format "{{json .$2}}"; }

if [[ -z $digest ]]; then
    # The first digest is the image's own, those of its platforms follow; a wrong one would have no attestation.
    [[ $(inspect "$repository:$release" Manifest) =~ \"digest\":\ *\"(sha256:[0-9a-f]{64})\" ]] ||
        { echo "no digest of $repository:$release" >&2; exit 1; }
    digest=${BASH_REMATCH[1]}
elif [[ -z $release ]]; then
    [[ $(inspect "$repository@$digest" Image) =~ \"org.opencontainers.image.version\":\ *\"($one)\" ]] ||
        { echo "the image names no release in its label: say 1.2.3@$digest" >&2; exit 1; }
    release=${BASH_REMATCH[1]}
fi
ref=refs/tags/v$release
gh attestation verify "oci://$repository@$digest" --repo "$GITHUB_REPOSITORY" --deny-self-hosted-runners \
    --source-ref "$ref" --cert-identity "https://github.com/$GITHUB_REPOSITORY/.github/workflows/release.yml@$ref"
echo "image=$repository@$digest" >>"$GITHUB_OUTPUT"
