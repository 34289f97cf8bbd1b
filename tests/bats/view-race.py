#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
view-race.py ask SETUID-PROGRAM PID: run by a user in the view, asks to signal a remote process. Meanwhile another thread executes a setuid program: the one that
asks is gone then, and its number is that program's. It waits for a line on standard input before each of the two.

view-race.py GUARD COMMAND...: holds the guard (by ptrace) after it has taken the question of COMMAND, which is an "ask", until there is a program with root's
rights under that number, and lets it go on. It has to answer by itself then: nobody is asked in root's name.
"""
import ctypes
import os
import subprocess
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
SEIZE, INTERRUPT, SYSCALL, SYSCALL_INFO = 0x4206, 0x4207, 24, 0x420E
SYSGOOD, FORK = 1, 2                             # options; 1 << 16 of a status: it has forked
RECV, SEND = 0xC0502100, 0xC0182101              # of the listener (seccomp_unotify(2))


class Info(ctypes.Structure):
    _fields_ = [("op", ctypes.c_uint8), ("arch", ctypes.c_uint32), ("ip", ctypes.c_uint64), ("sp", ctypes.c_uint64), ("nr", ctypes.c_uint64),
                ("args", ctypes.c_uint64 * 6)]


def ask(program, pid):
    def execute():
        sys.stdin.readline()
        os.execv(program, [program, "60"])

    sys.stdin.readline()
    threading.Thread(target=execute).start()
    print("asking", flush=True)
    libc.kill(int(pid), 9)                       # so that the other thread can run
    os._exit(1)


def ptrace(what, pid, addr=0, data=0):
    if libc.ptrace(ctypes.c_long(what), ctypes.c_long(pid), ctypes.c_void_p(addr), ctypes.c_void_p(data)) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def goes_to(pid, where):
    """To the beginning (1) or end (2) of a call of the listener: which; or FORK, if it forks before."""
    request = None
    while True:
        ptrace(SYSCALL, pid)
        status = os.waitpid(pid, 0)[1]
        if status >> 16 == 1:
            return FORK
        if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) != 0x85:
            continue
        info = Info()
        libc.ptrace(ctypes.c_long(SYSCALL_INFO), ctypes.c_long(pid), ctypes.c_void_p(ctypes.sizeof(info)), ctypes.byref(info))
        if info.op == 1:
            request = info.args[1] if info.args[1] in (RECV, SEND) else None
        if request and info.op == where:
            return request


def is_root(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(line for line in f if line.startswith("Uid:")).split()[2] == "0"


def race(guard, command):
    asker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        ptrace(SEIZE, guard, 0, SYSGOOD | FORK)
        ptrace(INTERRUPT, guard)
        os.waitpid(guard, 0)
        print(file=asker.stdin, flush=True)
        assert asker.stdout.readline() == "asking\n"
        assert goes_to(guard, 2) == RECV
        print(file=asker.stdin, flush=True)
        end = time.monotonic() + 30
        while not is_root(asker.pid):
            assert time.monotonic() < end, "never root"
            time.sleep(0.02)
        assert goes_to(guard, 1) == SEND, "a node is asked"
    finally:
        asker.kill()


if sys.argv[1] == "ask":
    ask(*sys.argv[2:])
else:
    race(int(sys.argv[1]), sys.argv[2:])
