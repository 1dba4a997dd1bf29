"""The programs of the EC2 host on this machine: `python -m tests.containers.ec2_host PROGRAM ARGUMENT...`.

What belongs here: what stands in for Amazon (answers from a file) and for the volume (a folder), so that everything
else is as on the host: the files, `millrace init`, Docker. What does not: assertions.
"""

import json
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.aws.template import PATH


class Amazon:
    """A client of any service: the configuration, secrets, and a bucket that is a folder."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._answers = json.loads((place / "amazon.json").read_text())

    def client(self, _service: str) -> "Amazon":
        return self

    def get_parameter(self, **_: str) -> Any:
        return {"Parameter": {"Value": json.dumps(self._answers["config"])}}

    def get_secret_value(self, **asked: str) -> Any:
        return {"SecretString": json.dumps(self._answers["secrets"][asked["SecretId"]])}

    def upload_file(self, file: str, bucket: str, key: str) -> None:
        (self._place / f"{bucket}-{key.replace('/', '-')}").write_bytes(Path(file).read_bytes())

    def put_metric_data(self, **sent: Any) -> None:
        (self._place / "figures.json").write_text(json.dumps(sent["MetricData"]))


def stand_in(place: Path) -> None:
    """Modules that only Ubuntu's Python on the host has."""
    for name in ("boto3", "botocore", "botocore.session", "botocore.auth", "botocore.awsrequest"):
        sys.modules[name] = ModuleType(name)
    amazon = Amazon(place)
    vars(sys.modules["boto3"])["client"] = amazon.client
    for name, wanted in (("auth", "SigV4QueryAuth"), ("awsrequest", "AWSRequest")):
        vars(sys.modules[f"botocore.{name}"])[wanted] = None


def _nothing(*_: object) -> None:
    """The folder is there."""


def main(place: Path, program: str, *arguments: str) -> None:
    """Run one of the programs as its unit would."""
    stand_in(place)
    sys.path.insert(0, str(PATH.parent / "host"))
    import volume  # pyright: ignore[reportMissingImports]

    found: Any = volume  # pyright: ignore[reportUnknownVariableType]
    found.MOUNT = place
    found.take = found.mount = _nothing
    found.instance_id = lambda: "i-1"
    import host  # pyright: ignore[reportMissingImports]

    started: Any = host  # pyright: ignore[reportUnknownVariableType]
    started.LINK = place / "opt"
    sys.argv = [program, *arguments]
    if program == "host":
        started.main([*arguments])
        return
    text = (PATH.parent / "host" / f"{program}.py").read_text().replace("/opt/millrace", str(place / "opt"))
    (place / f"{program}.py").write_text(text)
    runpy.run_path(str(place / f"{program}.py"), run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
