"""What only Grafana's own server proves: it reads the files and queries the database by its socket as grafanareader."""

from __future__ import annotations

import json

import pytest

# A query as the browser of somebody who may only look sends it: whatever SQL they like.
QUERY = """
import json, sys, urllib.error, urllib.request
sql, token = sys.argv[1], open("/tmp/viewer").read().strip()
body = {"from": "now-1h", "to": "now", "queries": [{"refId": "A", "rawSql": sql, "format": "table",
        "datasource": {"type": "grafana-postgresql-datasource", "uid": "taaraxtak"}}]}
request = urllib.request.Request("http://127.0.0.1:3000/api/ds/query", data=json.dumps(body).encode(), method="POST",
                                 headers={"Authorization": "Bearer " + token, "Content-Type": "application/json"})
try:
    print(urllib.request.urlopen(request).read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
"""


@pytest.fixture(scope="module")
def query(production, ask, new_token):
    """A function that sends SQL as a Viewer, and gives the answer's result."""
    write = "import os, sys; os.umask(0o77); open('/tmp/viewer', 'w').write(sys.argv[1])"
    production.check_output("python3 -c %s %s", write, new_token("Viewer"))

    def send(sql: str) -> dict:
        return json.loads(production.check_output("python3 -c %s %s", QUERY, sql))["results"]["A"]

    yield send
    production.check_output("rm -f /tmp/viewer")


def test_grafana_reads_the_database_by_its_socket_as_grafanareader(query):
    assert query("SELECT current_user::text AS who")["frames"][0]["data"]["values"] == [["grafanareader"]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM public.ip_hostname_mapping",
        "SET default_transaction_read_only = off; DELETE FROM public.provider_marketshare",
        "CREATE TABLE public.planted ()",
    ],
)
def test_whoever_may_look_may_send_any_sql_and_the_role_is_the_boundary(query, sql):
    answer = query(sql)
    assert answer["status"] != 200
    assert "permission denied" in answer["error"] or "read-only transaction" in answer["error"]


def test_the_alert_is_evaluated(ask, until, production):
    def evaluated() -> bool:
        groups = ask("GET", "/api/prometheus/grafana/api/v1/rules")[1]["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"] if rule["name"] == "Data is stale"]
        return bool(rules) and rules[0]["health"] == "ok" and len(rules[0].get("alerts") or []) == 2

    until(evaluated, seconds=180, what="the alert of two tables", host=production, unit="grafana-server.service")
