"""What every peer's `run` stands on: its folder below target/, its installs, servers of its own, the one line it prints.

Needs nothing but Python. Data goes to stdout, talk to stderr; the last line of a failure says why.
"""

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = HERE.parents[2]
PEERS = Path(os.environ.get("CARGO_TARGET_DIR") or TREE / "target").absolute() / "bench" / "peers"
# How long a server may take to answer at all, and a part to begin or end.
PATIENCE_SECS = 60
# How long a process may take to end when asked, before it is killed.
GRACE_SECS = 5
# What Restate's SDK needs, and what npm brings where node is older.
OLDEST_NODE, NEWER_NODE = 22, "node@24"
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


class Unavailable(Exception):
    """This peer cannot be had or measured on this machine, and why."""


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def tool(name, *more):
    """The path of a program, from PATH or these folders."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, more)]))
    if not found:
        raise Unavailable(f"no {name} on PATH")
    return found


def call(argv, **options):
    """Runs a command of an install; what it prints goes to stderr."""
    argv = [str(word) for word in argv]
    say(" ".join(argv))
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, **options)
    if ended.returncode:
        raise Unavailable(f"`{' '.join(argv[:3])} ...` ended with status {ended.returncode}")


def shown(argv):
    """The first line that a command prints, such as its version."""
    ended = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return ((ended.stdout or ended.stderr).splitlines() or [""])[0]


@contextlib.contextmanager
def once(folder, recipe):
    """Yields an empty folder to install into, unless what is there came from the same recipe; a failure leaves none."""
    stamp, recipe = folder / ".recipe", json.dumps(recipe, sort_keys=True)
    if stamp.exists() and stamp.read_text() == recipe:
        yield None
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    stamp.write_text(recipe)


def python(name, packages):
    """Installs packages into a virtual environment and returns its `bin`."""
    folder = PEERS / name / "venv"
    with once(folder, packages) as new:
        if new:
            call([sys.executable, "-m", "venv", new])
            call([new / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
    return folder / "bin"


def pip_version(bin_folder, package):
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return shown([bin_folder / "python", "-c", code])


def node(name, packages, programs):
    """Installs packages by npm, puts our programs beside them, where node looks for them; returns folder and node."""
    folder = PEERS / name / "node"
    at_hand, major = tool("node"), shown(["node", "--version"]).lstrip("v").split(".")[0]
    too_old = not major.isdigit() or int(major) < OLDEST_NODE
    packages = [*packages, NEWER_NODE] if too_old else packages
    with once(folder, packages) as new:
        if new:
            (new / "package.json").write_text('{"private": true, "type": "module"}\n')
            call([tool("npm"), "install", "--silent", "--no-audit", "--no-fund", *packages], cwd=new)
    for program in [HERE / "crowd.mjs", *(HERE / name / program for program in programs)]:
        shutil.copy(program, folder)
    return folder, folder / "node_modules" / ".bin" / "node" if too_old else at_hand


def npm_version(folder, package):
    return json.loads((folder / "node_modules" / package / "package.json").read_text())["version"]


def go(name, modules):
    """Builds our program with these modules and returns its path."""
    sources = [HERE / "crowd.go", HERE / name / "main.go"]
    folder = PEERS / name / "go"
    with once(folder, [modules, *(source.read_text() for source in sources)]) as new:
        if new:
            command = tool("go", "/usr/local/go/bin")
            for source in sources:
                shutil.copy(source, new)
            call([command, "mod", "init", f"peer-{name}"], cwd=new)
            call([command, "get", *modules], cwd=new)
            call([command, "mod", "tidy"], cwd=new)
            call([command, "build", "-o", "program", "."], cwd=new)
    return folder / "program"


def go_versions(modules):
    pairs = (module.split("@") for module in modules)
    return {path.removeprefix("github.com/"): version.lstrip("v") for path, version in pairs}


def apt(*packages):
    """Installs Debian packages, where that can be done unasked."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise Unavailable(f"{' and '.join(packages)} not found, and no apt-get run by root to install it")
    quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    call(["apt-get", "update", "-qq"], env=quiet)
    call(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], env=quiet)


def redis_server():
    """A redis-server: from PATH, else Debian's, of which only the tools are taken, so that no service starts."""
    if found := shutil.which("redis-server"):
        return Path(found)
    link, program = PEERS / "redis" / "redis-server", Path("/usr/bin/redis-check-rdb")
    if not (link.exists() and program.exists()):
        if not program.exists():
            apt("redis-tools")
        # The checker is the server under another name, as Debian's package of the server links it.
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    if "Redis server" not in shown([link, "--version"]):
        raise Unavailable("no redis-server on PATH, and Debian's redis-tools hold none; install redis-server")
    return link


def redis_version(program):
    words = shown([program, "--version"]).split()
    return next((word[2:] for word in words if word.startswith("v=")), "unknown")


def nats_server():
    found = subprocess.run([TREE / "deploy/setup/nats-server.sh"], stdout=subprocess.PIPE, text=True)
    if found.returncode:
        raise Unavailable("no nats-server; deploy/setup/nats-server.sh says why")
    return found.stdout.strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def prctl(option, value):
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def die_with_parent():
    """In a child: be killed when `run` is, whatever killed it."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Bed:
    """Servers and workers of one measurement; all end with it.

    All stay in the process group of `run`, so whoever started that as a group can kill them together.
    """

    def __init__(self, name, asked):
        self.name, self.asked, self.processes = name, asked, []
        # What a part leaves behind becomes our child, so that it is found at the end.
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=PEERS))
        self.folders = [self.folder]
        self.logs = PEERS / name / "logs"
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECS)
            process.kill()
            process.wait()
        while left := children():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in left:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def elsewhere(self):
        """A folder outside the checkout, for a user who may not enter that."""
        self.folders.append(Path(tempfile.mkdtemp(prefix=f"{self.name}-")))
        return self.folders[-1]

    def start(self, name, argv, **options):
        """Starts a part whose output goes to a log."""
        with open(self.logs / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent, **options)
        self.processes.append(process)
        process.log = log.name
        return process

    def wait(self, what, process, ready):
        """Waits until `ready` says so, as long as the process lives."""
        until = time.monotonic() + PATIENCE_SECS
        while not ready():
            if process.poll() is not None:
                raise RuntimeError(f"{what} ended with status {process.returncode}; see {process.log}")
            if time.monotonic() > until:
                raise RuntimeError(f"{what} was not ready within {PATIENCE_SECS} s; see {process.log}")
            time.sleep(0.05)

    def listens(self, what, process, port):
        def connects():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False
        self.wait(what, process, connects)

    def redis(self, program):
        """Starts a Redis whose stored results survive kill -9: every write is in its append-only file, synced each second."""
        port = free_port()
        process = self.start("redis", [
            program, "--port", port, "--bind", "127.0.0.1", "--dir", self.folder, "--daemonize", "no",
            "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])
        self.listens("redis-server", process, port)
        return port

    def nats(self, program):
        port = free_port()
        process = self.start("nats", [program, "-js", "-a", "127.0.0.1", "-p", port, "-sd", self.folder])
        self.listens("nats-server", process, port)
        return port

    def submit(self, argv, **options):
        """Runs the submitter, which gets tasks, in-flight, singles and seconds, and returns what its last line says."""
        asked = self.asked
        words = [asked.tasks, asked.in_flight, asked.singles, asked.seconds]
        with open(self.logs / "submitter.log", "wb") as log:
            process = subprocess.Popen(
                [str(word) for word in [*argv, *words]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                preexec_fn=die_with_parent, text=True, **options)
        self.processes.append(process)
        # It warms up, does the singles and then the crowd, each bounded by the same time.
        try:
            out, _ = process.communicate(timeout=3 * asked.seconds + 2 * PATIENCE_SECS)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the submitter did not end in time; see {log.name}") from None
        if process.returncode:
            raise RuntimeError(f"the submitter ended with status {process.returncode}; see {log.name}")
        return json.loads(out.splitlines()[-1])


def children():
    """The processes whose parent is this one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name before the fields may hold anything, so they count from its end.
            if stat.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.append(int(stat.parent.name))
    return found


def quantile(times, share):
    """The time that this share of them stays within."""
    return round(sorted(times)[min(len(times) - 1, int(len(times) * share))], 3) if times else None


def main(name, install, measure, settings):
    """The contract of every `run`: `--install` alone installs; else one line of JSON tells what was measured.

    `install()` returns what `measure(bed, installed)` needs; that returns versions and the submitter's figures.
    """
    parser = argparse.ArgumentParser(description=f"Measures {name} by tasks that do nothing.")
    parser.add_argument("--install", action="store_true", help="install what is missing, and nothing else")
    parser.add_argument("--tasks", type=int, default=20_000, help="how many at most (%(default)s)")
    parser.add_argument("--in-flight", type=int, default=512, help="how many under way at once (%(default)s)")
    parser.add_argument("--singles", type=int, default=500, help="how many one at a time (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="how long each part may submit (%(default)s)")
    asked = parser.parse_args()
    # A request to end unwinds like any failure, so that everything is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("peers: asked to end"))
    try:
        PEERS.joinpath(name).mkdir(parents=True, exist_ok=True)
        installed = install()
        if asked.install:
            return 0
        with contextlib.closing(Bed(name, asked)) as bed:
            versions, figures = measure(bed, installed)
    except (Unavailable, RuntimeError, OSError) as error:
        say(f"{name}: {error}")
        return 1
    except KeyboardInterrupt:
        say(f"{name}: interrupted")
        return 130
    tasks, seconds, singles = figures["tasks"], figures["seconds"], figures["singles_ms"]
    print(json.dumps({
        "peer": name, "versions": versions, "tasks": tasks, "seconds": round(seconds, 3),
        "rate": round(tasks / seconds, 1), "p50_ms": quantile(singles, 0.5), "p99_ms": quantile(singles, 0.99),
        "stored_results": True, "settings": settings}))
    return 0
