"""The weekday of a date, which its path names."""

import datetime as dt
import http.server
import os


class Weekday(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        try:
            status, text = 200, dt.date.fromisoformat(self.path.strip("/")).strftime("%A")
        except ValueError:
            status, text = 404, "no date"
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.HTTPServer(("", int(os.environ["PORT"])), Weekday).serve_forever()
