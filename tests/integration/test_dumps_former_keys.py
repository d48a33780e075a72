"""A key that signs no more: what it signed while it was valid counts as long as it is kept, and nothing newer does."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.dumps_keeping import DAY, HOUR, NOW, Keeping


class Rotated(Keeping):
    """A store of a host that signs with a new key: its former one was valid *until* then."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.former, self.key = self.key, self.make_key("new_key")
        self.until(NOW - DAY)

    def until(self, end: dt.datetime) -> None:
        former, present = (key.with_suffix(".pub").read_text() for key in (self.former, self.key))
        self.signers.write_text(
            f'production namespaces="taaraxtak-dump" {present}'
            f'production namespaces="taaraxtak-dump",valid-before="{end:%Y%m%d%H%M%SZ}" {former}'
        )


@pytest.fixture
def store(tmp_path: Path) -> Rotated:
    return Rotated(tmp_path)


def test_what_the_former_key_signed_while_it_was_valid_counts(store: Rotated) -> None:
    store.put(NOW - 2 * DAY, key=store.former)
    store.put(NOW - HOUR)
    assert store.sentences() == []
    (group,) = store.check().groups
    # Of one host still, so that the days, weeks and months that are kept are one row.
    assert (group.signer, group.number) == ("production", 2)


def test_what_it_signed_later_does_not_count(store: Rotated) -> None:
    store.put(NOW - 2 * HOUR, key=store.former)
    store.put(NOW - HOUR)
    (sentence,) = store.sentences()
    assert "does not count" in sentence
    assert "was not valid then" in sentence
    assert store.check().groups[0].number == 1


def test_what_it_signs_now_is_not_taken_in(store: Rotated) -> None:
    store.until(dt.datetime.now(dt.UTC) - HOUR)
    offer = store.offer()
    offer.signature = store.sign(offer.trailer, key=store.former)
    answer = store.give(offer)
    assert not answer["ok"]
    assert "was not valid then" in answer["reason"]
    assert store.give()["ok"]


def test_until_its_end_it_may_bring_dumps(store: Rotated) -> None:
    """What is under way while the key is rotated is not lost."""
    store.until(dt.datetime.now(dt.UTC) + HOUR)
    offer = store.offer()
    offer.signature = store.sign(offer.trailer, key=store.former)
    assert store.give(offer)["ok"]
    assert store.run("archive").returncode == 0
    assert len(store.files(store.archive)) == 2
