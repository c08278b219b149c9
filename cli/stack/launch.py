"""Starts a child's program: `python -I -S launch.py PARENT SIGNAL USER PROGRAM ARG...`.

It drops root (USER is `-` or `uid:gid`), keeps new files private, and asks the kernel to send SIGNAL when the parent
dies, so that no child outlives a killed supervisor. Then it replaces itself with PROGRAM. It is a program and not a
`preexec_fn`, because Python code between fork and exec can deadlock in a process with threads. It imports only the
standard library, so that it takes milliseconds.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, signal_number: int, user: str, program: list[str]) -> None:
    """Replaces this process with `program`; exits with code 127 and a message if that fails."""
    os.umask(0o077)
    if user != "-":
        uid, gid = (int(part) for part in user.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    die_with_parent(parent, signal_number)  # after setuid, which clears it
    try:
        os.execv(program[0], program)
    except OSError as error:
        sys.stderr.write(f"cannot run {program[0]}: {error.strerror}\n")
        sys.exit(127)


def die_with_parent(parent: int, signal_number: int) -> None:
    """Asks the kernel to send the signal to this process when its parent dies; ends at once when `parent` has died
    already. 0: whichever parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)
    if parent and os.getppid() != parent:
        sys.exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
