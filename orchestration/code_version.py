"""Which version of Millrace's code is on the disk: one digest of all its files.

What belongs here: the digest. What does not: comparing it, as the code server does when it is told to reload, and
`millrace up` on a stack that runs.
"""

import hashlib
from pathlib import Path

PACKAGES = ("contract", "resources", "monitoring", "producer", "infra", "assets", "sensors", "orchestration")
_SUFFIXES = frozenset({".py", ".sql", ".toml", ".lua", ".yaml"})
_ROOT = Path(__file__).parent.parent


def digest(root: Path = _ROOT) -> str:
    """Of names and contents; a few hundred small files, some hundredths of a second."""
    found = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in _SUFFIXES and path.is_file():
                found.update(f"{path.relative_to(root)}\n".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]
