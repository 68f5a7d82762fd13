"""What the reliability tests have in common: a daemon to start, kill and look
at, requests over its socket, vectors that can be made again from a name, and a
list of what was found wrong.

Python's standard library only. A vector is a function of a string, so that a
test knows what a record must hold without having kept it.
"""

import argparse
import array
import atexit
import base64
import hashlib
import http.client
import json
import math
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

READY_SECONDS = 10.0  # promised: ready after any crash, unattended


# ---- what was found -----------------------------------------------------------


class Findings:
    """Violations, told as they come and counted at the end."""

    MOST_TOLD = 40

    def __init__(self):
        self.n = 0

    def check(self, holds, message, *args):
        if holds:
            return True
        self.n += 1
        if self.n <= self.MOST_TOLD:
            print("VIOLATION: " + message % args, file=sys.stderr, flush=True)
        return False


# ---- vectors --------------------------------------------------------------------


def normalized(numbers):
    length = math.sqrt(sum(x * x for x in numbers))
    return array.array("f", (x / length for x in numbers))


def vector_of(name, dim):
    """A direction that depends on the name alone."""
    seed = hashlib.blake2b(name.encode(), digest_size=8).digest()
    rng = random.Random(seed)
    return normalized([rng.gauss(0.0, 1.0) for _ in range(dim)])


def near(vector, name, amount):
    """The vector moved a little, by an amount that depends on the name."""
    other = vector_of(name, len(vector))
    return normalized([x + amount * y for x, y in zip(vector, other)])


def base64_of(vector):
    return base64.b64encode(vector.tobytes()).decode()


def dot(a, b):
    return sum(map(float.__mul__, map(float, a), map(float, b)))


def nearest(vectors, query, k):
    """The k best (score, id) of {id: vector}, best first."""
    scored = [(dot(v, query), name) for name, v in vectors.items()]
    scored.sort(key=lambda pair: (-pair[0], pair[1]))
    return scored[:k]


def hits_agree(hits, expected, tolerance=2e-5):
    """Whether a list of hits is the brute-force one, up to ties."""
    if len(hits) != len(expected):
        return False
    scores = {name: score for score, name in expected}
    worst = expected[-1][0] if expected else 0.0
    for hit, (score, _) in zip(hits, expected):
        if abs(hit["score"] - score) > tolerance:
            return False
        if hit["id"] not in scores and abs(hit["score"] - worst) > tolerance:
            return False
    return True


def recall(hits, expected):
    if not expected:
        return 1.0
    wanted = {name for _, name in expected}
    return sum(hit["id"] in wanted for hit in hits) / len(wanted)


# ---- requests -------------------------------------------------------------------


class Refused(Exception):
    """An answer with a status from 400 on."""

    def __init__(self, status, code, detail):
        super().__init__("%d %s: %s" % (status, code, detail))
        self.status = status
        self.code = code
        self.detail = detail


BROKEN = (ConnectionError, http.client.HTTPException, socket.timeout, FileNotFoundError, OSError)


class Unix(http.client.HTTPConnection):
    def __init__(self, path, timeout=30.0):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client:
    """One connection, opened again after it broke; never repeats by itself."""

    def __init__(self, path, timeout=30.0):
        self.connection = Unix(path, timeout)
        self.replayed = False

    def close(self):
        self.connection.close()

    def open(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
        except BROKEN:
            self.connection.close()
            raise
        if response.status < 400:
            return response
        text = response.read()
        try:
            problem = json.loads(text)
            raise Refused(response.status, problem["code"], problem["detail"])
        except (ValueError, KeyError):
            raise Refused(response.status, "unknown", text.decode(errors="replace")) from None

    def call(self, method, path, body=None, key=None, headers=None):
        """The decoded JSON of an answer."""
        headers = dict(headers or {})
        if key is not None:
            headers["Idempotency-Key"] = key
        response = self.open(method, path, body, headers)
        try:
            text = response.read()
        except BROKEN:
            self.connection.close()
            raise
        self.replayed = response.getheader("Idempotency-Replayed") == "true"
        return json.loads(text) if text else None

    def lines(self, path):
        """The objects of an NDJSON answer."""
        response = self.open("GET", path, headers={"Accept": "application/x-ndjson"})
        try:
            return [json.loads(line) for line in response.read().splitlines()]
        except BROKEN:
            self.connection.close()
            raise

    def records(self, collection, vectors=True):
        return self.lines("/v1/collections/%s/records?vectors=%s" % (collection, str(vectors).lower()))

    def search(self, collection, vector, k, **options):
        body = {"vector": base64_of(vector), "k": k, "fields": False, **options}
        return self.call("POST", "/v1/collections/%s/search" % collection, body)

    def metric(self, name):
        text = self.open("GET", "/metrics").read().decode()
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise KeyError(name)

    def wait_job(self, number, seconds=120.0):
        """The job when it has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = self.call("GET", "/v1/jobs/%d" % number)
            if job["state"] in ("done", "failed", "cancelled"):
                return job
            time.sleep(0.02)
        raise TimeoutError("job %d has not ended after %.0f s" % (number, seconds))

    def fsck(self):
        job = self.wait_job(self.call("POST", "/v1/admin/fsck", {})["job"])
        if job["state"] != "done":
            raise RuntimeError("fsck: %s" % job)
        return job["counts"]


# ---- the daemon -----------------------------------------------------------------


class Daemon:
    """linkd on one data directory. Started, it is waited for; it is killed
    when the test ends, however it does."""

    def __init__(self, program, directory, *options, name="linkd"):
        self.program = program
        self.directory = directory
        self.data = os.path.join(directory, name + ".data")
        self.socket = os.path.join(directory, name + ".sock")
        self.log = os.path.join(directory, name + ".log")
        self.options = options
        self.process = None
        self.slowest_start = 0.0
        self.n_starts = 0
        atexit.register(self.kill)

    def spawn(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--data", self.data, "--socket", self.socket, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.n_starts += 1

    def is_ready(self):
        try:
            client = Client(self.socket, timeout=5.0)
            client.call("GET", "/readyz")
            client.close()
            return True
        except (Refused, *BROKEN):
            return False

    def wait_ready(self, seconds=READY_SECONDS):
        begin = time.monotonic()
        while not self.is_ready():
            if self.process.poll() is not None:
                raise RuntimeError("linkd ended with %s:\n%s" % (self.process.returncode, self.log_tail()))
            if time.monotonic() - begin > seconds:
                raise RuntimeError("linkd is not ready after %.0f s:\n%s" % (seconds, self.log_tail()))
            time.sleep(0.005)
        self.slowest_start = max(self.slowest_start, time.monotonic() - begin)

    def start(self, seconds=READY_SECONDS):
        self.spawn()
        self.wait_ready(seconds)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self, seconds=30.0):
        """Asks it to end; how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def has_died(self):
        return self.process.poll() is not None

    def log_tail(self, n=20):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-n:])

    def rss_bytes(self):
        """Anonymous memory: mapped files are the system's to take back."""
        with open("/proc/%d/status" % self.process.pid) as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) << 10
        return 0

    def n_descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def file_bytes(self):
        """What the database takes of the disk."""
        return os.stat(os.path.join(self.data, "data.mdb")).st_blocks * 512

    def segment_files(self):
        directory = os.path.join(self.data, "segments")
        return sorted(os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".segment"))


# ---- running --------------------------------------------------------------------


def slowness():
    """Sanitizers are slower: by what times are multiplied."""
    return float(os.environ.get("LINKD_TEST_SLOWNESS", "1"))


def memory_factor():
    """They keep what was freed, too."""
    return 1 if slowness() == 1 else 4


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--linkd", default=os.environ.get("LINKD"), help="the daemon; default $LINKD")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random (default 1)")
    parser.add_argument("--keep", action="store_true", help="leave the directory behind")
    return parser


def fsck_closed(directory):
    """What "linkctl fsck" says of a directory that no daemon has; None: fine,
    or there is no linkctl."""
    program = os.environ.get("LINKCTL")
    if not program:
        return None
    done = subprocess.run([program, "fsck", "--data", directory], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stdout + done.stderr


def parse(parser):
    args = parser.parse_args()
    if not args.linkd or not os.access(args.linkd, os.X_OK):
        parser.error("--linkd or $LINKD has to name the program linkd")
    args.linkd = os.path.abspath(args.linkd)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    return args


def scratch(args):
    """A directory of its own, with a path short enough for sockets."""
    directory = tempfile.mkdtemp(prefix="linkd-")
    if not args.keep:
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def descriptors_raise(wanted):
    """Raises the limit on open files; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard < wanted and os.geteuid() == 0:
            hard = wanted
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def finish(findings, summary):
    print(summary + (", %d violations" % findings.n), flush=True)
    sys.exit(1 if findings.n else 0)
