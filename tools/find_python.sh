#!/bin/sh
# Print the newest Python from 3.12 to 3.14 that runs and can make virtual environments, else 3.11 (whose newest
# ansible-core is 2.19). Looks along PATH and among pyenv's.
set -eu
pyenv=${PYENV_ROOT:-${HOME:-}/.pyenv}
if command -v pyenv >/dev/null; then pyenv=$(pyenv root); fi
for version in 3.14 3.13 3.12 3.11; do
    for candidate in "python$version" "$pyenv"/versions/"$version".*/bin/python python3; do
        path=$(command -v "$candidate") || continue
        # A shim of pyenv's is there without the version that it stands for: only running it tells.
        found=$("$path" -c 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        if [ "$found" = "$version" ]; then
            echo "$path"
            exit 0
        fi
    done
done
echo "No Python from 3.11 to 3.14 was found: install the packages python3 and python3-venv (Debian 12 or later has them)." >&2
exit 1
