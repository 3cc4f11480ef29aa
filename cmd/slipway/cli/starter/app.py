import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Where the app serves: "/", or "/instance/<ID>/" with RoutingMode = "BASE_URL".
BASE = os.environ.get("H2O_WAVE_BASE_URL", "/")


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.split("?")[0] != BASE:
            self.send_error(404)
            return
        body = f"<!doctype html><title>Hello</title><h1>Hello from {os.environ['H2O_CLOUD_APP_NAME']}</h1>\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
