"""A server on this machine that speaks the chat protocol and says what a test wants it to say."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from manyfaces.language.client import Endpoint, LanguageModel

KEY_VARIABLE = "TEST_LANGUAGE_KEY"
MODEL = "scripted"


@dataclass
class Reply:
    """What the server sends back."""

    content: Any = None
    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def bytes(self) -> bytes:
        if self.body is not None:
            return self.body
        text = self.content if isinstance(self.content, str) else json.dumps(self.content)
        return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@dataclass
class FakeServer:
    """Requests as they came in, and the function that answers them."""

    url: str
    reply: Callable[[dict], Reply]
    requests: list[dict] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def model(self, sleep: Callable[[float], None] = lambda _: None, **changes: Any) -> LanguageModel:
        given = {"base_url": self.url, "model": MODEL, "key_variable": KEY_VARIABLE} | changes
        return LanguageModel(Endpoint(**given), sleep)


@contextmanager
def fake_server(reply: Callable[[dict], Reply] | Reply) -> Iterator[FakeServer]:
    """Run a server on a free port for as long as the context lasts."""
    answer = reply if callable(reply) else lambda _: reply

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append(request)
            server.headers.append(dict(self.headers) | {"path": self.path})
            given = server.reply(request)
            body = given.bytes()
            try:
                self.send_response(given.status)
                for name, value in (given.headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                # The client has stopped waiting.
                pass

        def do_GET(self) -> None:
            server.headers.append(dict(self.headers) | {"path": self.path})
            self.send_error(405)

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = FakeServer(f"http://127.0.0.1:{listening.server_port}/v1", answer)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
