# pyright: basic, reportMissingImports=false
"""CloudFormation types that moto cannot make: of services that it has (secrets, alarms), and of others.

What belongs here: from a resource's properties to a call of the service, or to a note of them. What does not:
assertions. Moto finds direct subclasses of its model, once this module is imported.
"""

import json
from typing import Any

import boto3
from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.rds.models import DBParameterGroup

_CLEAN = parsing.clean_json


def _without_holes(found: Any, resources: Any) -> Any:
    """Moto leaves a hole in a list where AWS::NoValue stands; Amazon closes it."""
    cleaned = _CLEAN(found, resources)
    return [each for each in cleaned if each is not None] if isinstance(found, list) else cleaned


parsing.clean_json = _without_holes
DBParameterGroup.physical_resource_id = property(lambda made: made.name)  # a reference to one needs it

NOTED: dict[str, list[dict[str, Any]]] = {}  # by type: the properties, references resolved


class _StandIn:
    """What both have in common: an id, no attributes, and no end before that of the test."""

    physical_resource_id = ""

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @classmethod
    def has_cfn_attr(cls, _attr: str) -> bool:
        return False

    @classmethod
    def update_from_cloudformation_json(cls, *arguments: Any, **more: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def delete_from_cloudformation_json(cls, *arguments: Any, **more: Any) -> Any:
        """It goes with the whole account."""

    def is_created(self) -> bool:
        return True


class Secret(_StandIn, CloudFormationModel):
    """AWS::SecretsManager::Secret with a generated string."""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SecretsManager::Secret"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name: str, cloudformation_json: Any, *_: Any, **__: Any) -> Any:
        wanted = cloudformation_json["Properties"]["GenerateSecretString"]
        client = boto3.client("secretsmanager")
        length = int(wanted["PasswordLength"])
        random = client.get_random_password(PasswordLength=length, ExcludePunctuation=True)["RandomPassword"]
        text = json.dumps({**json.loads(wanted["SecretStringTemplate"]), wanted["GenerateStringKey"]: random})
        made = cls()
        made.physical_resource_id = client.create_secret(Name=resource_name, SecretString=text)["ARN"]
        return made


class Alarm(_StandIn, CloudFormationModel):
    """AWS::CloudWatch::Alarm."""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name: str, cloudformation_json: Any, *_: Any, **__: Any) -> Any:
        given = cloudformation_json["Properties"]
        numbers = {"Threshold": float, "Period": int, "EvaluationPeriods": int}
        boto3.client("cloudwatch").put_metric_alarm(
            AlarmName=resource_name, **{k: numbers.get(k, lambda v: v)(v) for k, v in given.items()}
        )
        made = cls()
        made.physical_resource_id = resource_name
        return made


def _noted(kind: str, *attributes: str) -> type[CloudFormationModel]:
    """A type that is only written down: its properties as CloudFormation would hand them to the service."""

    def create(cls: Any, resource_name: str, cloudformation_json: Any, *_: Any, **__: Any) -> Any:
        NOTED.setdefault(kind, []).append(cloudformation_json["Properties"])
        made = cls()
        made.physical_resource_id = f"arn:aws:of:a:{resource_name}"
        return made

    own = {
        "cloudformation_type": staticmethod(lambda: kind),
        "create_from_cloudformation_json": classmethod(create),
        "has_cfn_attr": classmethod(lambda _, name: name in attributes),
        "get_cfn_attribute": lambda made, name: f"{name}.{made.physical_resource_id.rpartition(':')[2]}",
    }
    return type(kind.replace("::", ""), (_StandIn, CloudFormationModel), own)


KINDS = (
    _noted("AWS::DLM::LifecyclePolicy"),
    _noted("AWS::ElastiCache::SubnetGroup"),
    _noted("AWS::ElastiCache::ParameterGroup"),
    _noted("AWS::ElastiCache::ReplicationGroup", "PrimaryEndPoint.Address"),
    _noted("AWS::MSK::Cluster"),
    _noted("AWS::MSK::BatchScramSecret"),
    _noted("AWS::EC2::EIPAssociation"),
    _noted("AWS::EC2::SecurityGroupEgress"),
    _noted("AWS::S3::BucketPolicy"),
)
