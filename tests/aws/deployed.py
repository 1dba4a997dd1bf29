# pyright: basic, reportMissingImports=false
"""The template deployed against moto, and the host's programs against what that made. `make test-aws` runs it.

It has a virtual environment of its own (requirements/aws.txt) and is not collected by `make test`: boto3 and moto are
larger than everything else that the tests need.
"""

import json
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.aws import stand_ins
from tests.aws.template import EVERYTHING, PATH, REQUIRED, load

sys.path.insert(0, str(PATH.parent / "host"))
import host
import stack
import volume
import written

REGION = "eu-central-1"
STACK = "events"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account that is empty and not Amazon's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    stand_ins.NOTED.clear()
    with mock_aws():
        yield


def deploy(parameters: dict[str, str] = REQUIRED) -> dict[str, str]:
    """Create the stack; its outputs."""
    image = boto3.client("ec2").describe_images()["Images"][0]["ImageId"]
    boto3.client("ssm").put_parameter(Name="/image", Type="String", Value=image)
    client = boto3.client("cloudformation")
    given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
    template = deepcopy(load())  # spelled out: moto takes `!Condition` for something else
    template["Parameters"]["HostImage"]["Default"] = "/image"  # it knows none of Amazon's
    body = json.dumps(template)
    client.create_stack(StackName=STACK, TemplateBody=body, Parameters=given, Capabilities=["CAPABILITY_IAM"])
    [made] = client.describe_stacks(StackName=STACK)["Stacks"]
    assert made["StackStatus"] == "CREATE_COMPLETE"
    return {o["OutputKey"]: o["OutputValue"] for o in made["Outputs"]}


def the_host() -> dict[str, Any]:
    filters = [{"Name": "tag:millrace-stack", "Values": [STACK]}]
    [[found]] = [r["Instances"] for r in boto3.client("ec2").describe_instances(Filters=filters)["Reservations"]]
    return found


def test_the_host_is_reached_through_one_port_and_demands_imdsv2() -> None:
    outputs = deploy()
    instance = the_host()
    assert instance["InstanceId"] == outputs["InstanceId"]
    ec2 = boto3.client("ec2")
    groups = ec2.describe_security_groups()["SecurityGroups"]
    rules = [r for g in groups if "SecurityGroup" in g["GroupName"] for r in g["IpPermissions"]]
    seen = [(r["FromPort"], r["ToPort"], [i["CidrIp"] for i in r["IpRanges"]], r["UserIdGroupPairs"]) for r in rules]
    assert seen == [(443, 443, [REQUIRED["AllowedCidr"]], [])]
    [template] = ec2.describe_launch_templates()["LaunchTemplates"]
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert "KeyName" not in instance
    profile = instance["IamInstanceProfile"]["Arn"].rpartition("/")[2]
    [role] = boto3.client("iam").get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
    assert "HostRole" in role["RoleName"]
    [network] = ec2.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["false"]}])["Vpcs"]
    [group] = [g for g in groups if "HostSecurityGroup" in g["GroupName"]]
    assert (network["CidrBlock"], group["VpcId"]) == ("10.90.0.0/16", network["VpcId"])


def test_there_is_a_data_volume_with_daily_snapshots_and_an_encrypted_bucket() -> None:
    outputs = deploy()
    ec2 = boto3.client("ec2")
    [found] = ec2.describe_volumes(VolumeIds=[outputs["DataVolume"]])["Volumes"]
    assert found["Size"] == 200
    [snapshots] = stand_ins.NOTED["AWS::DLM::LifecyclePolicy"]
    assert snapshots["PolicyDetails"]["TargetTags"] == [{"Key": "millrace-snapshots", "Value": STACK}]
    [daily] = snapshots["PolicyDetails"]["Schedules"]
    assert (daily["CreateRule"]["Interval"], int(daily["RetainRule"]["Count"])) == (24, 14)
    rules = boto3.client("s3").get_bucket_encryption(Bucket=outputs["BackupBucket"])
    assert rules["ServerSideEncryptionConfiguration"]["Rules"]


def test_the_host_may_do_what_it_must_and_nothing_to_other_stacks() -> None:
    deploy()
    iam = boto3.client("iam")
    [role] = [r["RoleName"] for r in iam.list_roles()["Roles"] if "HostRole" in r["RoleName"]]
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    by_name = {s["Sid"]: s for s in document["Statement"]}
    assert by_name["ItsConfiguration"]["Resource"].endswith(f":parameter/millrace/{STACK}/config")
    secrets = {s["ARN"] for s in boto3.client("secretsmanager").list_secrets()["SecretList"]}
    assert set(by_name["ItsSecrets"]["Resource"]) == secrets
    assert not [sid for sid in by_name if sid.startswith(("TheKeyOf", "TheBrokers", "TheCluster", "ItsTopics"))]


@pytest.mark.parametrize(("kafka", "secrets"), [("msk-scram", 6), ("msk-iam", 5)])
def test_managed_services_stand_in_private_subnets_behind_the_host_and_the_host_is_told(
    kafka: str, secrets: int
) -> None:
    deploy({**EVERYTHING, "Kafka": kafka})
    config = host.read_config(STACK)
    ec2 = boto3.client("ec2")
    subnets = {s["CidrBlock"]: s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]}
    private = {subnets[f"10.90.{number}.0/24"] for number in (1, 2, 3)}
    [database] = boto3.client("rds").describe_db_instances()["DBInstances"]
    assert (database["Engine"], database["StorageEncrypted"], database["MultiAZ"]) == ("postgres", True, True)
    assert not database["PubliclyAccessible"]
    assert {s["SubnetIdentifier"] for s in database["DBSubnetGroup"]["Subnets"]} < private
    assert config["postgres_host"] == database["Endpoint"]["Address"]
    [brokers] = stand_ins.NOTED["AWS::MSK::Cluster"]
    assert set(brokers["BrokerNodeGroupInfo"]["ClientSubnets"]) == private
    assert len(stand_ins.NOTED.get("AWS::MSK::BatchScramSecret", [])) == (kafka == "msk-scram")
    claims, broker = stand_ins.NOTED["AWS::ElastiCache::ReplicationGroup"]
    assert "ClaimsCache" in config["claims_host"]
    assert "BrokerCache" in config["broker_host"]
    assert claims["AuthToken"] == broker["AuthToken"]
    policies = [p["Properties"]["maxmemory-policy"] for p in stand_ins.NOTED["AWS::ElastiCache::ParameterGroup"]]
    assert sorted(policies) == ["noeviction", "volatile-ttl"]
    assert len(boto3.client("secretsmanager").list_secrets()["SecretList"]) == secrets
    made = stack.secrets(
        config, lambda arn: boto3.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    )
    assert ("OAUTHBEARER" in made["kafka_options"]) == (kafka == "msk-iam")


def test_alarms_reach_the_address_that_was_given() -> None:
    deploy()
    sns = boto3.client("sns")
    [subscription] = sns.list_subscriptions()["Subscriptions"]
    assert subscription["Endpoint"] == REQUIRED["AlarmEmail"]
    alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == 8
    assert all(subscription["TopicArn"] in alarm["AlarmActions"] for alarm in alarms)
    instance = the_host()["InstanceId"]
    assert all({"Name": "InstanceId", "Value": instance} in alarm["Dimensions"] for alarm in alarms)


def test_the_host_turns_what_the_stack_says_into_settings_and_secrets() -> None:
    deploy()
    config = host.read_config(STACK)
    client = boto3.client("secretsmanager")
    secrets = stack.secrets(config, lambda arn: client.get_secret_value(SecretId=arn)["SecretString"])
    owner = f"postgresql://millrace:{secrets['postgres_password']}@postgres:5432/millrace"
    assert secrets["postgres_owner_url"] == owner
    assert secrets["postgres_url"].startswith("postgresql://millrace_service:")
    assert secrets["postgres_password"] not in secrets["postgres_url"]
    assert len(secrets["postgres_password"]) == 40
    lines = stack.lines(config, host.brokers(config))
    assert lines["POSTGRES_PROFILE"] == lines["KAFKA_PROFILE"] == "core"
    assert lines["MILLRACE_NETWORK_INTERNAL"] == "true"
    assert lines["MILLRACE_KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"
    assert not set(secrets.values()) & set(lines.values())


def test_a_new_host_takes_the_volume_from_the_one_before_only_when_that_has_stopped() -> None:
    outputs = deploy()
    ec2 = boto3.client("ec2")
    first = outputs["InstanceId"]
    volume.take(ec2, outputs["DataVolume"], first, lambda _seconds: None)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    second = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    volume.take(ec2, outputs["DataVolume"], second, lambda _seconds: None)
    [found] = ec2.describe_volumes(VolumeIds=[outputs["DataVolume"]])["Volumes"]
    assert [a["InstanceId"] for a in found["Attachments"]] == [second]
    [[former]] = [r["Instances"] for r in ec2.describe_instances(InstanceIds=[first])["Reservations"]]
    assert former["State"]["Name"] == "stopped"


@pytest.mark.parametrize("repository", ["", "owner/millrace"])
def test_the_role_of_github_actions_is_there_only_when_it_is_asked_for(repository: str) -> None:
    outputs = deploy({**REQUIRED, "DeployRepository": repository})
    assert ("DeployRole" in outputs) == bool(repository)
    if repository:
        iam = boto3.client("iam")
        name = outputs["DeployRole"].rsplit("/", 1)[1]
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]
        subject = trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
        assert subject == f"repo:{repository}:environment:production"
        sends = iam.get_role_policy(RoleName=name, PolicyName="deploy")["PolicyDocument"]["Statement"][0]
        assert sends["Resource"].endswith(f":document/{STACK}-deploy")


def test_the_proxy_starts_with_a_login_and_a_certificate_and_keeps_better_ones(tmp_path: Path) -> None:
    login = '{"username": "millrace", "password": "p4ss"}'
    written.prepare_proxy({"domain": "millrace.example.org"}, login, tmp_path)
    assert (tmp_path / "proxy_users").read_text().startswith("millrace:$6$")
    assert "BEGIN CERTIFICATE" in (tmp_path / "proxy_certificate").read_text()
    (tmp_path / "proxy_certificate").write_text("better")
    written.prepare_proxy({"domain": "millrace.example.org"}, login, tmp_path)
    assert (tmp_path / "proxy_certificate").read_text() == "better"
