"""Progress of long steps: a line when one starts, a living clock on a terminal, a line with its seconds when it ends."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEARTBEAT_SECONDS = 20.0

_started = time.monotonic()
_print_lock = threading.Lock()
_live: dict[str, float] = {}


def elapsed() -> float:
    """Return the seconds since this program started."""
    return time.monotonic() - _started


def say(text: str) -> None:
    """Print one line of progress to standard error, with the time since the start."""
    with _print_lock:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        print(f"[{elapsed():7.1f}s] {text}", file=sys.stderr, flush=True)


def _beat(stop: threading.Event, title: str, detail: Callable[[], str] | None) -> None:
    terminal = sys.stderr.isatty()
    while not stop.wait(0.2 if terminal else HEARTBEAT_SECONDS):
        with _print_lock:
            now = time.monotonic()
            if terminal:
                line = "   ".join(f"{name} {now - since:.0f}s" for name, since in _live.items())
                sys.stderr.write(f"\r\x1b[K[{elapsed():7.1f}s] … {line[:110]}")
                sys.stderr.flush()
            else:
                more = f": {detail()}" if detail and detail() else ""
                print(f"[{elapsed():7.1f}s] … {title}, {now - _live[title]:.0f}s so far{more}", file=sys.stderr, flush=True)


@contextmanager
def step(title: str, detail: Callable[[], str] | None = None) -> Iterator[None]:
    """Report the block as one step. `detail` returns what it is at just now, for the heartbeat where there is no terminal."""
    stop = threading.Event()
    _live[title] = since = time.monotonic()
    beat = threading.Thread(target=_beat, args=(stop, title, detail), daemon=True)
    beat.start()
    try:
        yield
    except BaseException:
        outcome = "FAILED after"
        raise
    else:
        outcome = "done in"
    finally:
        stop.set()
        beat.join()
        _live.pop(title, None)
        say(f"{title}: {outcome} {time.monotonic() - since:.1f}s")
