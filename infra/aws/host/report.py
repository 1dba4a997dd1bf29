"""Every minute: what CloudWatch's alarms stand on and its own agent does not know.

What belongs here: three figures. What does not: memory, disk and logs (cloudwatch.json).
A figure that cannot be had is left out; the alarms take silence for bad news.
"""

import json
import subprocess
import time
from pathlib import Path

import boto3
import volume

_FOLDER = "/opt/millrace/infra/docker"  # .env there may name more files, beside it
_COMPOSE = ("docker", "compose")
_QUERY = "max(millrace_oldest_unread_seconds)"
BACKUPS = volume.MOUNT / "backups"


def main() -> None:
    """Send what there is."""
    figures = {
        "UnhealthyContainers": unhealthy(),
        "OldestUnreadSeconds": oldest_unread(),
        "BackupAgeSeconds": backup_age(),
    }
    dimensions = [{"Name": "InstanceId", "Value": volume.instance_id()}]
    data = [{"MetricName": n, "Dimensions": dimensions, "Value": v} for n, v in figures.items() if v is not None]
    if data:
        boto3.client("cloudwatch").put_metric_data(Namespace="Millrace", MetricData=data)


def unhealthy() -> float | None:
    """Containers that are neither healthy nor ended as they should; no container at all is one, too."""
    answer = _run(*_COMPOSE, "ps", "--all", "--format", "json")
    if answer is None:
        return None
    rows = [json.loads(line) for line in answer.splitlines() if line.strip()]
    return float(sum(not _well(row) for row in rows)) if rows else 1.0


def oldest_unread() -> float | None:
    """Seconds that the oldest unread event waits, as Prometheus has it."""
    query = ("promtool", "query", "instant", "--format", "json", "http://127.0.0.1:9090", _QUERY)
    answer = _run(*_COMPOSE, "exec", "-T", "prometheus", *query)
    samples = json.loads(answer) if answer else []
    return float(samples[0]["value"][1]) if samples else None


def backup_age(now: float | None = None, folder: Path = BACKUPS) -> float | None:
    """Seconds since the newest good backup."""
    times = [path.stat().st_mtime for path in folder.glob("millrace-*.dump")]
    return (now or time.time()) - max(times) if times else None


def _well(row: dict[str, object]) -> bool:
    if row["State"] == "exited":
        return row["ExitCode"] == 0
    return row["State"] == "running" and row["Health"] in ("", "healthy")


def _run(*command: str) -> str | None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50, cwd=_FOLDER)
    return done.stdout if done.returncode == 0 else None


if __name__ == "__main__":
    main()
