"""A mail server for tests, in a process of its own: `python -m tests.smtp_server FOLDER`.

It is aiosmtpd, with STARTTLS and a login, and puts each mail into the folder as a file. With the
arguments CERT and KEY besides it speaks TLS. It prints its port when it listens.
"""

import asyncio
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = b"crawler", b"open-sesame"


class Folder:
    """Puts mails into a folder."""

    def __init__(self, path):
        self.path, self.count = Path(path), 0

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        who = session.auth_data.login.decode() if session.auth_data else ""
        head = f"To-All: {','.join(envelope.rcpt_tos)}\nUser: {who}\n".encode()
        made = self.path / f".{self.count}"
        made.write_bytes(head + envelope.content)
        made.rename(self.path / f"{self.count}.eml")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    is_right = (data.login, data.password) == (USER, PASSWORD)
    return AuthResult(success=is_right, handled=False, auth_data=data if is_right else None)


async def serve(folder, cert="", key=""):
    tls = None
    if cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert, key)
    handler = Folder(folder)

    def made():
        needs = {"authenticator": authenticate, "auth_required": bool(tls)}
        return SMTP(handler, tls_context=tls, require_starttls=bool(tls), **needs)

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
