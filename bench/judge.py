"""Sets that hide their truth, and the judge of what a matcher made of them:
hide.py and f1.py lie beside the data and are not linkd's."""
import csv
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple

csv.field_size_limit(1 << 30)

# Sets whose truth is known for their labelled pairs only.
PARTIAL = {"rotten-imdb", "zomato-yelp", "jp-companies"}

# seconds: by the clock; cpu: user and system; mib: the most that one process of
# it held; status: what it exited with, or minus the signal that ended it.
Run = namedtuple("Run", "seconds cpu mib status")


def script(data, name, *arguments):
    return subprocess.run([sys.executable, os.path.join(data, name),
                           *arguments], check=True, stdout=subprocess.PIPE,
                          text=True).stdout


def kind(source):
    """"link" for two tables, "dedup" for one."""
    return "dedup" if os.path.exists(f"{source}/records.csv") else "link"


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def blind(data, name, work):
    """A copy of the set in work/name, rows shuffled and ids replaced, with
    truth.csv, and labels.csv (left_id,right_id,label) if only some pairs are
    judged."""
    source, out = os.path.join(data, name), os.path.join(work, name)
    labels = f"{source}/labelled_pairs.csv"
    if name not in PARTIAL:
        script(data, "hide.py", source, out)
        return out
    # hide.py hides the ids of matches.csv and keeps their order: let it hide
    # those of all labelled pairs, then keep the true ones.
    rows = read(labels)
    shutil.copytree(source, f"{out}.open")
    write(f"{out}.open/matches.csv", [["left_id", "right_id"]] +
          [row[:2] for row in rows[1:]])
    script(data, "hide.py", f"{out}.open", out)
    hidden = read(f"{out}/truth.csv")[1:]
    if len(hidden) != len(rows) - 1:
        sys.exit(f"{name}: a labelled pair is not in the tables")
    labelled = [pair + [row[2]] for pair, row in zip(hidden, rows[1:])]
    write(f"{out}/labels.csv", [["left_id", "right_id", "label"]] + labelled)
    write(f"{out}/truth.csv", [["left_id", "right_id"]] +
          [row[:2] for row in labelled if row[2] == "1"])
    return out


def timed(command, cpu_limit=None, memory_limit=None, **options):
    """Runs command to its end, or until it used cpu_limit seconds of a
    processor, and is refused more than memory_limit bytes of its own."""
    def limit():
        os.setpgid(0, 0)
        if cpu_limit:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_limit, cpu_limit + 5))
        if memory_limit:
            resource.setrlimit(resource.RLIMIT_DATA, (memory_limit,) * 2)

    start = time.time()
    child = subprocess.Popen(command, preexec_fn=limit, **options)
    try:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    finally:  # whatever it started goes with it
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return Run(time.time() - start, usage.ru_utime + usage.ru_stime,
               usage.ru_maxrss >> 10, child.returncode)


def judge(data, blinded, result):
    """Precision, recall and F1 of result, as f1.py prints them."""
    labels = f"{blinded}/labels.csv"
    if os.path.exists(labels):
        judged = {tuple(row[:2]) for row in read(labels)}
        rows = read(result)
        write(f"{result}.judged", [rows[0][:2]] + [
            row[:2] for row in rows[1:] if tuple(row[:2]) in judged])
        result = f"{result}.judged"
    _, p, _, r, _, f = script(data, "f1.py", kind(blinded), result,
                              f"{blinded}/truth.csv").split()
    return p, r, f
