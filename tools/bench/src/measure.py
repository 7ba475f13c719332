"""Runs programs many times and says what each took.

From a small process of its own: Linux counts to a child's peak memory what its parent had when it was started.
The arguments are the number of runs, and files that are removed before each, so that no program pays for freeing an old one.
Standard input is a list of [name, arguments]; standard output has, for each name, the median of the wall time and the
mean of the user CPU time in milliseconds, and the peak memory in MiB; or the exit code of what failed.
"""

import json
import os
import statistics
import subprocess
import sys
import time

answers = {}
for name, arguments in json.load(sys.stdin):
    walls, users, peak, code = [], [], 0, 0
    for _ in range(int(sys.argv[1])):
        for output in filter(os.path.exists, sys.argv[2:]):
            os.unlink(output)
        begin = time.perf_counter()
        try:
            child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError:
            code = -1
            break
        _, status, used = os.wait4(child.pid, 0)
        walls.append((time.perf_counter() - begin) * 1e3)
        child.returncode = code = os.waitstatus_to_exitcode(status)
        if code != 0:
            break
        users.append(used.ru_utime * 1e3)
        peak = max(peak, used.ru_maxrss)
    if code != 0:
        answers[name] = {"failed": code}
    else:
        # The first one warms up what is mapped and cached.
        answers[name] = {"wall": statistics.median(walls[1:]), "user": statistics.mean(users[1:]), "peak": peak / 1024}
json.dump(answers, sys.stdout)
