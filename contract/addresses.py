"""IP addresses as text.

What belongs here: whether a text is one. What does not: where it came from or what it means.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_LONGEST = len("0000:0000:0000:0000:0000:ffff:255.255.255.255")


def is_ip_address(text: str) -> bool:
    """Whether the text is an IPv4 address in four decimal parts or an IPv6 address; without zone id, mask or port."""
    return len(text) <= _LONGEST and _is_ip_address(text)


@lru_cache(maxsize=16_384)  # the same users come again and again; long texts never get here
def _is_ip_address(text: str) -> bool:
    if _IPV4.fullmatch(text):
        return True
    if "%" in text:
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
