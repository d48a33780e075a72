# A stand-in for taaraxtak's collector, for tests and `make up`: it measures nothing, its figures are made up.
# The made-up world: who has which share of a market, and which sites are blocked where.
from __future__ import annotations

import datetime as dt
import itertools
import random
import string

SCOPES = ("all", "top_10k", "top_1k")
MARKETS = (
    "data-centers",
    "dns-server",
    "proxy",
    "ssl-certificate",
    "server-location",
    "top-level-domain",
    "web-hosting",
)
COUNTRIES = ("US", "CN", "IR", "RU", "DE", "IN", "BR", "TR", "FR", "GB", "NL", "JP", "EG", "VN", "ID", "MM", "VE", "KZ")
BLOCKING = ("dns", "tcp_ip", "http-failure", "http-diff", None)
FIRST = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "islet", "jetty", "knoll", "lagoon")
SECOND = ("news", "mail", "chat", "maps", "video", "forum", "radio", "books", "bank", "cloud", "press", "rights")
PATHS = ("/", "/", "/", "/index.html", "/about", "/news/today", "/search?q=weather", "/login")

PROVIDERS = tuple(
    (f"{first.title()} {second.title()}", f"https://{first}-{second}.example", country)
    for (first, second), country in zip(itertools.product(FIRST, SECOND), itertools.cycle(COUNTRIES), strict=False)
)
# A site's country code stands where its top-level domain would be; .example is nobody's.
HOSTS = tuple(
    (f"{first}-{second}.{country.lower()}.example", country)
    for country, second, first in itertools.product(COUNTRIES, SECOND, FIRST)
)


def zipf(count: int) -> list[float]:
    """Cumulated weights where the n-th of *count* things turns up 1/n as often as the first, as in names and sites."""
    return list(itertools.accumulate(1 / rank for rank in range(1, count + 1)))


COUNTRY_WEIGHTS = zipf(len(COUNTRIES))
HOST_WEIGHTS = zipf(len(HOSTS))
PROVIDER_WEIGHTS = zipf(len(PROVIDERS))

# Rows as the tables have them, times last.
Share = tuple[str, str, str, str, str, str, dt.datetime]
Gini = tuple[str, str, str, dt.datetime]
Mapping = tuple[str, str, dt.datetime]
Test = tuple[str | None, str, str, bool, bool, str, str | None, str, dt.datetime]


class World:
    """Makes rows up, the same ones for the same *seed*."""

    def __init__(self, seed: int | None = None) -> None:
        self.random = random.Random(seed)  # noqa: S311 - made-up figures, no secrets

    def times(self, count: int, start: dt.datetime, end: dt.datetime) -> list[dt.datetime]:
        """*count* increasing moments after *start*, the last of them *end*."""
        step = (end - start) / max(count, 1)
        return [start + step * number for number in range(1, count + 1)]

    def shares(self, times: list[dt.datetime]) -> list[Share]:
        """Market shares of providers."""
        providers = self.random.choices(range(len(PROVIDERS)), cum_weights=PROVIDER_WEIGHTS, k=len(times))
        scopes = self.random.choices(SCOPES, k=len(times))
        markets = self.random.choices(MARKETS, k=len(times))
        return [
            (*PROVIDERS[rank], scope, market, f"{self.random.random() / (rank + 1):.5f}", time)
            for rank, scope, market, time in zip(providers, scopes, markets, times, strict=True)
        ]

    def ginis(self, times: list[dt.datetime]) -> list[Gini]:
        """Gini coefficients of markets."""
        return [
            (self.random.choice(SCOPES), self.random.choice(MARKETS), f"{0.4 + self.random.random() / 2:.6f}", time)
            for time in times
        ]

    def ip(self) -> str:
        """An address of a block that is kept for documentation."""
        return f"{self.random.choice(('192.0.2', '198.51.100', '203.0.113'))}.{self.random.randrange(1, 255)}"

    def mappings(self, times: list[dt.datetime]) -> list[Mapping]:
        """Addresses of sites."""
        hosts = self.random.choices(HOSTS, cum_weights=HOST_WEIGHTS, k=len(times))
        return [(host, self.ip(), time) for (host, _country), time in zip(hosts, times, strict=True)]

    def tests(self, times: list[dt.datetime]) -> list[Test]:
        """Connectivity tests; one report has some fifty of them, each of another site."""
        hosts = self.random.choices(HOSTS, cum_weights=HOST_WEIGHTS, k=len(times))
        probes = self.random.choices(COUNTRIES, cum_weights=COUNTRY_WEIGHTS, k=len(times))
        places = self.random.choices((*COUNTRIES, None), k=len(times))
        kinds = self.random.choices(BLOCKING, cum_weights=(60, 75, 85, 95, 100), k=len(times))
        reports = [self._report(time) for time in times[::50]]
        rows: list[Test] = []
        for number, ((host, country), probe, place, kind, time) in enumerate(
            zip(hosts, probes, places, kinds, times, strict=True)
        ):
            url = f"https://{host}{PATHS[number % len(PATHS)]}"
            report = f"{reports[number // 50]}_{probe}"
            rows.append((kind, probe, url, kind is not None, kind == "dns", report, place, country, time))
        return rows

    def _report(self, time: dt.datetime) -> str:
        token = "".join(self.random.choices(string.ascii_letters + string.digits, k=16))
        return f"{time:%Y%m%dT%H%M%SZ}_webconnectivity_{token}"
