import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg2
from psycopg2.extensions import libpq_version


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        refused = False
        try:
            psycopg2.connect(host="127.0.0.1", port=1, user="shop", connect_timeout=1)
        except psycopg2.OperationalError as error:
            refused = "refused" in str(error)
        body = json.dumps({"libpq": libpq_version() > 150000, "refused": refused}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
