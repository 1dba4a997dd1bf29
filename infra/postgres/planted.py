"""What somebody else has put into the database and would run with the rights of whoever migrates it.

What belongs here: finding it and saying so. What does not: what counts (`sql/planted.sql`, which
`restore.sh` asks too).
"""

from contract.shown import said
from infra.postgres.sql import statement
from resources.postgres import Connection

_SHOWN, _LONGEST = 5, 300


class PlantedError(Exception):
    """The database holds code that is not Millrace's, of a role with fewer rights; nothing was changed."""


def refuse_planted(connection: Connection) -> None:
    """Look before anything of the database is read or written with the migrating user's rights.

    Raises:
        PlantedError: a view, rule, trigger, function or the like belongs to somebody else, who is no superuser.
    """
    # Names are whatever their owner chose: they are shown on the terminal of who migrates.
    found = [said(what, _LONGEST) for what, foreign in connection.execute(statement("planted")).fetchall() if foreign]
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise PlantedError(
            f"this database holds what is not Millrace's and would run with the rights of {connection.info.user}:"
            f" {'; '.join(found[:_SHOWN])}{more}. Nothing was changed. Read nothing of it as a superuser: what to do"
            " stands in docs/security.md, What a role of few rights can plant"
        )
