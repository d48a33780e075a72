"""What is broken of the hosts themselves: who gets in, what runs, and what programs and files are like."""

from __future__ import annotations

import typing as t

from planting import BACKUP_CRON, BACKUP_SUDO, KEY, KEYS, READER, SYSTEM, File, P, Planted, S, line, one, run, sed

HOSTS: t.Final = (
    # accounts
    Planted(
        "a-second-root", P, (run("useradd -o -u 0 -M -s /usr/sbin/nologin toor"),), one("uid-zero", "account toor")
    ),
    Planted("a-stranger", P, (run("useradd -m -s /bin/bash mallory"),), one("account-unknown", "account mallory")),
    Planted("a-password", P, (("usermod", "-p", "$6$salt$hash", "alice"),), one("password-set", "account alice"), True),
    Planted("no-password", S, (run("passwd --delete games"),), one("password-empty", "account games")),
    Planted("reads-the-logs", P, (run("usermod -aG adm mallory"),), one("group-member", "group adm")),
    Planted("reads-the-signing-key", P, (run("usermod -aG pgdumper mallory"),), one("group-member", "group pgdumper")),
    # sudo
    Planted(
        "sudo-with-any-environment",
        S,
        (File("/etc/sudoers.d/oops-defaults", "Defaults:games !env_reset\n", "0440"),),
        one("sudo-defaults", "account games"),
    ),
    Planted(
        "sudo-for-a-game",
        S,
        (File("/etc/sudoers.d/oops", "games ALL=(root) NOPASSWD: /usr/bin/id\n", "0440"),),
        one("sudo-unknown", "account games"),
    ),
    Planted(
        "no-sudo-for-dumps",
        P,
        (sed("s/^pgbackup/#pgbackup/", BACKUP_SUDO),),
        one("sudo-missing", "account pgbackup"),
        True,
    ),
    # keys
    Planted("a-key-for-alice", P, (line(f"{KEYS}/alice", KEY),), one("key-unknown", "account alice"), True),
    Planted(
        "a-key-that-sshd-ignores",
        P,
        (run("mkdir -p /home/mallory/.ssh"), line("/home/mallory/.ssh/authorized_keys", KEY)),
        one("key-ignored", "file /home/mallory/.ssh/authorized_keys"),
    ),
    Planted("a-key-of-nobody", P, (line(f"{KEYS}/ghost", KEY),), one("key-ignored", f"file {KEYS}/ghost"), True),
    Planted(
        "a-pipe-for-keys",
        P,
        (run("mkfifo /home/mallory/.ssh/authorized_keys2"),),
        one("key-file-odd", "file /home/mallory/.ssh/authorized_keys2"),
    ),
    Planted("no-key", S, (line(READER, "this is no key"),), one("key-unreadable", f"file {READER}"), True),
    Planted(
        "anybody-adds-a-key",
        S,
        (run("chmod 0666 /etc/ssh/dump_store_keys/dumps-developer"),),
        one("key-writable", "file /etc/ssh/dump_store_keys/dumps-developer"),
        True,
    ),
    Planted(
        "an-unlimited-writer",
        S,
        (sed("s/^restrict,//", "/etc/ssh/dump_store_keys/dumps"),),
        (("key-missing", "account dumps"), ("key-unknown", "account dumps")),
        True,
    ),
    # sshd
    Planted(
        "passwords-by-ssh",
        P,
        (sed("s/^PasswordAuthentication no/PasswordAuthentication yes/", "/etc/ssh/sshd_config.d/10-taaraxtak.conf"),),
        one("sshd-setting", "sshd passwordauthentication"),
        True,
    ),
    Planted(
        "a-terminal-for-writers",
        S,
        (sed("0,/PermitTTY no/s//PermitTTY yes/", "/etc/ssh/sshd_config.d/20-taaraxtak-dumps.conf"),),
        one("sshd-setting", "sshd permittty"),
        True,
    ),
    Planted(
        "another-sshd-for-one-address",
        P,
        (File("/etc/ssh/sshd_config.d/99-oops.conf", "Match Address 203.0.113.9\n    MaxSessions 1\n"),),
        one("sshd-match", "file /etc/ssh/sshd_config.d/99-oops.conf"),
    ),
    Planted(
        "anybody-changes-sshd",
        S,
        (run("chmod 0666 /etc/ssh/sshd_config"),),
        one("sshd-file-open", "file /etc/ssh/sshd_config"),
    ),
    # firewall
    Planted(
        "an-open-port",
        P,
        (run("nft add rule inet taaraxtak input tcp dport 8099 accept"),),
        one("firewall-differs", "table inet taaraxtak, loaded"),
        True,
    ),
    Planted(
        "a-table-of-somebody", S, (run("nft add table inet oops"),), one("firewall-other-table", "table inet oops")
    ),
    # Not loaded yet.
    Planted(
        "another-table-at-boot",
        S,
        (sed("1a table ip oops { }", "/etc/nftables.conf"),),
        one("firewall-other-table", "table at boot"),
    ),
    # sockets
    Planted(
        "a-web-server",
        P,
        (run("systemd-run --unit=oops-web /usr/bin/python3 -m http.server 8099"),),
        one("socket-unknown", "tcp port 8099"),
    ),
    Planted(
        "a-local-one",
        S,
        (run("systemd-run --unit=oops-web /usr/bin/python3 -m http.server --bind 127.0.0.1 8098"),),
        one("socket-unknown", "tcp port 8098"),
    ),
    # what runs by the clock
    Planted(
        "a-table-of-cron",
        P,
        (line("/etc/cron.d/oops", "7 7 * * * root /usr/bin/id"),),
        one("cron-unknown", "table /etc/cron.d/oops"),
    ),
    Planted(
        "a-table-of-games",
        S,
        (
            run("mkdir -p /var/spool/cron/crontabs"),
            File("/var/spool/cron/crontabs/games", "@reboot /usr/bin/id\n", "0600"),
        ),
        one("cron-unknown", "table /var/spool/cron/crontabs/games"),
    ),
    Planted(
        "no-dumps",
        P,
        (sed("/dump-send/d", BACKUP_CRON), run(f"chmod 0666 {BACKUP_CRON}")),
        (("cron-missing", "cron"), ("cron-writable", f"table {BACKUP_CRON}")),
        True,
    ),
    Planted(
        "a-timer",
        S,
        (
            File(f"{SYSTEM}/oops.timer", "[Timer]\nOnCalendar=yearly\n"),
            File(f"{SYSTEM}/oops.service", "[Service]\nExecStart=/usr/bin/id\n"),
            run("systemctl daemon-reload"),
            run("systemctl start oops.timer"),
        ),
        one("timer-unknown", "timer oops.timer"),
    ),
    Planted(
        "dumps-are-pruned-at-another-time",
        S,
        (
            sed("s/^OnCalendar=.*/OnCalendar=yearly/", f"{SYSTEM}/taaraxtak-dumps-prune.timer"),
            run("systemctl daemon-reload"),
        ),
        one("timer-changed", "timer taaraxtak-dumps-prune.timer"),
        True,
    ),
    Planted(
        "dumps-are-archived-once-a-year",
        S,
        (
            sed("s/^On.*Sec=.*/OnCalendar=yearly/", f"{SYSTEM}/taaraxtak-dumps-archive.timer"),
            run("systemctl daemon-reload"),
        ),
        one("timer-changed", "timer taaraxtak-dumps-archive.timer"),
        True,
    ),
    Planted(
        "rows-are-looked-for-once-a-year",
        P,
        (
            sed("s/^On.*Sec=.*/OnCalendar=yearly/", f"{SYSTEM}/taaraxtak-freshness.timer"),
            run("systemctl daemon-reload"),
        ),
        one("timer-changed", "timer taaraxtak-freshness.timer"),
        True,
    ),
    Planted(
        "rows-of-ten-years-are-new",
        P,
        (sed('s/"max_age": [0-9]*/"max_age": 315360000/', "/etc/taaraxtak/freshness.json"),),
        one("collector-limit", "table public.ooni_web_connectivity_test"),
        True,
    ),
    Planted(
        "anybody-adds-a-job",
        P,
        (run("chmod 0777 /etc/cron.daily"),),
        one("cron-writable", "folder /etc/cron.daily"),
    ),
    Planted(
        "a-job-of-at",
        S,
        (run("mkdir -p /var/spool/cron/atjobs"), File("/var/spool/cron/atjobs/a0000101", "id\n")),
        one("at-job", "job a0000101"),
    ),
    Planted(
        "services-without-a-login", P, (File("/var/lib/systemd/linger/alice", ""),), one("lingering", "account alice")
    ),
    # programs
    Planted(
        "a-copy-that-is-root",
        P,
        (run("install -m 4755 /usr/bin/id /usr/local/bin/oops"),),
        one("setuid-unknown", "file /usr/local/bin/oops"),
    ),
    Planted(
        "debians-own-that-is-root", S, (run("chmod u+s /usr/bin/sort"),), one("setuid-unknown", "file /usr/bin/sort")
    ),
    Planted(
        "a-capability",
        S,
        (run("install -m 0755 /usr/bin/id /usr/local/bin/oops"), run("setcap cap_setuid+ep /usr/local/bin/oops")),
        one("capability-unknown", "file /usr/local/bin/oops"),
    ),
    # secrets
    Planted(
        "a-config-for-all",
        P,
        (run("chmod 0644 /opt/taaraxtak/app/config.py"),),
        one("secret-open", "file /opt/taaraxtak/app/config.py"),
        True,
    ),
    Planted(
        "a-key-of-the-sender",
        P,
        (run("chown pgbackup /etc/taaraxtak/dump_signing_key"),),
        one("secret-open", "file /etc/taaraxtak/dump_signing_key"),
        True,
    ),
    Planted(
        "an-archive-for-all",
        S,
        (run("chmod 2755 /var/lib/taaraxtak-dumps/archive"),),
        one("secret-open", "file /var/lib/taaraxtak-dumps/archive"),
        True,
    ),
    Planted(
        "a-group-changes-what-dumps",
        P,
        (run("chmod 0775 /usr/local/sbin/dump-source"),),
        one("secret-open", "file /usr/local/sbin/dump-source"),
        True,
    ),
    Planted("no-sudoers-mode", S, (run("chmod 0444 /etc/sudoers"),), one("secret-open", "file /etc/sudoers")),
    # packages, upgrades
    Planted(
        "a-changed-file",
        P,
        (line("/usr/share/common-licenses/GPL-3", "or not"),),
        one("package-file-changed", "file /usr/share/common-licenses/GPL-3"),
    ),
    Planted(
        "changed-settings",
        S,
        (line("/etc/deluser.conf", "REMOVE_HOME = 1"),),
        one("package-configuration-changed", "file /etc/deluser.conf"),
    ),
    Planted(
        "no-checksums",
        S,
        (run("rm /var/lib/dpkg/info/adduser.md5sums"),),
        one("package-unverified", "package adduser"),
    ),
    Planted(
        "no-upgrades",
        P,
        (line("/etc/apt/apt.conf.d/99oops", 'APT::Periodic::Unattended-Upgrade "0";'),),
        one("upgrades-off", "unattended-upgrades"),
    ),
    Planted(
        "old-upgrades",
        S,
        (run("touch -d 2026-01-01 /var/lib/apt/periodic/unattended-upgrades-stamp"),),
        one("upgrades-late", "unattended-upgrades"),
    ),
    Planted("a-restart-is-due", S, (File("/run/reboot-required", ""),), one("restart-due", "host")),
    # units
    Planted(
        "a-unit-that-failed",
        P,
        (("systemd-run", "--wait", "--unit=oops-fail", "/usr/bin/false"),),
        one("unit-failed", "unit oops-fail.service"),
    ),
    Planted(
        "nobody-checks-the-dumps",
        S,
        (run("systemctl stop taaraxtak-dumps-check.timer"),),
        one("unit-stopped", "unit taaraxtak-dumps-check.timer"),
        True,
    ),
    Planted(
        "another-collector",
        P,
        (
            run(f"mkdir -p {SYSTEM}/taaraxtak-collector.service.d"),
            File(f"{SYSTEM}/taaraxtak-collector.service.d/oops.conf", "[Service]\nUMask=0000\n"),
            run("systemctl daemon-reload"),
        ),
        one("unit-override", "unit taaraxtak-collector.service"),
    ),
    Planted(
        "another-cron",
        P,
        (run(f"cp /usr/lib/systemd/system/cron.service {SYSTEM}/cron.service"), run("systemctl daemon-reload")),
        one("unit-override", "unit cron.service"),
    ),
)
