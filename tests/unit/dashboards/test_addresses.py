"""Which addresses a token may go to, and which are production's, however they are written."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import addresses

PRODUCTION = ["https://grafana.example.org", "https://192.0.2.7/grafana", "http://127.0.0.1:3000"]


@pytest.mark.parametrize(
    "url",
    [
        *("https://grafana.example.org", "https://grafana.example.org/", "https://GRAFANA.example.org.:443/x"),
        *("http://grafana.example.org:3000", "https://192.0.2.7", "http://[::ffff:192.0.2.7]:8080"),
        *("http://localhost:3000", "http://127.0.0.1:3000/", "http://[::1]:3000", "http://127.8.9.1:3000"),
        *("http://0.0.0.0:3000", "http://x.localhost:3000", " https://grafana.example.org "),
    ],
)
def test_production_is_known_however_it_is_written(url: str) -> None:
    assert addresses.production(url, PRODUCTION) in PRODUCTION


@pytest.mark.parametrize(
    "url", ["http://localhost:3001", "https://grafana.example.com", "http://192.0.2.8", "http://[::1]"]
)
def test_another_grafana_is_not_production(url: str) -> None:
    assert addresses.production(url, PRODUCTION) == ""


@pytest.mark.parametrize(
    "url",
    [
        *("", "grafana", "grafana:3000", "ftp://grafana", "https://", "http://:3000", "http://x:99999", "http://[::1"),
        *("file:///etc/passwd", "https://a b", "https://exämple.org", "http://x\n"),
        *("https://user:secret@grafana", "https://user@grafana", "https://grafana/?x=1", "https://grafana/#x"),
    ],
)
def test_what_a_token_may_not_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^the url ") as refused:
        addresses.read(url)
    assert "secret" not in str(refused.value)


def test_an_address_that_is_misspelt_in_the_list_of_production_ends_it() -> None:
    """Else production would be open by a slip."""
    with pytest.raises(ValueError, match=r"^the url "):
        addresses.production("http://localhost:3000", ["grafana.example.org"])
