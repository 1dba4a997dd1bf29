"""What there is to visit: pages, the buttons and forms on them, and where visitors come from.

What belongs here: the site and how popular its parts are. What does not: one visitor's way through it
(`sessions`).
"""

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from random import Random

# fmt: off
_WORDS = (
    "river", "stone", "amber", "cedar", "falcon", "harbor", "linen", "copper", "meadow", "saffron",
    "velvet", "willow", "granite", "juniper", "ivory", "cobalt", "birch", "crimson", "lagoon", "marble",
)
# fmt: on
_TOPICS = ("audio", "books", "garden", "kitchen", "outdoor", "toys", "travel", "wellness")
_SEARCHES = ("headphones", "gift+ideas", "caf%C3%A9+filter", "trail+shoes", "desk+lamp", "%E8%8C%B6+pot")
EXTERNAL = (
    "https://www.google.com/",
    "https://duckduckgo.com/",
    "https://news.ycombinator.com/",
    "https://www.instagram.com/",
    "https://t.co/x7Yb2kQ9",
    "https://newsletter.example.com/2025/spring?utm_source=mail&utm_campaign=weekly",
)


@dataclass(frozen=True, slots=True)
class SitePage:
    """A page with what can be clicked on it and, on some, a form."""

    path: str
    buttons: tuple[str, ...]
    form: str | None = None


def _fixed_pages() -> list[SitePage]:
    return [
        SitePage("/", ("hero-shop-now", "open-menu", "accept-cookies"), "newsletter"),
        SitePage("/cart", ("checkout", "remove-item", "apply-voucher")),
        SitePage("/search", ("filter-price", "filter-rating", "next-page"), "search"),
        SitePage("/checkout", ("place-order", "back-to-cart"), "checkout"),
        SitePage("/account", ("edit-profile", "download-invoice"), "profile"),
        SitePage("/contact", ("open-chat",), "contact"),
        SitePage("/help/returns", ("print-label", "open-chat"), "survey"),
        *(
            SitePage(f"/search?q={words}", ("filter-price", "filter-rating", "next-page"), "search")
            for words in _SEARCHES
        ),
        *(SitePage(f"/c/{topic}", ("sort-price", "sort-newest", "next-page")) for topic in _TOPICS),
    ]


def _product_pages() -> list[SitePage]:
    names = [f"{first}-{second}" for first in _WORDS for second in _WORDS if first != second]
    buttons = ("add-to-cart", "add-to-wishlist", "show-reviews", "zoom-picture", "share")
    return [
        SitePage(f"/c/{_TOPICS[n % len(_TOPICS)]}/{name}-{1000 + n}", buttons, "review" if n % 3 == 0 else None)
        for n, name in enumerate(names)
    ]


class Site:
    """A shop of some four hundred pages; how often one is viewed falls with its rank (Zipf)."""

    def __init__(self) -> None:
        products = _product_pages()
        Random("shop window").shuffle(products)
        self.pages = [*_fixed_pages(), *products]
        self._cumulated = list(accumulate(1.0 / (rank + 1) ** 0.9 for rank in range(len(self.pages))))

    def page(self, rng: Random, but: str = "") -> SitePage:
        """A page, popular ones more often, and not the one with the path `but`, on which the visitor is."""
        while True:
            rank = bisect(self._cumulated, rng.random() * self._cumulated[-1])
            found = self.pages[min(rank, len(self.pages) - 1)]
            if found.path != but:
                return found

    def button(self, rng: Random, page: SitePage) -> str:
        """One of the page's buttons; the first is the most prominent."""
        return page.buttons[min(int(rng.expovariate(0.8)), len(page.buttons) - 1)]

    def origin(self, rng: Random) -> str:
        """Where a visit came from: another site, or nowhere (an address typed, a bookmark)."""
        return "" if rng.random() < 0.45 else EXTERNAL[rng.randrange(len(EXTERNAL))]
