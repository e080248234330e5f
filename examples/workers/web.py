"""A WSGI application whose requests are under way until a file says that they may end."""

import os
import pathlib
import time

FOLDER = pathlib.Path(os.environ['FOLDER'])


def app(environ, start_response):
    name = environ['PATH_INFO'].strip('/')
    (FOLDER / f'{name}.started').write_text(str(os.getpid()))
    while not (FOLDER / 'go').exists():
        time.sleep(0.01)
    start_response('200 OK', [('Content-Length', '4')])
    return [b'done']
