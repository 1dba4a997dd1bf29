"""Every night: a backup of PostgreSQL on the data volume, and a copy in the stack's bucket.

What belongs here: when and where to. What does not: the backup itself (infra/docker/backup.sh).
With RDS there is nothing to do: its own backups reach back to any second.
"""

import os
import subprocess
from pathlib import Path

import boto3
from host import read_config
from report import BACKUPS


def main() -> None:
    """Back up and copy; an error ends the unit, and the alarm on the age of the newest backup follows."""
    config = read_config(os.environ["MILLRACE_STACK"])
    if config["postgres"] != "container":
        return
    command = ["/opt/millrace/infra/docker/backup.sh", str(BACKUPS), "--keep", "7"]
    file = Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    boto3.client("s3").upload_file(str(file), config["bucket"], f"postgres/{file.name}")


if __name__ == "__main__":
    main()
