"""Part of the stand-in for Linode's API (it is NOT Linode): what there is, and what each call does to it."""

from __future__ import annotations

import copy
import re
from typing import Any

NOW = "2018-01-01T00:01:01"
# [instances], [firewalls] label: "Must begin and end with an alphanumeric character"; 64 and 32 characters.
LABEL = r"[a-zA-Z](?:(?!--|__|\.\.)[a-zA-Z0-9-_.]){1,%d}[a-zA-Z0-9]"
IMAGES = ("linode/debian12", "linode/debian13")


class RefusedError(Exception):
    def __init__(self, status: int, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.field = status, reason, field


class State:
    def __init__(self, address: str, provisioning: int) -> None:
        self.address, self.provisioning = address, provisioning
        self.instances: list[dict[str, Any]] = []
        self.firewalls: list[dict[str, Any]] = []
        self.volumes: list[dict[str, Any]] = []
        self.attached: dict[int, int] = {}  # instance to firewall: "A service can have one assigned Firewall at a time"
        self.keys: dict[int, list[str]] = {}
        self.readings: dict[int, int] = {}
        self.passwords: list[str] = []  # for a test that looks whether they are shown anywhere
        self.unfiltered = False
        self.last = 100

    def everything(self) -> dict[str, Any]:
        held = ("instances", "firewalls", "volumes", "attached", "keys", "passwords")
        return {name: copy.deepcopy(getattr(self, name)) for name in held}

    def restore(self, held: dict[str, Any]) -> None:
        """What another one has said of itself."""
        for name in ("instances", "firewalls", "volumes"):
            setattr(self, name, held[name])
        self.attached = {int(instance): firewall for instance, firewall in held["attached"].items()}
        self.last = max(one["id"] for one in [*self.instances, *self.firewalls])

    def plant(self, words: dict[str, Any]) -> None:
        """What a test needs to have happened: ``instance`` and ``firewall`` change the first one, lists add to it."""
        if "restore" in words:
            self.restore(words["restore"])
        for name in ("instance", "firewall"):
            for key, value in words.get(name, {}).items():
                getattr(self, f"{name}s")[0][key] = value
        for firewall in words.get("firewalls", []):
            self.make_firewall(firewall)
        for instance in words.get("instances", []):
            self.make_instance(instance)
        for volume in words.get("volumes", []):
            self.volumes.append({**volume, "linode_id": self.instances[0]["id"]})
        if words.get("attach"):
            self.attached[words["attach"][0]] = words["attach"][1]
        if words.get("detach"):
            self.attached.clear()
        if "last" in words:  # an instance is listed last
            self.instances.sort(key=lambda one: one["id"] == words["last"])
        self.unfiltered = words.get("unfiltered", self.unfiltered)

    def call(self, method: str, path: str, body: Any, where: dict[str, Any], page: int, size: int) -> Any:
        listed = {"/linode/instances": self.instances, "/networking/firewalls": self.firewalls}
        if method == "GET" and path in listed:
            return paged([one for one in listed[path] if self.unfiltered or matches(one, where)], page, size)
        if method == "POST" and path == "/linode/instances":
            return self.make_instance(body)
        if method == "POST" and path == "/networking/firewalls":
            return self.make_firewall(body)
        found = re.fullmatch(r"/(linode/instances|networking/firewalls)/(\d+)(?:/(.+))?", path)
        if not found:
            raise RefusedError(404, "Not found")
        one = next((one for one in listed[f"/{found[1]}"] if one["id"] == int(found[2])), None)
        if one is None:
            raise RefusedError(404, "Not found")
        return self.below(
            method, "instance" if "instances" in found[1] else "firewall", found[3] or "", one, body, page, size
        )

    def below(self, method: str, kind: str, rest: str, one: dict[str, Any], body: Any, page: int, size: int) -> Any:
        match (method, kind, rest):
            case ("GET", "instance", ""):
                return self.read_instance(one)
            case ("PUT", "instance", ""):
                return self.change_instance(one, body)
            case ("POST", "instance", "backups/enable"):
                # [backups] "The API responds with an empty object."; the schedule is "Scheduling" until it is chosen.
                one["backups"]["enabled"] = True
                one["backups"]["schedule"] = {"day": "Scheduling", "window": "Scheduling"}
                return {}
            case ("GET", "instance", "firewalls"):
                return paged(
                    [wall for wall in self.firewalls if wall["id"] == self.attached.get(one["id"])], page, size
                )
            case ("GET", "instance", "volumes"):
                return paged([volume for volume in self.volumes if volume["linode_id"] == one["id"]], page, size)
            case ("GET", "firewall", ""):
                return one
            case ("PUT", "firewall", ""):
                one["status"] = body["status"]
                return one
            case ("PUT", "firewall", "rules"):
                one["rules"] = {**body, "version": one["rules"]["version"] + 1, "fingerprint": "997dd135"}
                return one["rules"]
            case ("GET", "firewall", "devices"):
                behind = [instance for instance, wall in self.attached.items() if wall == one["id"]]
                return paged([self.device(instance) for instance in behind], page, size)
            case ("POST", "firewall", "devices"):
                return self.attach(one, body)
        raise RefusedError(405, "Method Not Allowed")

    def make_instance(self, body: dict[str, Any]) -> dict[str, Any]:
        label = body.get("label", "")
        if not re.fullmatch(LABEL % 62, label):
            raise RefusedError(400, "Label is not valid", "label")
        if any(one["label"] == label for one in self.instances):
            raise RefusedError(400, "Label must be unique among your linodes", "label")
        if body.get("image") not in IMAGES:
            raise RefusedError(400, "image is not valid", "image")
        # [instances] root_pass: "Required when creating a Linode Disk from an Image", 7 to 128 characters.
        if not 7 <= len(body.get("root_pass", "")) <= 128:
            raise RefusedError(400, "Password does not meet strength requirement", "root_pass")
        self.last += 1
        self.passwords.append(body["root_pass"])
        self.keys[self.last] = body.get("authorized_keys", [])
        self.readings[self.last] = self.provisioning
        if "firewall_id" in body:  # [instances] firewall_id: attached "upon creation"
            self.attached[self.last] = body["firewall_id"]
        self.instances.append(instance_of(self.last, body, self.address))
        return self.instances[-1]

    def make_firewall(self, body: dict[str, Any]) -> dict[str, Any]:
        label = body.get("label", "")
        if not re.fullmatch(LABEL % 30, label):
            raise RefusedError(400, "Label is not valid", "label")
        if any(one["label"] == label for one in self.firewalls):
            raise RefusedError(400, "Label must be unique", "label")
        self.last += 1
        # [firewalls] "Rule versions increment from 1", "When a Firewall is first created its status is enabled".
        rules = {**body["rules"], "version": 1, "fingerprint": "997dd135"}
        made = {"id": self.last, "label": label, "rules": rules, "status": "enabled", "tags": body.get("tags", [])}
        self.firewalls.append({**made, "created": NOW, "updated": NOW})
        return self.firewalls[-1]

    def read_instance(self, one: dict[str, Any]) -> dict[str, Any]:
        """[instances] "The Linode will be `running` after it completes `provisioning`"."""
        if one["status"] in ("provisioning", "booting"):
            self.readings[one["id"]] -= 1
            if self.readings[one["id"]] <= 0:
                one["status"] = "running"
        return one

    def change_instance(self, one: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        schedule = body.get("backups", {}).get("schedule")
        if schedule and not one["backups"]["enabled"]:
            raise RefusedError(400, "Backups are not enabled", "backups")
        if schedule:
            one["backups"]["schedule"] = schedule
        return one

    def attach(self, firewall: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """[devices] "A service can have one assigned Firewall at a time"."""
        if body["id"] in self.attached:
            raise RefusedError(400, "Linode already has a firewall assigned", "id")
        self.attached[body["id"]] = firewall["id"]
        return self.device(body["id"])

    def device(self, instance: int) -> dict[str, Any]:
        label = next(one["label"] for one in self.instances if one["id"] == instance)
        entity = {"id": instance, "type": "linode", "label": label, "url": f"/v4/linode/instances/{instance}"}
        return {"id": 1000 + instance, "entity": entity, "created": NOW, "updated": NOW}


def instance_of(number: int, body: dict[str, Any], address: str) -> dict[str, Any]:
    """[instances] An instance has each property of the description and no other."""
    enabled = bool(body.get("backups_enabled"))
    return {
        "id": number,
        "label": body["label"],
        "type": body["type"],
        "region": body["region"],
        "image": body["image"],
        "tags": body.get("tags", []),
        "status": "provisioning",
        "ipv4": [address],
        "ipv6": "2001:db8::1/128",
        "backups": {
            "enabled": enabled,
            "available": False,
            "last_successful": None,
            "schedule": {"day": "Scheduling" if enabled else None, "window": "Scheduling" if enabled else None},
        },
        "alerts": {"cpu": 180, "io": 10000, "network_in": 10, "network_out": 10, "transfer_quota": 80},
        "specs": {"disk": 81920, "gpus": 0, "memory": 4096, "transfer": 4000, "vcpus": 2},
        "created": NOW,
        "updated": NOW,
        "group": "",
        "has_user_data": False,
        "host_uuid": "3a3ddd59-d9a7-4bb8-9e04-1391075df44d",
        "hypervisor": "kvm",
        "watchdog_enabled": True,
        "lke_cluster_id": None,
        "placement_group": None,
        "capabilities": [],
    }


def matches(one: dict[str, Any], where: dict[str, Any]) -> bool:
    return all(one.get(key) == value for key, value in where.items())


def paged(found: list[dict[str, Any]], page: int, size: int) -> dict[str, Any]:
    """[guide] pagination: page_size from 25 to 500, and how many pages there are."""
    pages = max(1, -(-len(found) // size))
    if page > pages:
        raise RefusedError(404, "Not found")
    return {"data": found[(page - 1) * size : page * size], "page": page, "pages": pages, "results": len(found)}
