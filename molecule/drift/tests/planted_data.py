"""What is broken of the data, the dumps and the dashboards, and of what no host answers for."""

from __future__ import annotations

import json
import typing as t

from planting import FOLDER, NEWEST, PAIR, SETTINGS, SYSTEM, C, File, P, Planted, S, one, run, script, sed, sql

DASHBOARDS = "/etc/grafana/dashboards/taaraxtak"
# By Grafana's own interface, as an administrator who clicks would have it.
ASK = """
import base64, json, sys, urllib.request
password = open("/etc/grafana/secrets/admin_password").read().strip()
request = urllib.request.Request("http://127.0.0.1:3000/api/dashboards/db", data=sys.argv[1].encode())
request.add_header("Content-Type", "application/json")
request.add_header("Authorization", "Basic " + base64.b64encode(("admin:" + password).encode()).decode())
urllib.request.urlopen(request).close()
"""
MADE = ("python3", "-c", ASK, json.dumps({"dashboard": {"uid": "oops", "title": "Oops", "panels": []}}))
# Somebody has the server let anybody in as the collector, is let in, and takes the line out again.
LET_IN = """
cd /etc/postgresql/17/main
cp -p pg_hba.conf /run/oops-hba
sed -i '1i local all scraper trust' pg_hba.conf
runuser -u postgres -- psql -X -c 'SELECT pg_reload_conf()'
sleep 1
runuser -u games -- psql -X -U scraper -d taaraxtak -c 'SELECT 1'
cat /run/oops-hba > pg_hba.conf
rm /run/oops-hba
sleep 2
runuser -u postgres -- psql -X -c 'SELECT pg_reload_conf()'
sleep 1
"""
# A small file system in the place of the database's, which lies in it as before, and is full.
FILL = """
mkdir /run/oops-data
mount --bind /var/lib/postgresql /run/oops-data
mount --make-private /run/oops-data
mount -t tmpfs -o size=1m,nr_inodes=20,mode=0755 tmpfs /var/lib/postgresql
chown postgres:postgres /var/lib/postgresql
mkdir /var/lib/postgresql/17
mount --bind /run/oops-data/17 /var/lib/postgresql/17
head -c 1000000 /dev/zero > /var/lib/postgresql/full
for one in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do touch /var/lib/postgresql/$one || break; done
"""
# Before anything keeps dumps from being made: the newest has fewer rows than the one before it, however few those were.
LOST = """
systemctl stop taaraxtak-collector.service
runuser -u postgres -- psql -X -v ON_ERROR_STOP=1 -d taaraxtak -c 'DELETE FROM public.pop_weighted_gini'
runuser -u pgbackup -- /usr/local/bin/dump-send
systemctl start taaraxtak-collector.service
sleep 5
"""
EXCUSE = {
    "tables": ["public.categories"], "rows": 1, "reason": "none", "from": "2026-01-01T00:00:00Z",
    "until": "2099-01-01T00:00:00Z",
}  # fmt: skip
# The check of the rows looks at one table fewer than the inventory has.
UNASKED = """
import json, pathlib
path = pathlib.Path("/etc/taaraxtak/freshness.json")
said = json.loads(path.read_text())
said["tables"] = [one for one in said["tables"] if one["table"] != "public.provider_marketshare"]
path.write_text(json.dumps(said))
"""
DATA: t.Final = (
    Planted("lost-rows", P, (script(LOST),), one("dump-lost", f"dump {NEWEST}"), shown=S),
    # the database, the store
    Planted(
        "no-timeout",
        P,
        (sql("ALTER ROLE grafanareader SET statement_timeout = 0"),),
        one("role-setting", "role grafanareader"),
        True,
    ),
    Planted(
        "no-log-of-ddl",
        P,
        (sed("s/^log_statement = .*/log_statement = 'none'/", SETTINGS), sql("SELECT pg_reload_conf()")),
        one("server-setting", "setting log_statement"),
        True,
    ),
    Planted(
        "rows-that-nobody-looks-for",
        P,
        (("python3", "-c", UNASKED),),
        one("collector-unknown", "table public.provider_marketshare"),
        True,
    ),
    Planted(
        "no-room-for-dumps",
        S,
        (sed('s/"reserve_bytes": [0-9]*/"reserve_bytes": 999999999999999/', "/etc/taaraxtak/dump-keep.json"),),
        one("dump-room", "dump store"),
        True,
    ),
    Planted(
        "an-excuse-for-ever",
        S,
        (File("/etc/taaraxtak/incidents/oops.json", json.dumps(EXCUSE)),),
        one("dump-excuse", "incident oops.json"),
    ),
    Planted(
        "a-file-in-the-archive",
        S,
        (File("/var/lib/taaraxtak-dumps/archive/oops", ""),),
        one("dump-store-problem", "dump store"),
    ),
    Planted(
        "a-login-without-a-proof",
        P,
        (script(LET_IN),),
        one("login-unexpected", "login of scraper"),
    ),
    # dashboards, and how people reach them
    Planted(
        "a-dashboard-that-somebody-edits-in-its-file",
        P,
        (sed("s/Is it fresh?/Was it fresh?/", f"{DASHBOARDS}/Operations/collector.json"),),
        one("dashboard-edited", "dashboard collector"),
        True,
    ),
    Planted(
        "a-dashboard-made-in-grafana",
        P,
        (MADE,),
        (("dashboard-unknown", "dashboard oops"), ("dashboard-not-provisioned", "dashboard oops")),
    ),
    Planted(
        "nobody-proxies", P, (run("systemctl stop nginx.service"),), one("unit-stopped", "unit nginx.service"), True
    ),
    Planted(
        "grafanas-password-for-all",
        P,
        (run("chmod 0644 /etc/grafana/secrets/admin_password"),),
        one("secret-open", "file /etc/grafana/secrets/admin_password"),
        True,
    ),
    Planted(
        "nginxs-key-for-all",
        P,
        (run("chmod 0755 /etc/nginx/taaraxtak"),),
        one("secret-open", "file /etc/nginx/taaraxtak"),
        True,
    ),
    Planted(
        "a-certificate-that-ends",
        P,
        (File(f"/etc/nginx/taaraxtak/{PAIR}.pem", FOLDER / "tls/soon.pem", "0640"),),
        one("certificate-ends", f"file /etc/nginx/taaraxtak/{PAIR}.pem"),
        True,
    ),
    Planted(
        "another-sshd",
        P,
        (
            run(f"mkdir -p {SYSTEM}/ssh.service.d"),
            File(f"{SYSTEM}/ssh.service.d/oops.conf", "[Service]\nUMask=0027\n"),
            run("systemctl daemon-reload"),
        ),
        one("unit-override", "unit ssh.service"),
    ),
    Planted(
        "another-postgresql",
        P,
        (
            run(f"mkdir -p {SYSTEM}/postgresql@.service.d"),
            File(f"{SYSTEM}/postgresql@.service.d/oops.conf", "[Service]\nUMask=0027\n"),
            run("systemctl daemon-reload"),
        ),
        # Of each version that Debian has.
        (("unit-override", "unit postgresql@15-main.service"), ("unit-override", "unit postgresql@17-main.service")),
    ),
    # room, the clock
    Planted(
        "a-full-disk",
        P,
        (script(FILL),),
        (
            ("disk-full", "file system of /var/lib/postgresql"),
            ("inodes-full", "file system of /var/lib/postgresql"),
        ),
    ),
    # A container's clock is the machine's: these say that the host is none, and that nobody keeps its clock.
    Planted(
        "a-clock-that-nobody-keeps",
        S,
        (
            File("/usr/bin/systemd-detect-virt", "#!/bin/sh\necho none\nexit 1\n", "0755"),
            File("/usr/bin/timedatectl", "#!/bin/sh\necho NTPSynchronized=no\n", "0755"),
        ),
        (
            ("clock-adrift", "clock"),
            ("package-file-changed", "file /usr/bin/systemd-detect-virt"),
            ("package-file-changed", "file /usr/bin/timedatectl"),
        ),
    ),
    # what no host answers for
    Planted(
        "a-store-that-only-keeps-files",
        P,
        (),
        (("store-promises-less", "store box"), ("secret-missing", "file /etc/taaraxtak/store_keys/box")),
    ),
    Planted(
        "no-backups-at-the-provider",
        C,
        (sed('s/"problems": \\[\\]/"problems": ["backups are off"]/', str(FOLDER / "verify.json")),),
        one("provider-problem", "instance production"),
    ),
    Planted(
        "a-forgotten-incident",
        C,
        (run(f"mkdir {FOLDER}/incidents/2026-11-01-forgotten"),),
        one("incident-overdue", "incident 2026-11-01-forgotten"),
    ),
    Planted("no-incident", C, (run(f"mkdir {FOLDER}/incidents/oops"),), one("incident-void", "incident oops")),
)
