"""What people type into forms: the `fields` of a form_submit, with all that JSON offers.

What belongs here: one small function a form. What does not: which page has which form (`site`).
"""

from collections.abc import Callable
from random import Random
from typing import Any

_NAMES = ("Ada Lovelace", "José Núñez", "Zoë Müller", "李小龍", "Олена Шевченко", "Siân O'Brien", "محمد علي")
_CITIES = (("Zürich", "8001"), ("São Paulo", "01310-100"), ("東京", "100-0001"), ("Łódź", "90-001"), ("Cork", "T12"))
_REMARKS = (
    "Arrived quickly, thank you! 👍",
    'The box said "fragile" \\ it was not.',
    "Zwei Stück fehlten.\nBitte nachliefern.",
    "10/10 would buy again 🧡🧡",
    "¿Hay otros colores?",
    "",
)
_TERMS = ("headphones", "café filter", "茶壺", "desk lamp", "trail shoes 42½")


def _newsletter(rng: Random) -> dict[str, Any]:
    return {
        "email": f"reader{rng.randrange(100_000)}@example.com",
        "topics": rng.sample(["audio", "books", "garden", "travel"], rng.randrange(4)),
        "consent": True,
    }


def _search(rng: Random) -> dict[str, Any]:
    cap = rng.choice([None, 20, 49.99, 150])
    return {"q": rng.choice(_TERMS), "filters": {"maxPrice": cap, "inStock": rng.random() < 0.5}}


def _checkout(rng: Random) -> dict[str, Any]:
    city, code = rng.choice(_CITIES)
    items = [
        {
            "sku": f"SKU-{rng.randrange(1000, 1400)}",
            "quantity": rng.randrange(1, 4),
            "price": rng.randrange(99, 19_900) / 100,
        }
        for _ in range(rng.randrange(1, 4))
    ]
    address = {"name": rng.choice(_NAMES), "city": city, "postcode": code}
    return {"address": address, "items": items, "giftWrap": rng.random() < 0.1, "voucher": None}


def _profile(rng: Random) -> dict[str, Any]:
    return {"displayName": rng.choice(_NAMES), "birthYear": rng.randrange(1950, 2008), "public": rng.random() < 0.3}


def _contact(rng: Random) -> dict[str, Any]:
    return {"name": rng.choice(_NAMES), "message": rng.choice(_REMARKS), "order": rng.choice([None, "2025-004711"])}


def _survey(rng: Random) -> dict[str, Any]:
    return {"answers": {f"q{n}": rng.randrange(1, 6) for n in range(1, 6)}, "seconds": round(rng.uniform(5, 90), 3)}


def _review(rng: Random) -> dict[str, Any]:
    return {"stars": rng.randrange(1, 6), "text": rng.choice(_REMARKS), "photos": []}


_FORMS: dict[str, Callable[[Random], dict[str, Any]]] = {
    "newsletter": _newsletter,
    "search": _search,
    "checkout": _checkout,
    "profile": _profile,
    "contact": _contact,
    "survey": _survey,
    "review": _review,
}


def fill(rng: Random, form: str) -> dict[str, Any]:
    """Somebody's answers in a form."""
    return _FORMS[form](rng)
