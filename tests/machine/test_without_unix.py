"""What only Unix has is not needed: on Windows inrkit imports, trains, loads and samples."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, signal, sys
import h5py, rich, torch, torch.distributed, torch.nn.parallel, torch.utils.data  # whose business it is not

MODULES = ("fcntl", "resource", "termios", "pwd", "grp", "tty", "pty", "posix")
for name in MODULES:
    sys.modules[name] = None  # importing it now fails
for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "pread", "pwrite", "fork", "register_at_fork"):
    delattr(os, name)
for name in ("SIGHUP", "SIGALRM", "SIGKILL", "alarm", "setitimer"):
    delattr(signal, name)

sys.path.insert(0, sys.argv[2])
from pathlib import Path
from toy import ToyModality
import inrkit

run = Path(sys.argv[1])
with inrkit.process_setup():
    inrkit.train(modality=ToyModality, out=run, steps=3, precision="fp32", device="cpu", progress=False)
try:
    from inrkit.storage.runlock import RunLock
    with RunLock(run), RunLock(run):
        raise SystemExit("two trainers have one run directory")
except inrkit.ResourceError:
    pass
model = inrkit.load(run, modality=ToyModality)
assert model.sample(2).signal.isfinite().all()
assert (run / "report.html").is_file()
print("fine", end="")
"""


def test_inrkit_trains_loads_and_samples_without_unix(tmp_path: Path) -> None:
    """Files, locks, signals and memory have other ways, or are left out."""
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run"), tests]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert (done.returncode, done.stdout) == (0, "fine"), done.stderr[-2000:]


def test_importing_inrkit_needs_nothing_of_unix() -> None:
    """Neither the package nor any of its modules asks for it at the top."""
    root = Path(__file__).parents[2] / "inrkit"
    lines = [line for path in root.rglob("*.py") for line in path.read_text().splitlines()]
    assert not [line for line in lines if line.startswith(("import fcntl", "import resource", "import termios"))]
