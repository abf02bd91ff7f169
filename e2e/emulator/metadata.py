"""The address at which a machine of a cloud finds its metadata service."""
import threading

from web import Server

ADDRESS = ("169.254.169.254", 80)


class Metadata:
    """It listens only while a test wants it: the address is the same for all."""

    def __init__(self, state, answer):
        self.state, self.answer, self.server = state, answer, None

    def switch(self, is_on):
        self.stop()
        if is_on:
            self.server = Server(ADDRESS, self.state, self.answer)
            threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
