"""A server that answers 200 to whatever it is sent, and writes each request's head down as a line of JSON.

Arguments: the port, and the file.
"""

import http.server
import json
import sys
import threading

PORT, FILE = int(sys.argv[1]), sys.argv[2]
LOCK = threading.Lock()


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def record(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if headers.get("transfer-encoding"):
            # Where such a body ends is not worth knowing here; where the next request begins would be.
            self.close_connection = True
        line = json.dumps({"method": self.command, "target": self.path, "headers": headers, "body": len(body)})
        with LOCK, open(FILE, "a") as file:
            file.write(line + "\n")
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.record
        raise AttributeError(name)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Recorder).serve_forever()
