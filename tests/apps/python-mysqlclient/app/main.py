import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

import MySQLdb
from MySQLdb import _mysql


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        refused = False
        try:
            MySQLdb.connect(host="127.0.0.1", port=1, user="shop", connect_timeout=1)
        except MySQLdb.OperationalError as error:
            refused = error.args[0] in {2002, 2003}
        body = json.dumps({"library": bool(_mysql.get_client_info()), "refused": refused}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
