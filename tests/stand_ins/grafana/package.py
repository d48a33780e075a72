"""Pack the stand-in for Grafana's server (it is NOT Grafana) as a Debian package that lies on a host as Grafana's does.

    package.py VERSION FILE.deb

The same paths, unit, account, modes and sample files as Grafana's package, from [src] packaging/deb/ (control/postinst,
systemd/grafana-server.service). Needs dpkg-deb.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent

CONTROL = """\
Package: grafana
Version: {version}
Architecture: all
Maintainer: The taaraxtak.production authors <nobody@example.org>
Depends: passwd, python3, python3-yaml
Section: misc
Priority: optional
Description: a stand-in for Grafana's server, made for tests: it is NOT Grafana
"""

UNIT = """\
[Unit]
Description=A stand-in for Grafana: it is NOT Grafana
Wants=network-online.target
After=network-online.target postgresql.service

[Service]
User=grafana
Group=grafana
Type=simple
Restart=on-failure
WorkingDirectory=/usr/share/grafana
RuntimeDirectory=grafana
RuntimeDirectoryMode=0750
ExecStart=/usr/bin/python3 -B /usr/share/grafana/stand-in/grafana_stand_in.py --config=/etc/grafana/grafana.ini \
--version={version}
UMask=0027
NoNewPrivileges=true
ProtectSystem=full
PrivateTmp=true

[Install]
WantedBy=multi-user.target
"""

POSTINST = """\
#!/usr/bin/python3
import os, pathlib, shutil, subprocess, sys
if sys.argv[1] == "configure":
    if subprocess.run(["getent", "passwd", "grafana"], stdout=subprocess.DEVNULL).returncode:
        subprocess.run(["useradd", "--system", "--user-group", "--home-dir", "/usr/share/grafana", "--no-create-home",
                        "--shell", "/bin/false", "grafana"], check=True)
    for name in ("/var/log/grafana", "/var/lib/grafana"):
        pathlib.Path(name).mkdir(exist_ok=True)
        shutil.chown(name, "grafana", "grafana")
        os.chmod(name, 0o755)
    etc = pathlib.Path("/etc/grafana")
    etc.mkdir(exist_ok=True)
    if not (etc / "grafana.ini").exists():
        (etc / "grafana.ini").write_text("; Grafana's own file of samples\\n")
    for kind in ("dashboards", "datasources", "plugins", "access-control", "alerting"):
        folder = etc / "provisioning" / kind
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "sample.yaml").write_text("# a sample\\napiVersion: 1\\n")
    os.chmod(etc, 0o755)
    for path in etc.rglob("*"):
        shutil.chown(path, "root", "grafana")
        os.chmod(path, 0o755 if path.is_dir() else 0o640)
"""


def main() -> None:
    version, target = sys.argv[1], Path(sys.argv[2]).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder) / "grafana"
        code = top / "usr/share/grafana/stand-in"
        units = top / "usr/lib/systemd/system"
        for made in (top / "DEBIAN", code, units):
            made.mkdir(parents=True)
        for path in HERE.glob("*stand_in*.py"):
            shutil.copy(path, code)
        (units / "grafana-server.service").write_text(UNIT.format(version=version), encoding="utf-8")
        (top / "DEBIAN/control").write_text(CONTROL.format(version=version), encoding="utf-8")
        (top / "DEBIAN/postinst").write_text(POSTINST, encoding="utf-8")
        for path in top.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        (top / "DEBIAN/postinst").chmod(0o755)
        command = ["dpkg-deb", "--build", "--root-owner-group", "-Znone", str(top), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
