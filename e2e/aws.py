"""moto, an AWS in memory, on two ports of one address: with TLS on 443, without on 5000. Both show the same account.

usage: aws.py ADDRESS CERTIFICATE KEY
"""
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

# Connections stay open, as AWS's do.
WSGIRequestHandler.protocol_version = "HTTP/1.1"

address, certificate, key = sys.argv[1:]
app = DomainDispatcherApplication(create_backend_app)
plain = make_server(address, 5000, app, threaded=True)
encrypted = make_server(address, 443, app, threaded=True, ssl_context=(certificate, key))
threading.Thread(target=plain.serve_forever, daemon=True).start()
encrypted.serve_forever()
