"""When a login is unusual: the windows and thresholds of the flags in `login_audit`.

What belongs here: what an operator may change about the flags. What does not: what each flag means (`login_audit`).
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class AuditRules:
    """Windows and thresholds; each field is the setting of the same name with `audit_` before it.

    With it they are the parameters of `sql/login_audit_*.sql` too.
    """

    window: timedelta = timedelta(hours=1)
    users_per_address: int = 10
    addresses_per_user: int = 4
    burst_window: timedelta = timedelta(minutes=1)
    burst_logins: int = 5
    session: timedelta = timedelta(hours=12)
