"""The machine that figures are of."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

__all__ = ["machine"]


def machine(server: str) -> str:
    """Return processor, memory, system and server in a line."""
    cpu = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    if server == "nginx" and Path(nginx).exists():
        said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False).stderr
        server = said.partition(": ")[2]
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    cores = f"{os.cpu_count()} cores ({cpu or platform.machine()})"
    return f"{cores}, {memory:.0f} GiB, {system}; {server.strip()} on the same"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
