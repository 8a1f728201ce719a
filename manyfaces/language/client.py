"""A small client for servers that speak the OpenAI chat protocol: llama.cpp, Ollama, vLLM, hosted services.

Standard library only. One question, one JSON object as the answer; every failure is one sentence. The key
comes from the environment, goes into one header, and is in no message, file or table.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
# How an answer in JSON is asked for, strictest first; a server that refuses one gets the next.
ANSWER_FORMATS = ("json_schema", "json_object", "text")
REFUSED_REQUEST = (400, 404, 415, 422)
RETRIED = (408, 429)
REFUSED_KEY = (401, 403)
MAX_ANSWER_TOKENS = 800
MAX_ANSWER_BYTES = 2**20
MAX_WAIT_SECONDS = 30
# Tells servers that sample to repeat themselves; with temperature 0 most do anyway.
SAMPLING_SEED = 7
SHOWN_CHARACTERS = 200


class LanguageModelError(Exception):
    """No usable answer; the text says why."""


class EndpointError(LanguageModelError):
    """The server cannot be reached or refuses: the next question would fail as well."""


class AnswerError(LanguageModelError):
    """The server answered this question with something else than the JSON object that was asked for."""


@dataclass(frozen=True)
class Endpoint:
    """Where a language model listens.

    Attributes:
        base_url: What stands before /chat/completions, such as http://127.0.0.1:8080/v1.
        model: Name of the model as the server knows it.
        key_variable: Name of the environment variable that holds the key; it may be unset.
        timeout_seconds: How long a server may stay silent.
        max_retries: Further attempts after one that failed for a reason that may pass.
    """

    base_url: str
    model: str
    key_variable: str
    timeout_seconds: float = 30
    max_retries: int = 2


@dataclass(frozen=True)
class Question:
    """What a model is asked.

    Attributes:
        task: What it has to do: the system message.
        material: What it has to do it with: the user message.
        schema: JSON schema of the answer.
    """

    task: str
    material: str
    schema: dict[str, Any] = field(default_factory=dict)


class LanguageModel:
    """Asks one endpoint, again where that may help, and reads the JSON object of the answer."""

    def __init__(self, endpoint: Endpoint, sleep: Callable[[float], None] = time.sleep) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            endpoint: Whom to ask.
            sleep: Waits so many seconds between two attempts.

        Raises:
            ValueError: If the address is none, or would send texts and key unencrypted over a network; if the
                key is no single word.
        """
        self.endpoint = endpoint
        self._sleep = sleep
        self._key = _key_from_environment(endpoint.key_variable)
        is_local = checked_host(endpoint.base_url) in LOCAL_HOSTS
        # A redirect would carry the key to an address that nobody has checked.
        handlers = [_NoRedirects(), *([urllib.request.ProxyHandler({})] if is_local else [])]
        self._open = urllib.request.build_opener(*handlers).open
        self._formats = list(ANSWER_FORMATS)

    def ask(self, question: Question) -> dict[str, Any]:
        """Return the JSON object that the model answers with.

        Raises:
            EndpointError: If the server cannot be reached, goes on failing, or refuses the request.
            AnswerError: If the answer holds no JSON object with the required keys.
        """
        while True:
            try:
                answer = self._post(_body(self.endpoint, question, self._formats[0]))
                return _json_object(_content(answer), question.schema.get("required", ()))
            except _RefusedError as error:
                if len(self._formats) == 1:
                    raise EndpointError(str(error)) from None
                self._formats.pop(0)

    def _post(self, body: dict[str, Any]) -> bytes:
        """Send one request, again after failures that may pass, and return the body of the answer."""
        for attempt in range(self.endpoint.max_retries + 1):
            try:
                return self._post_once(body)
            except _PassingError as error:
                failure = error
                if attempt < self.endpoint.max_retries:
                    self._sleep(min(max(2.0**attempt, error.wait_seconds), MAX_WAIT_SECONDS))
        raise EndpointError(f"{failure}; it was asked {self.endpoint.max_retries + 1} times")

    def _post_once(self, body: dict[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        url = f"{self.endpoint.base_url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode("utf-8"), headers, method="POST")
        try:
            with self._open(request, timeout=self.endpoint.timeout_seconds) as response:
                answer = response.read(MAX_ANSWER_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise self._status_error(error) from None
        except TimeoutError:
            raise _PassingError(self._silence()) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise _PassingError(self._silence()) from None
            raise _PassingError(f"The language model cannot be reached: {_plain(str(reason))}") from None
        if len(answer) > MAX_ANSWER_BYTES:
            raise AnswerError("The answer is longer than a name and a few sentences can be.")
        return answer

    def _silence(self) -> str:
        return f"The language model said nothing for {self.endpoint.timeout_seconds:g} seconds"

    def _status_error(self, error: urllib.error.HTTPError) -> Exception:
        """Say what a status other than success means. What a server says about a key is not repeated."""
        if error.code in REFUSED_KEY:
            return EndpointError(
                f"The language model refuses the key (status {error.code}): put a valid one into the "
                f"environment variable {self.endpoint.key_variable}."
            )
        if 300 <= error.code < 400:
            return EndpointError(
                f"The language model has moved (status {error.code}): set llm_base_url to its new address."
            )
        text = f"The language model failed with status {error.code}{self._said_in(error)}"
        if error.code in RETRIED or error.code >= 500:
            return _PassingError(text, _seconds(error.headers.get("Retry-After")))
        return _RefusedError(text) if error.code in REFUSED_REQUEST else EndpointError(text)

    def _said_in(self, error: urllib.error.HTTPError) -> str:
        try:
            said = json.loads(error.read(MAX_ANSWER_BYTES))["error"]
            said = _plain(said["message"] if isinstance(said, dict) else said)
        except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
            return ""
        return f": {said.replace(self._key, '...') if self._key else said}" if said else ""


def checked_host(base_url: str) -> str:
    """Return the host of an address that prompts may be sent to.

    Raises:
        ValueError: If it is no http or https address, holds a user name, or is http to another machine.
    """
    try:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ValueError(
            f"llm_base_url must be an address such as http://127.0.0.1:8080/v1, not {base_url!r}."
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "llm_base_url must not hold a user name or password: put the key into an environment variable."
        )
    if parts.scheme == "http" and host not in LOCAL_HOSTS:
        raise ValueError(
            f"llm_base_url would send texts unencrypted to {host}: use https, or a server on this machine."
        )
    return host


class _PassingError(Exception):
    """A failure that may be over at the next attempt."""

    def __init__(self, text: str, wait_seconds: float = 0) -> None:
        super().__init__(text)
        self.wait_seconds = wait_seconds


class _RefusedError(Exception):
    """The server does not take the request as it is; a plainer one may do."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _key_from_environment(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    # The library's own message about a header that cannot be sent would show the key.
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(
            f"The environment variable {variable} must hold one word of plain characters, the key."
        )
    return key


def _body(endpoint: Endpoint, question: Question, answer_format: str) -> dict[str, Any]:
    """Return the request; the last format leaves out everything that a server may not know."""
    messages = [
        {"role": "system", "content": question.task},
        {"role": "user", "content": question.material},
    ]
    body = {"model": endpoint.model, "messages": messages}
    if answer_format == "text":
        return body
    wanted: dict[str, Any] = {"type": answer_format}
    if answer_format == "json_schema":
        wanted["json_schema"] = {"name": "answer", "strict": True, "schema": question.schema}
    limits = {"temperature": 0, "seed": SAMPLING_SEED, "max_tokens": MAX_ANSWER_TOKENS}
    return body | limits | {"response_format": wanted}


def _content(answer: bytes) -> str:
    """Return the text of the first choice of an answer."""
    try:
        content = json.loads(answer)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise AnswerError("The server does not answer as the chat protocol says.") from None
    if not isinstance(content, str):
        raise AnswerError("The language model gave no text.")
    return content


def _json_object(content: str, required: Iterable[str]) -> dict[str, Any]:
    """Return the first JSON object in a text that has the required keys.

    Thoughts before it and fences around it do not count, nor does a part of an answer that was cut off.
    """
    content = content.rpartition("</think>")[2]
    decoder, at = json.JSONDecoder(), content.find("{")
    while at >= 0:
        try:
            found = decoder.raw_decode(content, at)[0]
            if found.keys() >= set(required):
                return found
        except (ValueError, RecursionError):
            pass
        at = content.find("{", at + 1)
    raise AnswerError("The answer is not the JSON object that was asked for.")


def _plain(text: object) -> str:
    """Return what a server says as a short line without control characters."""
    words = "".join(character if character.isprintable() else " " for character in str(text)).split()
    return " ".join(words)[:SHOWN_CHARACTERS].rstrip(".")


def _seconds(retry_after: str | None) -> float:
    """Return a Retry-After header in seconds; 0 for none and for dates."""
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0.0
