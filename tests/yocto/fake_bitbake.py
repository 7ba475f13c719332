#!/usr/bin/env python3
"""A small BitBake: reads a class or a recipe, and runs or hashes one task of it as BitBake would.

usage: fake_bitbake.py hash|run|show FILE TASK|VARIABLE NAME=VALUE...

`hash` prints the task's hash and the files in it; `run` runs its prefuncs and then its shell function, in an emptied
environment and under its lock files; `show` prints a variable. It knows what our class and recipe use: =, ?=, +=, flags,
def, python and shell functions, inherit (what is inherited, the caller gives), ${NAME} and ${@expression}.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile


class Data:
    """The datastore: variables, flags and functions."""

    def __init__(self, variables):
        self.variables, self.flags, self.functions = dict(variables), {}, {}

    def getVar(self, name, expand=True):
        value = self.variables.get(name)
        return self.expand(value) if expand and isinstance(value, str) else value

    def expand(self, text, used=None):
        def one(match):
            if match.group(1).startswith("@"):
                return str(eval(match.group(1)[1:], self.functions, {"d": self}))
            if used is not None:
                used.add(match.group(1))
            value = self.getVar(match.group(1))
            return match.group(0) if value is None else value

        return re.sub(r"\$\{(@[^}]*|[A-Za-z0-9_]+)\}", one, text)


def parse(text, data):
    """Line by line, as BitBake's own parser of classes."""
    lines = iter(text.splitlines())
    for line in lines:
        body = []
        if line.startswith("def "):
            body = [line]
            for more in lines:
                if not more:
                    break
                body.append(more)
            exec("\n".join(body), data.functions)
        elif match := re.fullmatch(r"(python )?(\w+)\(\) \{", line):
            for more in lines:
                if more == "}":
                    break
                body.append(more)
            data.variables[match.group(2)] = "\n".join(body)
            data.flags.setdefault(match.group(2), {})["python"] = bool(match.group(1))
        elif match := re.fullmatch(r'(\w+) (=|\?=|\+=) "(.*)"', line):
            name, how, value = match.groups()
            if how == "=":
                data.variables[name] = value
            elif how == "?=":
                data.variables.setdefault(name, value)
            else:
                data.variables[name] = (data.variables.get(name, "") + " " + value).strip()
        elif match := re.fullmatch(r'(\w+)\[([\w-]+)\] (=|\+=) "(.*)"', line):
            name, flag, how, value = match.groups()
            flags = data.flags.setdefault(name, {})
            before = flags.get(flag, "") if how == "+=" else ""
            flags[flag] = (before + " " + value).strip()
        elif line and not line.startswith(("#", "addtask ", "inherit ")):
            sys.exit(f"cannot read: {line}")


def task_hash(data, task):
    """Over the function, each variable it uses but for the excluded, and the content of its files."""
    flags = data.flags[task]
    excluded = set(flags.get("vardepsexclude", "").split())
    used, hashed = set(), hashlib.sha256(data.variables[task].encode())
    data.expand(data.variables[task], used)
    for name in sorted(used - excluded):
        hashed.update(f"{name}={data.getVar(name)}\n".encode())
    files = data.expand(flags.get("file-checksums", "")).split()
    for entry in files:
        path, exists = entry.rsplit(":", 1)
        hashed.update(entry.encode())
        if exists == "True":
            with open(path, "rb") as file:
                hashed.update(hashlib.sha256(file.read()).digest())
    print(hashed.hexdigest(), *files)


def run(data, task):
    original = Data(os.environ)
    data.variables["BB_ORIGENV"] = original
    path = os.environ["PATH"]
    os.environ.clear()
    os.environ["PATH"] = path
    flags = data.flags[task]
    locks = []
    for lock in data.expand(flags.get("lockfiles", "")).split():
        locks.append(open(lock, "w"))
        fcntl.flock(locks[-1], fcntl.LOCK_EX)
    for function in flags.get("prefuncs", "").split():
        exec("def prefunc(d):\n" + data.variables[function], data.functions)
        data.functions["prefunc"](data)
    with tempfile.NamedTemporaryFile("w", suffix=f".run.{task}", dir=data.getVar("T"), delete=False) as script:
        script.write(f"#!/bin/sh -e\n{task}() {{\n{data.expand(data.variables[task])}\n}}\n{task}\n")
    sys.exit(subprocess.run(["sh", "-e", script.name], stdin=subprocess.DEVNULL).returncode)


def show(data, name):
    print(data.getVar(name))


def main():
    what, path, task, *assignments = sys.argv[1:]
    data = Data(assignment.split("=", 1) for assignment in assignments)
    with open(path) as file:
        parse(file.read(), data)
    {"hash": task_hash, "run": run, "show": show}[what](data, task)


if __name__ == "__main__":
    main()
