"""TLS in front of a server without it, on port 443 of an address.

usage: front.py ADDRESS CERTIFICATE KEY PORT
"""
import socket
import ssl
import sys
import threading

address, certificate, key, port = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def copy(source, sink):
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()


def serve(client):
    try:
        encrypted = context.wrap_socket(client, server_side=True)
    except OSError:
        return
    server = socket.create_connection((address, int(port)))
    threading.Thread(target=copy, args=(encrypted, server), daemon=True).start()
    copy(server, encrypted)


listener = socket.create_server((address, 443), backlog=256)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
