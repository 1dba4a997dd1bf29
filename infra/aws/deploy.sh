#!/usr/bin/env bash
# Have the host of a CloudFormation stack put an image into service, through Systems Manager: no SSH, no open port.
#
#   deploy.sh STACK REPOSITORY@sha256:DIGEST       with the repository that the stack was given; verify-image.sh names both
#
# Needs the aws command and the credentials of the stack's DeployRole: it may run the document STACK-deploy on the host
# that bears the stack's name, and ask how it went. Prints what the host said. Exit code: 0 deployed; 1 not, and the
# output says whether it was rolled back.
# Settings: DEPLOY_WAIT_SECONDS (2460, a little longer than the document's own end), DEPLOY_POLL_SECONDS (5).
set -euo pipefail

stack=${1:?STACK} image=${2:?IMAGE}
wait_seconds=${DEPLOY_WAIT_SECONDS:-2460}
poll_seconds=${DEPLOY_POLL_SECONDS:-5}

# The document allows only this, too, of its own repository; here it is said before anything is sent.
[[ $image =~ ^[a-z0-9.:-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$ ]] ||
    { echo "not REPOSITORY@sha256:DIGEST, which alone cannot be moved: $image" >&2; exit 1; }

id=$(aws ssm send-command --document-name "$stack-deploy" --targets "Key=tag:millrace-stack,Values=$stack" \
    --parameters "Image=$image" --comment "deploy $image" --output text --query Command.CommandId)

# One line: the status and the host; nothing as long as no host has taken the command.
taken() {
    aws ssm list-command-invocations --command-id "$id" --output text \
        --query "CommandInvocations[0].[Status,InstanceId]" 2>/dev/null | grep -v '^None' || true
}
output() {
    aws ssm get-command-invocation --command-id "$id" --instance-id "$host" --output text --query "$1"
}

deadline=$((SECONDS + wait_seconds)) status=Pending host=
while [[ $status == Pending || $status == InProgress || $status == Delayed || $status == Cancelling ]]; do
    ((SECONDS < deadline)) || { echo "no end after $wait_seconds s (host: ${host:-none has taken it}): $id" >&2; exit 1; }
    sleep "$poll_seconds"
    read -r status host < <(taken; echo) || true
    status=${status:-Pending}
done
output StandardOutputContent
output StandardErrorContent >&2
[[ $status == Success ]] || { echo "not deployed: $status" >&2; exit 1; }
