# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The extended attribute security.capability, as linux/capability.h has it."""

from __future__ import annotations

import struct

# In the order of their numbers.
_NAMES = """
    chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
    net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin
    sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override
    mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore
""".split()  # noqa: SIM905


def names(attribute: bytes) -> list[str]:
    """The capabilities that the file gives, permitted or inherited; ValueError where the attribute is too short."""
    if len(attribute) < 12:
        raise ValueError("a file's capabilities can't be read")
    words = struct.unpack_from(f"<{len(attribute) // 4}I", attribute)
    bits = words[1] | words[2]
    if len(words) >= 5:
        bits |= (words[3] | words[4]) << 32
    return [f"cap_{name}" for number, name in enumerate(_NAMES) if bits >> number & 1] or (["unknown"] if bits else [])
