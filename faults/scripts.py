# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the hosts themselves: small programs, given to `python3 -I -c`, that answer in JSON."""

from __future__ import annotations

# Every process as [pid, user, state, command]; the others' programs begin with this.
PROCESSES = r"""
import json, os, pwd, re, signal, subprocess, sys, time

def processes():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/" + pid + "/cmdline", "rb") as file:
                command = file.read().replace(bytes(1), b" ").decode(errors="replace").strip()
            with open("/proc/" + pid + "/stat") as file:
                state = file.read().rpartition(")")[2].split()[0]
            user = os.stat("/proc/" + pid).st_uid
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(pid) != os.getpid() and state != "Z":
            try:
                found.append((int(pid), pwd.getpwuid(user).pw_name, state, command))
            except KeyError:
                pass
    return found

def waited(condition, seconds):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return found
"""

# PATTERN SIGNAL SECONDS: send SIGNAL to each process whose command matches PATTERN; the commands.
SIGNAL = (
    PROCESSES
    + r"""
pattern, number, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
found = waited(lambda: [row for row in processes() if re.match(pattern, row[3])], seconds)
for row in found:
    try:
        os.kill(row[0], number)
    except ProcessLookupError:
        pass
print(json.dumps([row[3] for row in found]))
"""
)

# FOLDER BYTES PATTERN: stop the programs whose commands match as soon as so much of a dump is written; their processes.
FREEZE = (
    PROCESSES
    + r"""
folder, size, pattern = sys.argv[1], int(sys.argv[2]), sys.argv[3]
old = set(os.listdir(folder))
print("ready", flush=True)

def begun():
    for name in set(os.listdir(folder)) - old:
        try:
            if name.endswith(".partial") and os.stat(os.path.join(folder, name)).st_size >= size:
                return True
        except FileNotFoundError:
            pass
    return False

if not waited(begun, 30):
    sys.exit("no dump came")
found = [row[0] for row in processes() if re.match(pattern, row[3])]
for pid in found:
    os.kill(pid, signal.SIGSTOP)
# The rest of the chain fills its pipes and stops by itself.
time.sleep(0.5)
print(json.dumps(found), flush=True)
"""
)

# SECONDS: what is left of a dump on production, as soon as nothing is or when the time is over.
LEFT_ON_PRODUCTION = (
    PROCESSES
    + r"""
def left():
    found = [row[3] for row in processes() if row[1] in ("pgbackup", "pgdumper") or re.match(r"\S*sudo ", row[3])]
    asked = (
        "SELECT format('%s of %s: %s', coalesce(locktype, 'no lock'), application_name, left(query, 60))"
        " FROM pg_stat_activity LEFT JOIN pg_locks USING (pid) WHERE usename = 'dumper'"
    )
    psql = ["runuser", "-u", "postgres", "--", "psql", "-XAt", "-d", "taaraxtak", "-c", asked]
    done = subprocess.run(psql, capture_output=True, text=True, cwd="/")
    found += done.stdout.splitlines() if done.returncode == 0 else [done.stderr.strip()]
    lock = "/run/taaraxtak-backup/lock"
    if os.path.exists(lock) and subprocess.run(["flock", "--nonblock", lock, "true"]).returncode:
        found.append("the lock " + lock)
    return found

waited(lambda: not left(), float(sys.argv[1]))
print(json.dumps(left()))
"""
)

# SECONDS: the same for the store. The account's own systemd goes ten seconds after its last connection.
LEFT_ON_STORE = (
    PROCESSES
    + r"""
own = re.compile(r"\S*systemd --user|\(sd-pam\)")

def left():
    return [row[3] for row in processes() if row[1].startswith("dumps") and not own.match(row[3])]

waited(lambda: not left(), float(sys.argv[1]))
print(json.dumps(left()))
"""
)

# FOLDER SECONDS: every file below FOLDER once the archive has taken all that is whole; dumps are hashed again.
FILES = (
    PROCESSES
    + r"""
import hashlib, pathlib, stat
folder = pathlib.Path(sys.argv[1])

def settled():
    return not (folder / "archive").is_dir() or not list((folder / "incoming").glob("*.manifest.json"))

waited(settled, float(sys.argv[2]))
files = {}
for path in sorted(folder.rglob("*")):
    try:
        found = path.lstat()
        if stat.S_ISREG(found.st_mode):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            files[str(path)] = [found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode, found.st_uid, digest]
    except FileNotFoundError:
        pass
proofs = {}
for name, row in files.items():
    if name.endswith((".zst", ".age")):
        try:
            manifest = json.loads(pathlib.Path(name + ".manifest.json").read_text())
            trailer = manifest["trailer"]
            proofs[name] = (trailer["bytes"], trailer["sha256"]) == (row[2], row[5])
        except (OSError, ValueError, KeyError):
            proofs[name] = False
print(json.dumps([files, proofs]))
"""
)

# PATH MODE: write standard input to PATH.
WRITE = r"""
import os, pathlib, sys
path = pathlib.Path(sys.argv[1])
path.parent.mkdir(parents=True, exist_ok=True)
path.write_bytes(sys.stdin.buffer.read())
path.chmod(int(sys.argv[2], 8))
"""

# The wire: SIDE FAULT BYTE COMMAND... stands between the sender and COMMAND and does to the bytes what a bad day does.
WIRE = r"""#!/usr/bin/python3 -I
import os, subprocess, sys
side, fault, at, command = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
if side == "store" and command[-1] != "receive":
    os.execv(command[0], command)
pipes = {"stdin": subprocess.PIPE} if side == "store" else {"stdout": subprocess.PIPE}
if fault == "swallow-answer":
    pipes["stdout"] = subprocess.DEVNULL
child = subprocess.Popen(command, **pipes)
reading, writing = (0, child.stdin.fileno()) if side == "store" else (child.stdout.fileno(), 1)

def write(data):
    data = memoryview(data)
    while data:
        data = data[os.write(writing, data):]

seen = 0
try:
    while chunk := os.read(reading, 65536):
        before, seen = seen, seen + len(chunk)
        place = at - before
        if before <= at < seen:
            if fault == "flip":
                chunk = chunk[:place] + bytes([chunk[place] ^ 1]) + chunk[place + 1:]
            elif fault == "cut":
                write(chunk[:place])
                break
        write(chunk)
except BrokenPipeError:
    pass
if side == "store":
    child.stdin.close()
else:
    os.close(1)
    child.stdout.close()
sys.exit(child.wait())
"""

# The forger: FAULT COMMAND... takes a whole stream, changes what proves it, and hands it on.
FORGE = r"""#!/usr/bin/python3 -I
import json, os, struct, subprocess, sys
fault, command = sys.argv[1], sys.argv[2:]
if command[-1] != "receive":
    os.execv(command[0], command)
stream, sections, position = sys.stdin.buffer.read(), [[]], 0
while position < len(stream):
    (size,) = struct.unpack_from(">I", stream, position)
    position += 4
    if size:
        sections[-1].append(stream[position:position + size])
        position += size
    else:
        sections.append([])
parts = sections[:-1]
if fault == "unsigned":
    parts[3] = []
elif fault == "other-key":
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "taaraxtak-dump", "-f", "/run/faultbed/other-key"]
    done = subprocess.run(sign, input=b"".join(parts[2]), stdout=subprocess.PIPE, check=True)
    parts[3] = [done.stdout]
elif fault == "trailer":
    trailer = json.loads(b"".join(parts[2]))
    trailer["versions"]["server"] = "99.9"
    parts[2] = [json.dumps(trailer, sort_keys=True, separators=(",", ":")).encode()]
elif fault == "rows":
    trailer = json.loads(b"".join(parts[2]))
    for table in trailer["tables"].values():
        table["rows"] += 1
    parts[2] = [json.dumps(trailer, sort_keys=True, separators=(",", ":")).encode()]
child = subprocess.Popen(command, stdin=subprocess.PIPE)
try:
    for part in parts:
        for frame in part:
            child.stdin.write(struct.pack(">I", len(frame)) + frame)
        child.stdin.write(struct.pack(">I", 0))
    child.stdin.close()
except BrokenPipeError:
    pass
sys.exit(child.wait())
"""
