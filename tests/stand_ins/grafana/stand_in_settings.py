"""Part of the stand-in for Grafana's server (it is NOT Grafana): grafana.ini, and values that name a file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

# What Grafana has where the file says nothing, of the keys the project sets. [src] conf/defaults.ini, 9.3.2
DEFAULTS: dict[str, dict[str, str]] = {
    "paths": {"data": "/var/lib/grafana", "provisioning": "/etc/grafana/provisioning"},
    "server": {
        "protocol": "http",
        "http_addr": "",
        "http_port": "3000",
        "domain": "localhost",
        "enforce_domain": "false",
        "root_url": "",
    },
    "analytics": {
        "reporting_enabled": "true",
        "check_for_updates": "true",
        "check_for_plugin_updates": "true",
        "feedback_links_enabled": "true",
    },
    "security": {
        "admin_user": "admin",
        "admin_password": "admin",
        "secret_key": "SW2YcwTIb9zpOOhoPsMm",
        "disable_gravatar": "false",
        "cookie_secure": "false",
        "cookie_samesite": "lax",
        "allow_embedding": "false",
        "strict_transport_security": "false",
        "x_content_type_options": "true",
        "x_xss_protection": "true",
        "content_security_policy": "false",
    },
    "snapshots": {"external_enabled": "true"},
    "users": {
        "allow_sign_up": "false",
        "allow_org_create": "false",
        "auto_assign_org_role": "Viewer",
        "viewers_can_edit": "false",
        "editors_can_admin": "false",
    },
    "auth.anonymous": {"enabled": "false"},
    "auth.basic": {"enabled": "true"},
    "explore": {"enabled": "true"},
    "metrics": {"enabled": "true"},
    "plugins": {"plugin_admin_enabled": "true"},
    "news": {"news_feed_enabled": "true"},
}
# [src] pkg/setting/setting.go, RedactedValue
REDACTED = "*********"
SECRET = re.compile(r"password|secret|private_key|certificate$", re.IGNORECASE)
NAMED = re.compile(r"\$(__\w+)?\{([^}]+)\}")


def expand(value: str) -> str:
    """`$__file{…}`, `$__env{…}` and `${…}`; a file's content is trimmed, and a missing file stops the server.
    [src] pkg/setting/expanders.go"""

    def one(found: re.Match[str]) -> str:
        kind, argument = found.groups()
        if kind in (None, "__env"):
            return os.environ.get(argument, "")
        if kind == "__file":
            return Path(argument).read_text(encoding="utf-8").strip()
        raise ValueError(f"{kind} is not a way to name a value.")

    return NAMED.sub(one, value)


def interpolate(value: object) -> object:
    """A value of a provisioning file: $$ is a dollar. What `$__file` brought goes through the environment once more, so
    that a secret with a dollar in it is broken. [src] pkg/services/provisioning/values/values.go"""
    if isinstance(value, dict):
        return {key: interpolate(item) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item) for item in value]
    if isinstance(value, str):
        return "$".join(_environment(expand(part)) for part in value.split("$$"))
    return value


def _environment(value: str) -> str:
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: os.environ.get(found[1] or found[2], ""), value)


def parse(text: str) -> dict[str, dict[str, str]]:
    """An ini file as Grafana's parser reads it: # and ; begin a comment anywhere in a value that isn't in triple quotes
    or backquotes. [doc] setup-grafana/configure-grafana"""
    sections: dict[str, dict[str, str]] = {}
    section = sections.setdefault("", {})
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"grafana.ini, line {number}: a key without a value.")
        section[key.strip()] = _plain(value.strip())
    return sections


def _plain(value: str) -> str:
    for quote in ('"""', "`"):
        if value.startswith(quote):
            return value[len(quote) :].partition(quote)[0]
    value = re.split("[#;]", value, maxsplit=1)[0].strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


@dataclass(frozen=True)
class Settings:
    sections: dict[str, dict[str, str]]

    @classmethod
    def read(cls, path: Path | None) -> Settings:
        said = parse(path.read_text(encoding="utf-8")) if path else {}
        names = [*DEFAULTS, *(name for name in said if name not in DEFAULTS and said[name])]
        return cls(
            {
                name: {**DEFAULTS.get(name, {}), **{k: expand(v) for k, v in said.get(name, {}).items()}}
                for name in names
            }
        )

    def value(self, section: str, key: str) -> str:
        return self.sections.get(section, {}).get(key, "")

    def admin(self) -> tuple[str, str]:
        return self.value("security", "admin_user"), self.value("security", "admin_password")

    def provisioning(self) -> Path:
        return Path(self.value("paths", "provisioning"))

    def shown(self) -> dict[str, dict[str, str]]:
        """What GET /api/admin/settings answers: secrets are not shown. [spec] /admin/settings"""
        return {
            name: {key: REDACTED if value and SECRET.search(key) else value for key, value in keys.items()}
            for name, keys in self.sections.items()
        }
