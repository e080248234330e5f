"""An application that says what it does as it ends, and goes on when the line is in the log."""

import os
import pathlib
import signal
import time

FOLDER = pathlib.Path(os.environ['FOLDER'])
LOG = FOLDER / 'log'


def say(line):
    print(line, flush=True)
    while line not in LOG.read_text():
        time.sleep(0.01)


def close(*_):
    (FOLDER / 'asked').touch()
    while not (FOLDER / 'go').exists():
        time.sleep(0.01)
    try:
        for name in 'cache', 'connections', 'database':
            say(f'closed the {name}')
    except BrokenPipeError:
        raise SystemExit(1)
    raise SystemExit(0)


signal.signal(signal.SIGTERM, close)
say('serving')
while True:
    signal.pause()
