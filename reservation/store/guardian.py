"""Keep one server process for as long as its owner lives: a program of its own, not a module.

    python -I -S guardian.py STOP_SECONDS COMMAND [ARGUMENT ...]

The owner holds the other end of our standard input and never writes to it. When that end closes,
because the owner closed it or died in any way, the server gets SIGTERM, and SIGKILL if it has not
left after STOP_SECONDS. The server's pid is the only line on standard output; its exit status
becomes ours (128 + the signal that killed it).

A pipe and not PR_SET_PDEATHSIG toward the owner: that signal fires when the *thread* that forked
ends, and exists on Linux only. Toward ourselves, a process of one thread, it is right: so on Linux
the server does not outlive a guardian that was killed either.
"""

import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1  # linux/prctl.h
POLL_SECONDS = 0.01  # while waiting for the server to leave; bounded by STOP_SECONDS


def become(command: list[str], guardian: int) -> None:
    """Turn the forked child into the server; its output goes to our standard error."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 (costs 7 ms, and the guardian itself needs none of it)

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != guardian:
            os._exit(1)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    os.execv(command[0], command)  # noqa: S606 (there is no shell on purpose)


def reap(server: int) -> int | None:
    """Return the server's exit status in the shell's convention, None while it lives."""
    pid, status = os.waitpid(server, os.WNOHANG)
    if pid == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def stop(server: int, seconds: float) -> int:
    """End the server: politely, and by force when `seconds` have passed."""
    os.kill(server, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = reap(server)
        if status is not None:
            return status
        time.sleep(POLL_SECONDS)
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)
    return 128 + signal.SIGKILL


def guard(server: int, seconds: float, wakeup: int) -> int:
    """Wait until the server ends, the owner is gone or SIGTERM comes; return the exit status."""
    terminated = False

    def on_terminate(_number: int, _frame: object) -> None:
        nonlocal terminated
        terminated = True

    signal.signal(signal.SIGTERM, on_terminate)
    while True:
        status = reap(server)
        if status is not None:
            return status
        readable, _, _ = select.select([0, wakeup], [], [])
        if wakeup in readable:
            os.read(wakeup, 64)
        if terminated or (0 in readable and not os.read(0, 64)):
            return stop(server, seconds)


def main(arguments: list[str]) -> int:
    """Start the server, say its pid, guard it."""
    seconds, command = float(arguments[0]), arguments[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    wakeup, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    guardian = os.getpid()
    server = os.fork()
    if server == 0:
        try:
            become(command, guardian)
        except OSError as error:
            os.write(2, f"{command[0]}: {error}\n".encode())
        finally:
            os._exit(127)
    os.write(1, b"%d\n" % server)
    os.close(1)
    return guard(server, seconds, wakeup)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
