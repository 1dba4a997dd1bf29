"""The data volume: taken over from a host before this one, made into a file system once, mounted.

What belongs here: from a volume's id to a mounted folder. What does not: what is written to it (`host`).
Runs on the host with Ubuntu's own Python and boto3, as root.
"""

import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOUNT = Path("/srv/millrace")
_METADATA = "http://169.254.169.254/latest/"
_SECONDS = 600.0


class VolumeError(Exception):
    """The volume cannot be had."""


def instance_id() -> str:
    """This host's id, from the metadata service with a session's token (IMDSv2)."""
    token = _metadata("api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    return _metadata("meta-data/instance-id", "GET", {"X-aws-ec2-metadata-token": token})


def take(ec2: Any, volume: str, instance: str, pause: Callable[[float], None] = time.sleep) -> None:
    """Attach the volume here. A host that has it now is stopped first: two must never write to it.

    Raises:
        VolumeError: it was not attached within ten minutes.
    """
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        state, holder = _whereabouts(ec2, volume)
        if holder == instance and state in ("attached", "in-use"):
            return
        if holder is None and state == "available":
            ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
        elif holder not in (None, instance):
            _release(ec2, volume, holder)
        pause(5)
    raise VolumeError(f"{volume} was not attached to {instance} in time")


def mount(volume: str, place: Path = MOUNT) -> None:
    """Mount the volume; make a file system where there is nothing yet, and fill the volume where it has grown."""
    device = _device(volume)
    if is_new(Path(device)):
        subprocess.run(["mkfs.ext4", "-q", "-L", "millrace", device], check=True)
    place.mkdir(parents=True, exist_ok=True)
    if not place.is_mount():
        subprocess.run(["mount", "-o", "noatime,nodev,nosuid", device, str(place)], check=True)
    subprocess.run(["resize2fs", device], check=True, capture_output=True)


def is_new(device: Path) -> bool:
    """Whether nothing was ever written: Amazon's volumes begin as zeros.

    Read here rather than asked of blkid, which says the same of a volume that it cannot read: what follows would then
    erase everything.

    Raises:
        OSError: it cannot be read.
    """
    with device.open("rb") as opened:
        return not any(opened.read(1 << 20))


def _metadata(path: str, method: str, headers: dict[str, str]) -> str:
    asked = urllib.request.Request(_METADATA + path, method=method, headers=headers)  # noqa: S310 - a fixed address
    with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310  # nosec B310
        return answer.read().decode()


def _whereabouts(ec2: Any, volume: str) -> tuple[str, str | None]:
    [found] = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    for attachment in found.get("Attachments", []):
        return attachment.get("State", "attached"), attachment["InstanceId"]
    return found["State"], None


def _release(ec2: Any, volume: str, holder: str) -> None:
    """Stop the former host in order: its containers end, its file system is clean."""
    [[found]] = [r["Instances"] for r in ec2.describe_instances(InstanceIds=[holder])["Reservations"]]
    state = found["State"]["Name"]
    if state in ("running", "pending"):
        ec2.stop_instances(InstanceIds=[holder])
    elif state == "stopped":
        ec2.detach_volume(VolumeId=volume, InstanceId=holder)


def _device(volume: str) -> str:
    """NVMe devices carry the volume's id as their serial number; it appears some seconds after the attachment."""
    link = Path("/dev/disk/by-id") / f"nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"
    for _ in range(60):
        if link.exists():
            return str(link.resolve())
        time.sleep(1)
    raise VolumeError(f"{link} did not appear")
