"""An example value for a field, from what its annotation says.

What belongs here: the first of the annotation's own examples, or something plain that fits. What does not: making
traffic that looks real (`producer`).
"""

from typing import Any

import msgspec.inspect as shapes


def example_of(shape: shapes.Type) -> Any:
    """A value that is likely to be accepted; the contract checks that it is."""
    match shape:
        case shapes.Metadata(type=inner, extra_json_schema=described):
            examples = (described or {}).get("examples")
            return examples[0] if examples else example_of(inner)
        case shapes.StrType(min_length=least, max_length=most):
            return "example".ljust(least or 0, "-")[:most]
        case shapes.IntType(ge=least, gt=above) | shapes.FloatType(ge=least, gt=above):
            return above + 1 if above is not None else least if least is not None else 1
        case shapes.BoolType():
            return True
        case shapes.LiteralType(values=values):
            return values[0]
        case shapes.UnionType(types=alternatives):
            return example_of(alternatives[0])
        case shapes.ListType(item_type=item):
            return [example_of(item)]
        case shapes.DictType(value_type=value):
            return {"key": example_of(value)}
        case shapes.StructType(fields=fields):
            return {field.encode_name: example_of(field.type) for field in fields}
        case _:
            return None
