"""Runs parts of the Python original in one process, for the benchmark: drive-original.py PATH TASK [SECONDS...]"""

import importlib.util
import json
import sys
import time

spec = importlib.util.spec_from_file_location("original", sys.argv[1])
original = importlib.util.module_from_spec(spec)
spec.loader.exec_module(original)


def say(**answer):
    print(json.dumps(answer), flush=True)


def serve():
    """Its server, as it is but for the address, which is this machine's own, and the port, which is free."""
    original._get_db().close()
    server = original.HTTPServer(("127.0.0.1", 0), original.IPCHandler)
    say(port=server.server_address[1])
    server.serve_forever()


def send(seconds):
    """Sends one after the other. It waits for a line first, so that several can begin together."""
    original._send_message("warm", "herald", "up")
    say(ready=1)
    for _ in sys.stdin:
        count, longest, errors = 0, 0.0, 0
        started = last = time.monotonic()
        while last - started < seconds:
            try:
                original._send_message("bench", "herald", "main is green")
                count += 1
            except Exception:
                errors += 1
            now = time.monotonic()
            longest = max(longest, now - last)
            last = now
        say(count=count, seconds=last - started, longest=longest * 1e3, errors=errors)


def grow(seconds):
    """How long it takes to look, in milliseconds, at a line of standard input each."""
    steps = {
        "pending": lambda: original._pending_count("quiet", "reader"),
        "read": lambda: original._read_messages("busy-1", "reader", mark_read=False),
        "channels": original._list_channels,
    }
    say(ready=1)
    for line in sys.stdin:
        step = steps[line.strip()]
        times = []
        until = time.monotonic() + seconds
        while len(times) < 3 or (time.monotonic() < until and len(times) < 1000):
            started = time.perf_counter()
            step()
            times.append((time.perf_counter() - started) * 1e3)
        say(times=times)


{"serve": serve, "send": send, "grow": grow}[sys.argv[2]](*map(float, sys.argv[3:]))
