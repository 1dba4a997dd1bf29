"""Running one program as an unprivileged account: PostgreSQL refuses to run as root.

What belongs here: choosing the account, and the few lines that become it (`python -m
infra.local.run_as_user`). What does not: anything about PostgreSQL itself. As anybody but root nothing
here has an effect.

Root's own folders (`/root`, pytest's temporary ones) are closed to every other account. Opening them for
the sake of a database would be wrong, and so would be data outside of the data directory; so where the path
is closed, the program keeps one capability of root's, reading past the permissions of folders. It is
dropped where it is not needed.
"""

import ctypes
import os
import pwd
import stat
import sys
from pathlib import Path

from infra.local.services import LocalError

_ACCOUNTS = ("postgres", "nobody")
_OVERRIDE, _READ_SEARCH = 1, 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_SET_KEEPCAPS, _SET_SECUREBITS, _NO_SETUID_FIXUP, _AMBIENT, _AMBIENT_RAISE = 8, 28, 4, 47, 2  # prctl(2)
_CAPABILITY_VERSION = 0x20080522  # capset(2), the version with 64 bits


def unprivileged(data: Path) -> pwd.struct_passwd | None:
    """The account to run as, or None to stay who we are. Data that has an owner already stays with it."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        try:
            return pwd.getpwuid(owner)
        except KeyError:
            pass  # the data came from another machine; the caller hands it to one of ours
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LocalError(
        f"PostgreSQL refuses to run as root, and there is no account {' or '.join(_ACCOUNTS)} to run it as; "
        "run millrace as an ordinary user"
    )


def wrapped(command: tuple[str, ...], account: pwd.struct_passwd | None, data: Path) -> tuple[str, ...]:
    """The command that becomes the account first; the command itself when there is none to become."""
    if account is None:
        return command
    keep = "open" if _reachable(Path(command[0])) and _reachable(data) else "closed"
    module = (sys.executable, "-P", "-m", "infra.local.run_as_user")
    return (*module, str(account.pw_uid), str(account.pw_gid), keep, *command)


def _reachable(path: Path) -> bool:
    """Whether everybody may pass through the folders above a path."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.absolute().parents)


def become(uid: int, gid: int, *, keep_search: bool) -> None:
    """Drop root's identity; with `keep_search` keep the right to pass through closed folders."""
    libc = ctypes.CDLL(None, use_errno=True)
    keep_search = keep_search and sys.platform == "linux"
    if keep_search:
        # access(2), by which PostgreSQL looks for its own programs, heeds capabilities only with this bit. Where it
        # may not be set, a closed data directory is fine, closed programs are not.
        libc.prctl(_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
        _check(libc.prctl(_SET_KEEPCAPS, 1, 0, 0, 0), "prctl")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if keep_search:
        _raise_ambient(libc, _search_capability())


def _search_capability() -> int:
    """Docker grants its containers the wider of the two only."""
    status = Path("/proc/self/status").read_text()
    permitted = next(line.split()[1] for line in status.splitlines() if line.startswith("CapPrm:"))
    return _READ_SEARCH if int(permitted, 16) & (1 << _READ_SEARCH) else _OVERRIDE


def _raise_ambient(libc: ctypes.CDLL, capability: int) -> None:
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; then the high halves
    _check(libc.capset(header, data), "capset")
    _check(libc.prctl(_AMBIENT, _AMBIENT_RAISE, capability, 0, 0), "prctl")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def main(arguments: list[str]) -> None:
    """Become the account and then the program: `UID GID open|closed PROGRAM ARGUMENT...`."""
    uid, gid, keep, *command = arguments
    become(int(uid), int(gid), keep_search=keep == "closed")
    os.execv(command[0], command)  # noqa: S606 - a known program with an argument list


if __name__ == "__main__":
    main(sys.argv[1:])
