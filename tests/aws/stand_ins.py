# pyright: basic, reportMissingImports=false
"""CloudFormation types that moto cannot make, though it has the services: secrets and alarms.

What belongs here: from a resource's properties to a call of the service. What does not: assertions.
Moto finds direct subclasses of its model, once this module is imported.
"""

import json
from typing import Any

import boto3
from moto.core.common_models import CloudFormationModel


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
