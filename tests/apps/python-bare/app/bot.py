import http.server

http.server.HTTPServer(("", 5000), http.server.SimpleHTTPRequestHandler).serve_forever()
