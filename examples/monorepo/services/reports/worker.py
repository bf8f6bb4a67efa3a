"""The worker process of the Procfile: writes the turnover to the log once a minute until it is asked to stop."""

import signal
import threading

from app import index

stop = threading.Event()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())

while not stop.wait(60):
    print(index()["turnover"], flush=True)
