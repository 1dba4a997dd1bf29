"""Numbers as PostgreSQL will write them: which ones are too long to keep.

What belongs here: the one rule about the size of numbers, exact on their text, since a float hides what it cannot
hold. What does not: bounds of single fields (`types`).
"""

import re

MAX_DIGITS = 400
"""Digits that a number may need before the point, and as many after it, when it is written without an exponent.

Every double fits (1e308 has 309 digits, 5e-324 has 324 after the point), and `numeric` holds far more; but `jsonb`
writes 1e100000 out in full, so somebody's typing error would become 100 kB.
"""

_NUMBER = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?)0*([0-9]*))?")


def fits(text: str) -> bool:
    """Whether the number in a JSON document, given as its text there, is short enough when written out.

    Zeros count as they will be stored: `0.000` needs three digits after the point, and a zero with an exponent is a
    digit moved like any other (`0e400` is refused, since PostgreSQL would refuse a still larger exponent).
    """
    if len(text) <= MAX_DIGITS and "e" not in text and "E" not in text:
        return True
    match = _NUMBER.fullmatch(text)
    if match is None:
        return False
    whole, fraction, sign, exponent = match[1], match[2] or "", match[3], match[4] or "0"
    if len(exponent) > 6:  # far out of any bounds, and int() of a megabyte of digits is slow
        return False
    shift = -int(exponent) if sign == "-" else int(exponent)
    significant = (whole + fraction).lstrip("0") or "0"
    before = len(significant) - len(fraction) + shift
    after = len(fraction) - shift
    return before <= MAX_DIGITS and after <= MAX_DIGITS
