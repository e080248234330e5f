"""A small web server. Each request starts a job in the background and does not wait for it; on SIGTERM the server
says how many requests it has answered and ends with an exit code of its own."""

import http.server
import signal
import subprocess
import sys

STOPPED = 4


class Handler(http.server.BaseHTTPRequestHandler):
    answered = 0

    def do_GET(self):
        # The shell ends at once, and the job is an orphan: PID 1 has to wait for it.
        subprocess.run(['sh', '-c', 'sleep 0.1 &'], check=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'started\n')
        Handler.answered += 1


def stop(*_):
    print(f'stopped after {Handler.answered} requests', flush=True)
    sys.exit(STOPPED)


def main():
    signal.signal(signal.SIGTERM, stop)
    server = http.server.HTTPServer(('', int(sys.argv[1])), Handler)
    print(f'listening on port {server.server_port}', flush=True)
    server.serve_forever()


main()
