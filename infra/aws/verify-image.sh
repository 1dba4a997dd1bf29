#!/usr/bin/env bash
# In GitHub Actions: find the digest of an image and prove that this repository's release workflow built it.
#
#   verify-image.sh TAG | @sha256:DIGEST
#
# Writes image=REPOSITORY@DIGEST to GITHUB_OUTPUT: what was verified is what gets deployed, wherever the tag moves to.
set -euo pipefail

repository=ghcr.io/${GITHUB_REPOSITORY_OWNER,,}/millrace
case ${1:?TAG or @DIGEST} in
    @*) asked=$repository$1 ;;
    *) asked=$repository:$1 ;;
esac
[[ $asked =~ ^[a-z0-9./_-]+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})$ ]] ||
    { echo "not a tag or a digest: $1" >&2; exit 1; }

# The first digest is the image's own, those of its platforms follow; a wrong one would have no attestation.
found=$(docker buildx imagetools inspect "$asked" --format '{{json .Manifest}}')
[[ $found =~ \"digest\":\ *\"(sha256:[0-9a-f]{64})\" ]] || { echo "no digest of $asked" >&2; exit 1; }
digest=${BASH_REMATCH[1]}
gh attestation verify "oci://$repository@$digest" --repo "$GITHUB_REPOSITORY" \
    --signer-workflow "$GITHUB_REPOSITORY/.github/workflows/release.yml"
echo "image=$repository@$digest" >>"$GITHUB_OUTPUT"
