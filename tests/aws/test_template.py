"""What the CloudFormation template makes, read from the file alone; `make test-aws` deploys it as well."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.aws.template import EVERYTHING, REQUIRED, Made

HOST = Path(__file__).parents[2] / "infra" / "aws" / "host"
MANAGED = {
    "Postgres=rds": "AWS::RDS::DBInstance",
    "Redis=elasticache": "AWS::ElastiCache::ReplicationGroup",
    "Kafka=msk-scram": "AWS::MSK::Cluster",
    "Kafka=msk-iam": "AWS::MSK::Cluster",
}
# Amazon offers nothing narrower for these; a condition or what they reveal bounds them.
BROAD = {"ec2:DescribeVolumes", "ec2:DescribeInstances", "cloudwatch:PutMetricData"} | {
    "ssm:GetCommandInvocation",
    "ssm:ListCommandInvocations",
}


def statements(made: Made) -> Iterator[dict[str, Any]]:
    for policy in made.of("AWS::IAM::Policy").values():
        yield from policy["PolicyDocument"]["Statement"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]


@pytest.mark.parametrize(("redirect", "kafka"), [("no", "msk-scram"), ("yes", "msk-iam")])
def test_from_outside_only_the_proxy_is_reached(redirect: str, kafka: str) -> None:
    made = Made({**EVERYTHING, "HttpRedirect": redirect, "Kafka": kafka})
    groups = made.of("AWS::EC2::SecurityGroup").values()
    alone = made.of("AWS::EC2::SecurityGroupIngress").values()
    rules = [*(rule for group in groups for rule in group.get("SecurityGroupIngress", [])), *alone]
    from_networks = [(r["IpProtocol"], r["FromPort"], r["ToPort"], r["CidrIp"]) for r in rules if "CidrIp" in r]
    ports = [443, 80] if redirect == "yes" else [443]
    assert from_networks == [("tcp", port, port, REQUIRED["AllowedCidr"]) for port in ports]
    host = {"Fn::GetAtt": ["HostSecurityGroup", "GroupId"]}
    between = [rule for rule in alone if "CidrIp" not in rule]
    assert sorted(rule["FromPort"] for rule in between) == [5432, 6379, 9098 if kafka == "msk-iam" else 9096]
    assert all(rule["SourceSecurityGroupId"] == host for rule in between)


def test_the_host_demands_imdsv2_and_has_no_key_for_ssh() -> None:
    made = Made()
    [template] = made.of("AWS::EC2::LaunchTemplate").values()
    assert template["LaunchTemplateData"]["MetadataOptions"] == {
        "HttpTokens": "required",
        "HttpEndpoint": "enabled",
        "HttpPutResponseHopLimit": 1,
    }
    [host] = made.of("AWS::EC2::Instance").values()
    assert host["LaunchTemplate"]["LaunchTemplateId"] == {"Ref": "HostTemplate"}
    assert "KeyName" not in host
    assert made.resources["Host"]["CreationPolicy"]["ResourceSignal"]["Count"] == 1


def test_every_disk_is_encrypted_and_the_data_outlive_the_stack() -> None:
    made = Made(EVERYTHING)
    [volume] = made.of("AWS::EC2::Volume").values()
    assert (volume["Encrypted"], volume["VolumeType"]) == (True, "gp3")
    [host] = made.of("AWS::EC2::Instance").values()
    assert all(each["Ebs"]["Encrypted"] for each in host["BlockDeviceMappings"])
    assert made.of("AWS::RDS::DBInstance")["Database"]["StorageEncrypted"]
    assert all(made.of("AWS::S3::Bucket")["BackupBucket"]["PublicAccessBlockConfiguration"].values())
    caches = made.of("AWS::ElastiCache::ReplicationGroup").values()
    assert all(c["AtRestEncryptionEnabled"] and c["TransitEncryptionEnabled"] for c in caches)
    kept = {n: r["DeletionPolicy"] for n, r in made.resources.items() if "DeletionPolicy" in r}
    assert kept["DataVolume"] == kept["BackupBucket"] == kept["MskCluster"] == kept["PostgresSecret"] == "Retain"
    assert kept["Database"] == "Snapshot"
    tag = made.of("AWS::DLM::LifecyclePolicy")["Snapshots"]["PolicyDetails"]["TargetTags"]
    assert tag[0] in volume["Tags"]


def test_no_rights_are_wider_than_they_must_be() -> None:
    for each in (*statements(Made(EVERYTHING)), *statements(Made({**EVERYTHING, "Kafka": "msk-iam"}))):
        assert not any("*" in action for action in listed(each["Action"])), each
        if "*" in listed(each["Resource"]) and each["Sid"] != "SystemsManager":
            assert set(listed(each["Action"])) <= BROAD, each


def test_systems_manager_reaches_the_host_and_the_host_reads_no_parameters_but_its_own() -> None:
    by_name = {each["Sid"]: each for each in statements(Made(EVERYTHING))}
    spoken = {"ssm:UpdateInstanceInformation", "ssmmessages:OpenDataChannel", "ec2messages:GetMessages"}
    assert spoken <= set(by_name["SystemsManager"]["Action"])
    assert not [action for action in by_name["SystemsManager"]["Action"] if "GetParameter" in action]
    assert "parameter/millrace/${AWS::StackName}/config" in str(by_name["ItsConfiguration"]["Resource"])
    assert not any("ManagedPolicyArns" in role for n, role in Made().of("AWS::IAM::Role").items() if n == "HostRole")


def test_a_token_of_the_host_opens_its_topics_and_its_group_and_no_other_cluster() -> None:
    by_name = {each["Sid"]: each for each in statements(Made({**REQUIRED, "Kafka": "msk-iam"}))}
    assert by_name["TheCluster"]["Resource"] == {"Ref": "MskCluster"}
    assert str(by_name["ItsTopics"]["Resource"]).count("topic/${AWS::StackName}/*") == 1
    assert str(by_name["ItsGroup"]["Resource"]).count("group/${AWS::StackName}/*/millrace") == 1
    assert not {"ItsTopics", "ItsGroup"} & {each["Sid"] for each in statements(Made(EVERYTHING))}
    made = Made({**REQUIRED, "Kafka": "msk-iam"})
    assert not {"MskSecret", "MskKey", "MskUser"} & set(made.resources)
    assert made.of("AWS::MSK::Cluster")["MskCluster"]["ClientAuthentication"] == {
        "Sasl": {"Scram": {"Enabled": False}, "Iam": {"Enabled": True}},
        "Unauthenticated": {"Enabled": False},
    }


def test_whoever_deploys_may_run_one_document_on_one_host_from_one_environment() -> None:
    made = Made(EVERYTHING)
    [role] = [r for n, r in made.of("AWS::IAM::Role").items() if n == "DeployRole"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    subject = trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert subject == {"Fn::Sub": "repo:${DeployRepository}:environment:${DeployEnvironment}"}
    sends = [s for s in made.of("AWS::IAM::Policy")["DeployPolicy"]["PolicyDocument"]["Statement"] if "Send" in str(s)]
    assert [s["Sid"] for s in sends] == ["OnlyThisDocument", "OnlyOnThisHost"]
    assert sends[1]["Condition"]["StringEquals"].keys() == {"ssm:resourceTag/millrace-stack"}
    assert "DeployRole" not in Made().resources


def allowed(image: str) -> bool:
    """Whether Systems Manager would take an image for the stack's document."""
    [document] = Made(EVERYTHING).of("AWS::SSM::Document").values()
    pattern, values = document["Content"]["parameters"]["Image"]["allowedPattern"]["Fn::Sub"]
    between, split = values["Repository"]["Fn::Join"]
    at, repository = split["Fn::Split"]
    return re.search(pattern.replace("${Repository}", between.join(repository.split(at))), image) is not None


def test_the_document_deploys_what_the_stacks_own_repository_holds_and_only_by_digest() -> None:
    digest, ours = "sha256:" + "a" * 64, REQUIRED["ImageRepository"]
    assert allowed(f"{ours}@{digest}")
    for repository in (
        "ghcr.io/other/millrace",
        "ghcr_io/owner/millrace",
        "evil.example/" + ours,
        f"{ours}2",
        f"{ours}/x",
    ):
        assert not allowed(f"{repository}@{digest}")
    for name in (
        "1.2.3",
        f"@{digest}",
        ours,
        f"{ours}:1.2.3",
        f"{ours}:1.2.3@{digest}",
        f"{ours}@{digest}0",
        f"{ours}@sha256:0",
    ):
        assert not allowed(name)


@pytest.mark.parametrize(("choice", "kind"), MANAGED.items())
def test_a_managed_service_is_made_only_when_it_is_chosen(choice: str, kind: str) -> None:
    name, _, value = choice.partition("=")
    assert not Made().of(kind)
    made = Made({**REQUIRED, name: value})
    assert made.of(kind)
    others = set(MANAGED.values()) - {kind}
    assert not any(made.of(other) for other in others)


def test_every_alarm_is_told_and_a_broken_machine_is_replaced_by_itself() -> None:
    made = Made(EVERYTHING)
    alarms = made.of("AWS::CloudWatch::Alarm")
    assert {"HostIsBroken", "HostHangs", "DataVolumeFills", "MemoryFills", "EventsWait", "DatabaseFills"} <= set(alarms)
    assert all({"Ref": "Alarms"} in alarm["AlarmActions"] for alarm in alarms.values())
    assert "ec2:recover" in str(alarms["HostIsBroken"]["AlarmActions"])
    assert "EventsWait" not in Made({**REQUIRED, "Profiles": "core,proxy"}).resources


def test_what_the_alarms_stand_on_is_what_the_host_sends() -> None:
    agent = json.loads((HOST / "cloudwatch.json").read_text())["metrics"]
    sent = {m for part in agent["metrics_collected"].values() for m in part["measurement"]}
    report = (HOST / "report.py").read_text()
    for alarm in Made().of("AWS::CloudWatch::Alarm").values():
        if alarm["Namespace"] == "Millrace":
            assert alarm["MetricName"] in sent or f'"{alarm["MetricName"]}"' in report


def test_every_reference_leads_to_something() -> None:
    for parameters in (REQUIRED, EVERYTHING, {**REQUIRED, "Kafka": "external"}):
        made = Made(parameters)
        known = set(made.resources) | set(made.parameters)
        text = yaml.safe_dump(made.resources)
        referred = {line.split(":", 1)[1].strip() for line in text.splitlines() if line.strip().startswith("Ref:")}
        assert {r for r in referred if not r.startswith("AWS::")} <= known
