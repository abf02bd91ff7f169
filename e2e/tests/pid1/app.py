"""The app of the cases, and what sends and starts for them: `app.py MODE ARGUMENT…`.

What it sees goes to the file `log` in its working directory, one line for each event.
"""

import ctypes
import os
import signal
import sys

LIBC = ctypes.CDLL(None, use_errno=True)


def note(*words):
    with open("log", "a") as log:
        print(*words, file=log)


def receive():
    """Every signal that arrives: its number, its si_code, its value."""
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    everything = (ctypes.c_ubyte * 128)(*[0xFF] * 128)
    info = (ctypes.c_int * 32)()
    note("ready")
    while True:
        if LIBC.sigwaitinfo(everything, info) > 0:
            note(info[0], info[2], info[6])


def queue(pid, number, first, last):
    """Sends signals with the values `first` to `last`."""
    for value in range(int(first), int(last) + 1):
        if LIBC.sigqueue(int(pid), int(number), ctypes.c_void_p(value)) != 0:
            sys.exit(f"sigqueue: {os.strerror(ctypes.get_errno())}")


def orphaned(count):
    """Orphans that end when the descriptor is closed."""
    gate, opener = os.pipe()
    ready, named = os.pipe()
    parent = os.fork()
    if parent == 0:
        for _ in range(count):
            if os.fork() == 0:
                os.close(opener)
                with open("/proc/self/comm", "w") as name:
                    name.write("orphan")
                os.write(named, b".")
                os.read(gate, 1)
                os._exit(0)
        os._exit(0)
    os.waitpid(parent, 0)
    while count > 0:
        count -= len(os.read(ready, count))
    return opener


def orphans(count):
    opener = orphaned(int(count))
    note("ready")
    os.close(opener)
    signal.pause()


def leave(count, code):
    """Ends in the moment in which the orphans do."""
    os.close(orphaned(int(count)))
    os._exit(int(code))


def storm():
    """Receives signals while one orphan after another ends."""
    if os.fork() == 0:
        while True:
            parent = os.fork()
            if parent == 0:
                os.fork()
                os._exit(0)
            os.waitpid(parent, 0)
    receive()


def descriptors():
    """Where each open descriptor leads."""
    found = []
    for number in range(256):
        try:
            found.append(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            pass
    for line in found:
        note(line)


def launch(*command):
    """Starts a program with entries that a dictionary cannot hold, and without the signals that Python ignores."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    odd = [b"TWICE=1", b"TWICE=2", b"BYTES=\xff\xfe", b"NO_EQUALS_SIGN", b"EMPTY=", b"=NAMELESS", b"EQUALS=a=b\nc"]
    entries = odd + [name + b"=" + value for name, value in os.environb.items()]
    array = ctypes.c_char_p * (len(entries) + 1)
    arguments = ctypes.c_char_p * (len(command) + 1)
    words = [os.fsencode(word) for word in command]
    LIBC.execve(words[0], arguments(*words, None), array(*entries, None))
    sys.exit(os.strerror(ctypes.get_errno()))


def foreground():
    """Is the app's own process group the terminal's foreground group?"""
    note("foreground" if os.tcgetpgrp(0) == os.getpgrp() else "background")
    note("own group" if os.getpgrp() == os.getpid() else "another's group")


def background():
    """A child in the background that reads from the terminal is stopped."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.read(0, 1)
        os._exit(0)
    _, status = os.waitpid(child, os.WUNTRACED)
    note("stopped by", os.WSTOPSIG(status) if os.WIFSTOPPED(status) else "nothing")
    os.kill(child, signal.SIGKILL)


globals()[sys.argv[1]](*sys.argv[2:])
