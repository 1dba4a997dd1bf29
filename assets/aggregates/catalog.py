"""All aggregates, found in `tables`: what code and the user interface know of a table is what its declaration says.

What belongs here: finding the declarations, and the groups of tables that follow from them. What does not: anything
about a single table (`tables`), and how a table is computed (the modules beside this one).
"""

from collections.abc import Mapping
from graphlib import TopologicalSorter
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from assets.aggregates import tables
from assets.aggregates.declare import Aggregate
from infra.postgres.tables import metadata
from infra.postgres.tables.model import REBUILT

__all__ = [
    "AGGREGATES",
    "COUNTED",
    "COUNTED_BY_DAY",
    "FILLED",
    "REBUILDABLE",
    "SUMMED_BY_USER",
    "Aggregate",
    "metadata",
]


def _declared() -> Mapping[str, Aggregate]:
    """Every module's declaration by its name; a table stands after those that it is made of."""
    modules = (import_module(f"{tables.__name__}.{each.name}") for each in iter_modules(tables.__path__))
    found: dict[str, Aggregate] = {each.DECLARED.table: each.DECLARED for each in modules}
    above = {name: [t for t in (*a.upstream, *a.beside) if t in found] for name, a in found.items()}
    return MappingProxyType({found[name].name: found[name] for name in TopologicalSorter(above).static_order()})


AGGREGATES: Mapping[str, Aggregate] = _declared()
REBUILDABLE = frozenset(name for name, each in AGGREGATES.items() if each.relation.info[REBUILT])
"""All but the one that the ingest itself keeps."""
FILLED = tuple(name for name in AGGREGATES if name in REBUILDABLE)
"""In the catalog's order; each has a row in ops.aggregate_history."""
COUNTED = tuple(each for each in AGGREGATES.values() if each.count is not None and each.grain == "hour")
COUNTED_BY_DAY = tuple(each for each in AGGREGATES.values() if each.count is not None and each.grain == "day")
SUMMED_BY_USER = tuple(each for each in AGGREGATES.values() if each.sums)
