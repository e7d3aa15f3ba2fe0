"""`python -m isotone` is the command line, for launchers that start a module."""

import subprocess
import sys


def test_it_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "isotone", "metods"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Did you mean 'methods'?" in done.stderr
