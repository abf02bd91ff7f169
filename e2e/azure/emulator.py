"""Azure in memory, as far as a container reads secrets from it, written from Microsoft's REST documentation: Entra ID
and Key Vault with TLS on port 443, told apart by the Host header; the identity endpoint of App Service; and, once the
control port starts it, the metadata service of a machine. Tests set it up through the control port, 5100.

usage: emulator.py ADDRESS CERTIFICATE KEY
"""
import sys
import threading
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "emulator"))

import entra
import machine
import vault
from control import Control
from metadata import Metadata
from state import State
from web import Answer, Server


def cloud(state, request):
    if request.host in entra.CLOUDS:
        return entra.answer(state, request)
    if request.host in state.vaults:
        return vault.answer(state, request)
    raise Answer(404, f"nothing here is called {request.host}")


address, certificate, key = sys.argv[1:]
state = State()
app_service = Server(("127.0.0.1", 0), state, machine.app_service)
metadata = Metadata(state, machine.metadata)
control = Server((address, 5100), state, Control(metadata, app_service.server_port).answer, is_logged=False)
encrypted = Server((address, 443), state, cloud).with_tls(certificate, key)
for server in [app_service, control]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
encrypted.serve_forever()
