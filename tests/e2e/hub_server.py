"""A model hub on this machine: serves ./hub with byte ranges, redirects the
weights to another address as the real one does, and prints its port.

Options spoil it: --cut N ends the weights after N bytes, --no-ranges ignores
Range, --wrong-hash tells a wrong sha256.
"""
import argparse
import hashlib
import http.server
import os
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--cut", type=int)
parser.add_argument("--no-ranges", action="store_true")
parser.add_argument("--wrong-hash", action="store_true")
options = parser.parse_args()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        stored = self.path.startswith("/stored/")
        path = "hub/" + self.path.removeprefix("/stored").lstrip("/")
        if not os.path.isfile(path):
            self.send_error(404)
        elif path.endswith(".safetensors") and not stored:
            self.redirect(path)
        else:
            self.send_file(path)

    def redirect(self, path):
        with open(path, "rb") as file:
            content = file.read()
        digest = hashlib.sha256(content).hexdigest()
        if options.wrong_hash:
            digest = "0" * 64
        self.send_response(302)
        self.send_header("X-Linked-Etag", '"%s"' % digest)
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Location", "/stored" + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, path):
        with open(path, "rb") as file:
            content = file.read()
        asked = self.headers.get("Range")
        print(os.path.basename(path), asked, file=sys.stderr, flush=True)
        if asked and not options.no_ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", "bytes %d-%d/%d"
                             % (start, len(content) - 1, len(content)))
            content = content[start:]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if options.cut and path.endswith(".safetensors"):
            content = content[:options.cut]
            self.close_connection = True
        self.wfile.write(content)

    def log_message(self, *args):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
