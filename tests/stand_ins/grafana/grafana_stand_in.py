"""A stand-in for Grafana's server, made for this project's tests: it is NOT Grafana.

It speaks the part of Grafana's HTTP API that export, import and comparison of dashboards use, and reads grafana.ini and
the provisioning files as Grafana does. What it does is taken from, and each behaviour cites, one of these:

  [spec]   Grafana's published description of its HTTP API (OpenAPI 3, version 9.3.2)
  [src]    Grafana's public source, by file
  [doc]    https://grafana.com/docs/grafana/latest/
  #NUMBER  an issue or pull request of https://github.com/grafana/grafana

It draws nothing, asks no datasource anything, and evaluates no alert. It needs Python's standard library and PyYAML.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

import stand_in_dashboards  # noqa: F401 (its routes)
from stand_in_http import serve
from stand_in_provisioning import Provisioning
from stand_in_settings import Settings
from stand_in_state import State


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, help="instead of grafana.ini's http_port; 0 takes a free one")
    parser.add_argument("--state", type=Path, help="folder of what it knows; instead of grafana.ini's paths.data")
    parser.add_argument("--config", type=Path, help="grafana.ini")
    parser.add_argument("--provisioning", type=Path, help="instead of grafana.ini's paths.provisioning")
    parser.add_argument("--version", default="12.3.0", help="the version of Grafana whose behaviour is wanted")
    parser.add_argument(
        "--token", action="append", default=[], metavar="ROLE=FILE", help="write a token of that role there"
    )
    parser.add_argument(
        "--poll", type=float, help="look at the dashboards' files every so many seconds, whatever they say"
    )
    parser.add_argument("--print-port", action="store_true", help="print the port once it listens")
    options = parser.parse_args()
    try:
        settings = Settings.read(options.config)
        folder = options.state or Path(settings.value("paths", "data"))
        state = State(folder, options.version, admin=settings.admin())
        provisioning = Provisioning(options.provisioning or settings.provisioning(), state, poll=options.poll)
        provisioning.start()
        for item in options.token:
            role, _, path = item.partition("=")
            state.write_token(role, Path(path))
    except (OSError, ValueError) as error:
        print(f"grafana stand-in: {error}", file=sys.stderr)
        return 1
    port = options.port if options.port is not None else int(settings.value("server", "http_port"))
    server = serve(settings.value("server", "http_addr") or "127.0.0.1", port, state, settings, provisioning)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    if options.print_port:
        print(server.server_address[1], flush=True)
    server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
