"""A Celery worker with one task, which is under way until a file says that it may end. The broker is a folder."""

import os
import pathlib
import time

import celery

FOLDER = pathlib.Path(os.environ['FOLDER'])
QUEUE = str(FOLDER / 'queue')

app = celery.Celery('tasks', broker='filesystem://')
app.conf.broker_transport_options = {'data_folder_in': QUEUE, 'data_folder_out': QUEUE}


@app.task
def work(name):
    (FOLDER / f'{name}.started').write_text(str(os.getpid()))
    try:
        while not (FOLDER / 'go').exists():
            time.sleep(0.01)
    except BaseException:  # a signal's handler raises SystemExit
        (FOLDER / f'{name}.lost').touch()
        raise
    (FOLDER / f'{name}.finished').touch()
