"""Google Cloud in memory, as far as a container reads secrets from it, written from Google's REST documentation: Secret
Manager and what gives tokens for it, with TLS on port 443, told apart by the Host header; and, once the control port
starts it, the metadata service of a machine. Tests set it up through the control port, 5100.

usage: emulator.py ADDRESS CERTIFICATE KEY
"""
import sys
import threading
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "emulator"))

import exchange
import impersonation
import machine
import manager
import oauth
from control import Control
from metadata import Metadata
from state import State
from web import Answer, Server

HOSTS = {
    "oauth2.googleapis.com": oauth.answer,
    "sts.googleapis.com": exchange.answer,
    "iamcredentials.googleapis.com": impersonation.answer,
}


def cloud(state, request):
    if request.host in HOSTS:
        return HOSTS[request.host](state, request)
    if manager.is_host(request.host):
        return manager.answer(state, request)
    raise Answer(404, f"nothing here is called {request.host}")


address, certificate, key = sys.argv[1:]
state = State()
metadata = Metadata(state, machine.metadata)
control = Server((address, 5100), state, Control(metadata).answer, is_logged=False)
encrypted = Server((address, 443), state, cloud).with_tls(certificate, key)
threading.Thread(target=control.serve_forever, daemon=True).start()
encrypted.serve_forever()
