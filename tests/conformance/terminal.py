#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A person at a terminal, for the cases of this folder: runs a command on a terminal of its own and does what standard input says, one step a line.

    terminal [ROWS COLUMNS] COMMAND... <<'END'
    wait TEXT        until TEXT has been shown, behind what was waited for before
    type TEXT        keys
    size ROWS COLUMNS
    hangup           the terminal goes away
    END

TEXT is written with Python's escapes (\\r is the return key, \\x1a Ctrl-Z). In the end the command is waited for. All that was shown is printed,
numbers of processes masked, and its status as a shell has it is this one's.
TRANSCRIPT=no: not printed, where what is shown depends on the moment.
"""
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

BOUND = 30                       # seconds that a step may take


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Terminal:
    def __init__(self, argv, rows, columns):
        master, slave = pty.openpty()
        resize(slave, rows, columns)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(master)
            self.login(slave)
            for s in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT):
                signal.signal(s, signal.SIG_DFL)
            os.execvp(argv[0], argv)
        os.close(slave)
        self.fd, self.shown, self.at = master, b"", 0

    @staticmethod
    def login(slave):
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
        if slave > 2:
            os.close(slave)

    def read(self, seconds):
        """False at the end of all."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            got = os.read(self.fd, 65536)
        except OSError:
            got = b""
        self.shown += got
        return bool(got)

    def wait(self, text):
        end = time.monotonic() + BOUND
        while self.shown.find(text, self.at) < 0:
            left = end - time.monotonic()
            if left <= 0 or not self.read(left):
                self.give_up("never shown: %r" % text)
        self.at = self.shown.find(text, self.at) + len(text)

    def type(self, text):
        while text:
            text = text[os.write(self.fd, text):]

    def give_up(self, why):
        sys.stdout.buffer.write(self.shown)
        print("\nterminal: " + why, file=sys.stderr)
        os.kill(self.pid, signal.SIGKILL)
        sys.exit(99)

    def hangup(self):
        os.close(self.fd)
        self.fd = -1

    def end(self):
        end = time.monotonic() + BOUND
        while self.fd >= 0 and self.read(max(end - time.monotonic(), 0)):
            if time.monotonic() >= end:
                self.give_up("it does not end")
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
            time.sleep(0.01)
        self.give_up("it does not end")


def main():
    argv = sys.argv[1:]
    rows, columns = 24, 80
    if argv[0].isdigit():
        rows, columns, argv = int(argv[0]), int(argv[1]), argv[2:]
    steps = [line.rstrip("\n").split(" ", 1) for line in sys.stdin if line.strip()]
    t = Terminal(argv, rows, columns)
    for what, *rest in steps:
        text = rest[0].encode().decode("unicode_escape").encode("latin-1") if rest else b""
        if what == "wait":
            t.wait(text)
        elif what == "type":
            t.type(text)
        elif what == "size":
            resize(t.fd, *map(int, text.split()))
        elif what == "hangup":
            t.hangup()
        else:
            t.give_up("no such step: " + what)
    status = t.end()
    if os.environ.get("TRANSCRIPT") != "no":
        shown = re.sub(rb"(\[\d\])-", rb"\1+", t.shown)          # which of its jobs a shell names first depends on the moment
        sys.stdout.buffer.write(re.sub(rb"(\[\d\][-+]? +)\d+\b", rb"\1PID", shown))
        sys.stdout.buffer.flush()
    sys.exit(status)


main()
