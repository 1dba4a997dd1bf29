"""Where downloads are kept that all data directories of a user share.

What belongs here: the place. What does not: what is fetched (`jars`, `debian`).
"""

import os
import sys
from pathlib import Path


def directory() -> Path:
    """Where downloads are kept: MILLRACE_CACHE_DIR, else the user's cache."""
    if given := os.environ.get("MILLRACE_CACHE_DIR"):
        return Path(given).absolute()
    home = Path("~").expanduser()
    usual = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or usual).absolute() / "millrace"
