"""What reaches out of the process: no core imports it."""

IO = {
    *("os", "subprocess", "socket", "pathlib", "io", "fcntl", "select", "signal", "shutil", "tempfile", "syslog"),
    *("ctypes", "yaml"),
}
