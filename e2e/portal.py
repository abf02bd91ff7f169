"""The portal of AWS IAM Identity Center, as far as cryokey asks it: keys of one role, for one token.

usage: portal.py CERTIFICATE KEY ADDRESS TOKEN ACCESS_KEY_ID SECRET_ACCESS_KEY SESSION_TOKEN
"""
import http.server
import json
import ssl
import sys
import urllib.parse

certificate, key, address, token, *keys = sys.argv[1:]
WANTED = {"role_name": ["reader all"], "account_id": ["123456789012"]}


class Portal(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path != "/federation/credentials":
            return self.answer(404, {"message": "no such operation"})
        if self.headers.get("x-amz-sso_bearer_token") != token:
            return self.answer(401, {"message": "Session token not found or invalid"})
        if urllib.parse.parse_qs(url.query) != WANTED:
            return self.answer(403, {"message": "No access"})
        names = ["accessKeyId", "secretAccessKey", "sessionToken"]
        self.answer(200, {"roleCredentials": {**dict(zip(names, keys)), "expiration": 4102444800000}})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer((address, 443), Portal)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
