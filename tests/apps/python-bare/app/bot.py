import fractions
import http.server
import json
import os
import urllib.parse


class Ratio(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        total = sum((fractions.Fraction(part) for part in query.get("part", [])), fractions.Fraction())
        body = json.dumps({"sum": str(total)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.HTTPServer(("", int(os.environ["PORT"])), Ratio).serve_forever()
