"""The app of `latency.rs`: 1,000 orphans end at once while signals arrive. Gets the signal's number and how many of it
are sent then; prints when each arrived."""

import os
import signal
import sys
import time

ORPHANS = 1000
NUMBER, SIGNALS = map(int, sys.argv[1:])

signal.pthread_sigmask(signal.SIG_BLOCK, {NUMBER})
until, end = os.pipe()
for _ in range(ORPHANS):
    if os.fork() == 0:
        if os.fork() == 0:
            os.close(end)
            os.read(until, 1)
        os._exit(0)
    os.wait()
print("ready", flush=True)
signal.sigwaitinfo({NUMBER})
os.close(end)
arrived = []
for _ in range(SIGNALS):
    signal.sigwaitinfo({NUMBER})
    arrived.append(time.clock_gettime_ns(time.CLOCK_MONOTONIC))
print(*arrived, flush=True)
