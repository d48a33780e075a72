"""Whatever the provider does, there is one instance, and a run ends with a sentence or with what was asked for."""

from __future__ import annotations

import json
import time

import pytest

INSTANCES = "/linode/instances"
FIREWALLS = "/networking/firewalls"
CREATIONS = (("POST", FIREWALLS), ("POST", INSTANCES))
OTHER = {
    "label": "production",
    "type": "g6-standard-2",
    "region": "eu-central",
    "image": "linode/debian13",
    "root_pass": "not-of-the-playbook",
}
WRONG = "a-wrong-token-of-somebody"
RULES = {"inbound": [], "inbound_policy": "ACCEPT", "outbound": [], "outbound_policy": "ACCEPT"}


def as_asked_for(linode) -> None:
    there = linode.there()
    [instance], [firewall] = there["instances"], there["firewalls"]
    assert instance["status"] == "running"
    assert instance["backups"]["enabled"]
    assert instance["backups"]["schedule"] == {"day": "Saturday", "window": "W22"}
    assert there["attached"] == {str(instance["id"]): firewall["id"]}
    assert (firewall["status"], firewall["rules"]["inbound_policy"]) == ("enabled", "DROP")
    assert len(firewall["rules"]["inbound"]) == 1
    assert linode.note.exists()


@pytest.mark.parametrize(("firewall", "instance"), [("fails_before", "fails_after"), ("cuts", "hangs")])
def test_a_creation_without_an_answer_is_looked_up_before_it_is_tried_again(linode, firewall, instance):
    kinds = dict(zip(CREATIONS, (firewall, instance), strict=True))
    linode.plant(*({"method": m, "path": p, "kind": kind, "seconds": 10} for (m, p), kind in kinds.items()))
    done = linode.run()
    assert done.status == 0, done.raw
    as_asked_for(linode)
    asked = [(one["method"], one["path"]) for one in linode.there()["asked"]]
    for creation, kind in kinds.items():
        at = [number for number, one in enumerate(asked) if one == creation]
        assert len(at) == (2 if kind == "fails_before" else 1)
        assert ("GET", creation[1]) in asked[at[0] + 1 :]


def test_a_creation_that_is_answered_by_nothing_is_not_taken_for_done(linode):
    linode.plant(*({"method": method, "path": path, "kind": "empties"} for method, path in CREATIONS))
    done = linode.run()
    assert done.status == 0, done.raw
    as_asked_for(linode)


def test_backups_and_the_attachment_without_an_answer_are_looked_at_again(linode):
    linode.plant(
        {"method": "POST", "path": r".*/backups/enable", "kind": "fails_after"},
        {"method": "POST", "path": r".*/devices", "kind": "cuts"},
        {"method": "PUT", "path": rf"{INSTANCES}/\d+", "kind": "fails_after"},
        instances=[OTHER],
    )
    done = linode.run()
    assert done.status == 0, done.raw
    as_asked_for(linode)


def test_what_the_api_asks_to_wait_is_waited(linode):
    linode.plant(
        {"method": "GET", "path": INSTANCES, "kind": "busy", "retry_after": 3},
        {"method": "POST", "path": INSTANCES, "kind": "busy", "retry_after": 4},
    )
    done = linode.run()
    assert done.status == 0, done.raw
    as_asked_for(linode)
    for method, wait in (("GET", 3), ("POST", 4)):
        first, second = [one for one in linode.there()["asked"] if (one["method"], one["path"]) == (method, INSTANCES)][
            :2
        ]
        assert second["at"] - first["at"] >= wait


def test_a_wait_beyond_patience_ends_at_once_with_a_sentence(linode):
    linode.plant({"method": "GET", "path": INSTANCES, "kind": "busy", "retry_after": 3600})
    begun = time.monotonic()
    done = linode.run()
    assert done.status != 0
    assert "asks to wait 3600 s before GET /linode/instances" in done.said
    assert time.monotonic() - begun < 300
    assert linode.writes() == []


def test_a_provider_that_stays_down_ends_with_a_sentence_and_the_next_run_goes_on(linode):
    linode.plant({"method": "POST", "path": r".*/devices", "kind": "fails_before", "times": 4}, instances=[OTHER])
    done = linode.run()
    assert done.status != 0
    assert "Nobody knows whether POST" in done.said
    assert "it says 503, Service unavailable." in done.said
    again = linode.run()
    assert again.status == 0, again.raw
    as_asked_for(linode)


def test_what_an_earlier_run_left_half_made_is_taken_up(linode):
    """An instance that is provisioning, without backups, and a firewall that is off, open and attached to nothing."""
    linode.plant(instances=[OTHER], firewalls=[{"label": "production", "rules": RULES}])
    linode.plant(firewall={"status": "disabled"})
    done = linode.run()
    assert done.status == 0, done.raw
    as_asked_for(linode)
    linode.forget()
    again = linode.run()
    assert (again.status, again.changed) == (0, 0), again.raw
    assert linode.writes() == []


def test_another_instance_than_asked_for_is_left_as_it_is(made):
    made.plant(instance=dict.fromkeys(("type", "region", "image"), "another"))
    done = made.run()
    assert done.status != 0
    for what in ("type", "region", "image"):
        assert f"{what} is another, and" in done.said
    assert "This never resizes, moves or rebuilds an instance" in done.said
    assert made.writes() == []


def test_an_instance_behind_another_firewall_is_left_to_people(made):
    made.plant(firewalls=[{"label": "theirs", "rules": RULES}], firewall={"status": "disabled"})
    attached = [made.there()["instances"][0]["id"], made.there()["firewalls"][1]["id"]]
    made.plant(attach=attached)
    done = made.run()
    assert done.status != 0
    assert "production is behind the firewall theirs, and can only have one" in done.said
    assert made.there()["attached"] == {str(attached[0]): attached[1]}
    assert made.writes() == []


def test_a_firewall_that_is_somebody_elses_is_left_to_people(linode):
    """It has the label, is before another instance, and is off: not a rule of it is changed."""
    theirs = {"label": "production", "rules": {**RULES, "inbound_policy": "DROP"}}
    linode.plant(instances=[{**OTHER, "label": "theirs"}], firewalls=[theirs])
    attached = [linode.there()["instances"][0]["id"], linode.there()["firewalls"][0]["id"]]
    linode.plant(attach=attached, firewall={"status": "disabled"})
    for arguments in (["--check"], []):
        done = linode.run(*arguments)
        assert done.status != 0
        assert "The firewall production is before theirs too" in done.said
        assert linode.writes() == []


def test_a_firewall_before_the_instance_and_another_one_is_left_to_people(made):
    made.plant(instances=[{**OTHER, "label": "theirs"}], firewall={"status": "disabled"})
    there = made.there()
    made.plant(attach=[there["instances"][1]["id"], there["firewalls"][0]["id"]])
    done = made.run()
    assert done.status != 0
    assert "The firewall production is before theirs too" in done.said
    assert made.writes() == []


def test_every_page_is_read_and_labels_are_compared_here(made):
    """The provider's filter is out of order, and the instance is on the second page."""
    mine = made.there()["instances"]
    made.plant(instances=[{**OTHER, "label": f"other-{number}"} for number in range(130)], unfiltered=True)
    made.plant(last=mine[0]["id"])
    done = made.run("--check")
    assert (done.status, done.changed) == (0, 0), done.raw
    assert made.there()["instances"][-1] == mine[0]


def test_a_wrong_token_is_one_sentence_and_is_never_shown(linode):
    done = linode.run("-vvvv", token=WRONG)
    assert done.status != 0
    assert "Linode refuses GET /linode/instances (401): Invalid Token. Is the token right?" in done.said
    assert WRONG not in done.raw + linode.log.read_text()


def test_the_token_and_roots_password_are_in_no_output(linode):
    linode.plant({"method": "POST", "path": INSTANCES, "kind": "fails_before"})
    done = linode.run("-vvvv", "--diff")
    assert done.status == 0, done.raw
    [password] = linode.there()["passwords"]
    assert len(password) == 64
    for secret in ("sesame-of-the-scenario", password):
        assert secret not in done.raw + linode.log.read_text()
        for path in linode.inventory.rglob("*.*"):
            assert secret not in path.read_text(), path


def test_what_the_api_refuses_is_said_in_its_own_words(linode):
    done = linode.run(linode_image="linode/none")
    assert done.status != 0
    assert "Linode refuses POST /linode/instances (400): image is not valid (image)." in done.said
    assert linode.there()["instances"] == []


def test_an_instance_that_does_not_answer_by_ssh_ends_with_a_sentence(made):
    done = made.run(ansible_port=1, linode_patience=8, host_admin_cidrs=["192.0.2.0/24"])
    assert done.status != 0
    assert "production runs, but nothing answers by ssh at 127.0.0.1 port 1" in done.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"linode_token": "", "token": ""}, "There is no token: give it as LINODE_TOKEN"),
        ({"linode_api": "http://192.0.2.1/v4"}, "it must begin with https://"),
        # What stands before an @ is a name and a password, not the host.
        ({"linode_api": "http://127.0.0.1:x@192.0.2.1/v4"}, "it must begin with https://"),
        ({"linode_api": "http://127.0.0.1:8080@192.0.2.1/v4"}, "it must begin with https://"),
        ({"linode_firewall_label": "two--hyphens"}, "linode_firewall_label is two--hyphens"),
        ({"host_devops": [{"name": "alice", "keys": ["ssh-ed25519 the-content-of"]}]}, "must have public keys"),
        ({"host_admin_cidrs": ["192.0.2.1/24"]}, "192.0.2.1/24 is no network"),
    ],
)
def test_what_can_be_seen_beforehand_stops_before_the_first_call(linode, words, said):
    done = linode.run(**words)
    assert done.status != 0
    assert said in done.said
    assert linode.there()["asked"] == []


def test_two_hosts_do_not_replace_each_others_rules(linode):
    hosts = {"production_hosts": {"hosts": {"production": {}, "second": {}}}}
    (linode.inventory / "hosts.yml").write_text(json.dumps(hosts))
    done = linode.run(linode_firewall_label="shared")
    assert done.status != 0
    assert "production and second would have one firewall, shared" in done.said
    assert linode.there()["asked"] == []
