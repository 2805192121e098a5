"""A library that is not installed: the error is the command that installs it."""

import subprocess
import sys

import pytest

SCRIPT = """
import importlib, sys
sys.modules[sys.argv[2]] = None
for name in ("inputs", "sitemaps", "traps"):
    importlib.import_module(f"workerpool.scraping.{name}")
try:
    importlib.import_module(f"workerpool.scraping.{sys.argv[1]}")
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("extracting", "selectolax.lexbor", "scrape"),
        ("scope", "w3lib.url", "scrape"),
        ("scope", "publicsuffixlist", "scrape"),
        ("identity", "cryptography.exceptions", "sign"),
    ],
)
def test_the_command_is_told(module, library, extra):
    """By the module that needs it; the others do without."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT, module, library]
    done = subprocess.run(command, capture_output=True, text=True, timeout=80, check=True)
    assert f"needs an extra: pip install 'aiohttp-workerpool[{extra}]'" in done.stdout
