"""What all servers here share: requests, answers, and the log of them."""
import dataclasses
import http.server
import json
import re
import ssl
import sys
import time
import urllib.parse


# The members of a form that prove who sends it.
CONFIDED = ["client_secret", "client_assertion", "refresh_token", "subject_token", "assertion"]


@dataclasses.dataclass
class Request:
    method: str
    host: str
    # with the query
    target: str
    headers: object
    body: bytes

    @property
    def path(self):
        return urllib.parse.unquote(urllib.parse.urlsplit(self.target).path)

    @property
    def query(self):
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.target).query, keep_blank_values=True))

    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))

    def json(self):
        return json.loads(self.body or b"{}")

    def confided(self):
        """What proves who sent it. No one else may see it."""
        _, _, bearer = self.headers.get("Authorization", "").partition(" ")
        form = self.form() if self.is_form() else {}
        return [secret_part(text) for text in [bearer, *(form.get(name) for name in CONFIDED)] if text]

    def is_form(self):
        return self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")

    def shown(self):
        """For the log of requests: no values."""
        return {
            "method": self.method,
            "host": self.host,
            "path": self.target,
            "has_authorization": "Authorization" in self.headers,
            "form": sorted(self.form()) if self.is_form() else [],
        }


def secret_part(text):
    """Of a signed request to AWS, everything but the signature is known to all."""
    signature = re.search("Signature%3D([0-9a-f]{64})", text)
    return signature[1] if signature else text


class Answer(Exception):
    """An answer. Raised, it ends the work on the request. The status 0 closes the connection instead."""

    def __init__(self, status, body, headers=()):
        self.status = status
        self.headers = {"Content-Type": "application/json; charset=utf-8", **dict(headers)}
        # What is no text becomes JSON.
        self.body = body if isinstance(body, str) else json.dumps(body)


class Server(http.server.ThreadingHTTPServer):
    """Answers with a function of the state and the request."""

    # Clients open many connections at once.
    request_queue_size = 256

    def __init__(self, address, state, answer, is_logged=True):
        self.state, self.answer, self.is_logged = state, answer, is_logged
        super().__init__(address, Handler)

    def with_tls(self, certificate, key):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # Otherwise a client that connects and says nothing keeps all others waiting.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        return self

    def reply(self, request):
        if not self.is_logged:
            return self.real(request)
        entry = self.state.logged(request.shown())
        self.state.confided.update(request.confided())
        answer = self.state.faults.answer(request, self.real)
        entry["status"] = answer.status
        return answer

    def real(self, request):
        try:
            with self.state.lock:
                return self.answer(self.state, request)
        except Answer as answer:
            return answer

    def handle_error(self, request, client_address):
        """Clients hang up as they like."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    # Connections stay open, as Azure's do.
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        answer = self.server.reply(self.request_of_this())
        if answer.status == 0:
            self.close_connection = True
            return
        self.send(answer)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def request_of_this(self):
        host = self.headers.get("Host", "").rsplit(":", 1)[0].lower()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return Request(self.command, host, self.path, self.headers, body)

    def send(self, answer):
        body = answer.body.encode()
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """The control port has the log."""


def now():
    return int(time.time())
