#!/usr/bin/env bash
# Make a fresh Ubuntu into Millrace's host, start the stack, and tell CloudFormation that it is healthy. As root; called by
# user data, which tells of a failure.
#
#   install.sh STACK REGION
set -euo pipefail

stack=${1:?STACK} region=${2:?REGION}
release=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
program=/usr/local/lib/millrace-host

install -d -m 0755 /etc/millrace "$program"
install -m 0755 "$release"/infra/aws/host/*.py "$program/"
install -m 0644 "$release"/infra/aws/host/units/* /etc/systemd/system/
printf 'MILLRACE_STACK=%s\nAWS_DEFAULT_REGION=%s\nMILLRACE_RELEASE=%s\n' "$stack" "$region" "$release" >/etc/millrace/host.env

# Docker's data is on the data volume; without the volume Docker does not start. Containers' own limits win over these.
install -d -m 0755 /etc/docker /etc/systemd/system/docker.service.d
cat >/etc/docker/daemon.json <<'JSON'
{"data-root": "/srv/millrace/docker", "live-restore": false,
 "log-driver": "json-file", "log-opts": {"max-size": "20m", "max-file": "5"}}
JSON
printf '[Unit]\nRequiresMountsFor=/srv/millrace\nConditionPathIsMountPoint=/srv/millrace\n' \
    >/etc/systemd/system/docker.service.d/volume.conf

# Amazon's agent for memory, disk and logs: signed, and checked against the key whose fingerprint stands in Amazon's manual.
agent=$(mktemp -d)
base="https://amazoncloudwatch-agent-$region.s3.$region.amazonaws.com"
for file in ubuntu/amd64/latest/amazon-cloudwatch-agent.deb{,.sig} assets/amazon-cloudwatch-agent.gpg; do
    from=$base; [[ $file == assets/* ]] && from=https://amazoncloudwatch-agent.s3.amazonaws.com
    curl --fail --silent --show-error --retry 5 -o "$agent/${file##*/}" "$from/$file"
done
export GNUPGHOME=$agent/keys
install -d -m 0700 "$GNUPGHOME"
gpg --quiet --batch --import "$agent/amazon-cloudwatch-agent.gpg"
fingerprint=937616F3450B7D806CBD9725D58167303B789C72 # pragma: allowlist secret - a public key's
gpg --batch --status-fd 1 --verify "$agent/amazon-cloudwatch-agent.deb.sig" "$agent/amazon-cloudwatch-agent.deb" |
    grep -q "^\[GNUPG:\] VALIDSIG $fingerprint "
apt-get install -q -y "$agent/amazon-cloudwatch-agent.deb"
rm -rf "$agent"

systemctl daemon-reload
systemctl unmask docker.service docker.socket
systemctl enable millrace.service millrace-token.timer millrace-report.timer millrace-backup.timer
systemctl start millrace.service
sed "s|LOG_GROUP|/millrace/$stack|" "$release/infra/aws/host/cloudwatch.json" >/etc/millrace/cloudwatch.json
/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s -c file:/etc/millrace/cloudwatch.json
systemctl start millrace-token.timer millrace-report.timer millrace-backup.timer
systemctl start --no-block millrace-backup.service # the first one now: the alarm on its age need not wait for the night
MILLRACE_STACK=$stack AWS_DEFAULT_REGION=$region python3 "$program/host.py" signal
