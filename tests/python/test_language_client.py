import json
import threading

import pytest
from language_server import KEY_VARIABLE, MODEL, FakeServer, Reply, fake_server

from manyfaces.language.cache import KIND, CachedLanguageModel
from manyfaces.language.client import (
    MAX_ANSWER_BYTES,
    AnswerError,
    Endpoint,
    EndpointError,
    LanguageModel,
    Question,
    checked_host,
)
from manyfaces.store import ArtifactStore

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
QUESTION = Question("Name it.", "Soup: 2.0 times", SCHEMA)
KEY = "sk-secret-1234567890"


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def scripted(*replies):
    """Answer with one reply after the other, the last one for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_a_question_is_asked_as_the_protocol_says():
    with fake_server(Reply({"name": "Soup Cooks"})) as server:
        assert server.model().ask(QUESTION) == {"name": "Soup Cooks"}
    (request,) = server.requests
    assert server.headers[0]["path"] == "/v1/chat/completions"
    assert request["model"] == MODEL
    assert request["messages"] == [
        {"role": "system", "content": "Name it."},
        {"role": "user", "content": "Soup: 2.0 times"},
    ]
    assert request["temperature"] == 0
    assert request["max_tokens"] > 0
    assert request["response_format"]["json_schema"]["schema"] == SCHEMA


def test_without_a_key_there_is_no_authorization():
    with fake_server(Reply({"name": "Soup"})) as server:
        server.model().ask(QUESTION)
    assert "Authorization" not in server.headers[0]


def test_the_key_of_the_environment_is_sent(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, f"{KEY}\n")
    with fake_server(Reply({"name": "Soup"})) as server:
        server.model().ask(QUESTION)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_key_that_cannot_be_sent_is_not_shown(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, f"{KEY}\nX-Other: 1")
    with pytest.raises(ValueError, match=KEY_VARIABLE) as caught:
        LanguageModel(Endpoint("http://localhost/v1", MODEL, KEY_VARIABLE))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        '```json\n{"name": "Soup"}\n```',
        'Here you are: {"name": "Soup"} Good luck!',
        '<think>{"name": "Tea"} or {x}?</think>\n{"name": "Soup"}',
        '{not json} {"other": 1} {"name": "Soup"}',
    ],
)
def test_json_is_found_in_a_text(content):
    with fake_server(Reply(content)) as server:
        assert server.model().ask(QUESTION) == {"name": "Soup"}


@pytest.mark.parametrize("content", ["Soup Cooks", '{"name": "Soup', '["Soup"]', "", '{"title": {"x": 1}}'])
def test_anything_else_than_the_object_is_no_answer(content):
    with fake_server(Reply(content)) as server, pytest.raises(AnswerError, match="not the JSON object"):
        server.model().ask(QUESTION)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}', b"\xff\xfe"],
)
def test_a_server_that_speaks_otherwise_gives_no_answer(body):
    with fake_server(Reply(body=body)) as server, pytest.raises(AnswerError):
        server.model().ask(QUESTION)


def test_an_endless_answer_is_cut_off():
    with (
        fake_server(Reply(body=b" " * (MAX_ANSWER_BYTES + 1))) as server,
        pytest.raises(AnswerError, match="longer"),
    ):
        server.model().ask(QUESTION)


def test_a_server_that_knows_no_schema_is_asked_more_plainly_from_then_on():
    def reply(request):
        plain = "response_format" not in request
        return Reply({"name": "Soup"}) if plain else Reply(status=400, body=b'{"error": "response_format"}')

    with fake_server(reply) as server:
        model = server.model()
        assert [model.ask(QUESTION), model.ask(QUESTION)] == [{"name": "Soup"}] * 2
    formats = [request.get("response_format", {}).get("type") for request in server.requests]
    assert formats == ["json_schema", "json_object", None, None]
    assert set(server.requests[-1]) == {"model", "messages"}


def test_a_request_that_is_refused_in_every_form_is_an_error_with_the_servers_words():
    said = json.dumps({"error": {"message": "no model 'scripted'\n"}}).encode()
    with (
        fake_server(Reply(status=404, body=said)) as server,
        pytest.raises(EndpointError, match=r"status 404: no model 'scripted'$"),
    ):
        server.model().ask(QUESTION)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_that_passes_is_waited_for(status):
    waited = []
    with fake_server(scripted(Reply(status=status), Reply(status=status), Reply({"name": "Soup"}))) as server:
        assert server.model(waited.append).ask(QUESTION) == {"name": "Soup"}
    assert waited == [1, 2]


def test_a_server_may_say_how_long_to_wait_within_bounds():
    waited = []
    replies = [Reply(status=429, headers={"Retry-After": seconds}) for seconds in ("7", "86400")]
    with fake_server(scripted(*replies, Reply({"name": "Soup"}))) as server:
        server.model(waited.append).ask(QUESTION)
    assert waited == [7, 30]


def test_a_failure_that_stays_ends_after_the_retries():
    with (
        fake_server(Reply(status=500, body=b"{}")) as server,
        pytest.raises(EndpointError, match="status 500; it was asked 3 times"),
    ):
        server.model().ask(QUESTION)
    assert len(server.requests) == 3


def test_silence_ends_after_the_timeout():
    released = threading.Event()

    def reply(_):
        released.wait(30)
        return Reply({"name": "Soup"})

    with fake_server(reply) as server:
        with pytest.raises(EndpointError, match=r"said nothing for 0\.05 seconds; it was asked 2 times"):
            server.model(timeout_seconds=0.05, max_retries=1).ask(QUESTION)
        released.set()
    assert len(server.requests) == 2


def test_nobody_listening_is_one_sentence():
    with fake_server(Reply({})) as server:
        url = server.url
    with pytest.raises(EndpointError, match=r"cannot be reached: .*refused"):
        FakeServer(url, lambda _: Reply({})).model(max_retries=0).ask(QUESTION)


def test_a_refused_key_is_named_by_its_variable_only(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    said = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY[:6]}"}}).encode()
    with fake_server(Reply(status=401, body=said)) as server, pytest.raises(EndpointError) as caught:
        server.model().ask(QUESTION)
    assert KEY_VARIABLE in str(caught.value)
    assert KEY[:6] not in str(caught.value)
    assert len(server.requests) == 1


def test_a_server_that_repeats_the_key_does_not_bring_it_into_messages(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    said = json.dumps({"error": f"bad header Bearer {KEY}"}).encode()
    with fake_server(Reply(status=400, body=said)) as server, pytest.raises(EndpointError) as caught:
        server.model().ask(QUESTION)
    assert str(caught.value).endswith("bad header Bearer ...")


def test_a_redirect_is_not_followed(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with fake_server(Reply({"name": "Soup"})) as other:
        moved = Reply(status=302, body=b"", headers={"Location": f"{other.url}/chat/completions"})
        with fake_server(moved) as server, pytest.raises(EndpointError, match="has moved"):
            server.model().ask(QUESTION)
    assert other.headers == []


def test_a_server_on_this_machine_is_asked_without_a_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with fake_server(Reply({"name": "Soup"})) as server:
        assert server.model(max_retries=0).ask(QUESTION) == {"name": "Soup"}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://localhost:8080/v1", "localhost"),
        ("http://[::1]:8080/v1", "::1"),
        ("http://127.0.0.1/v1", "127.0.0.1"),
        ("https://models.example.com/v1", "models.example.com"),
    ],
)
def test_addresses_that_prompts_may_go_to(url, host):
    assert checked_host(url) == host


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://models.example.com/v1", "unencrypted to models.example.com"),
        ("http://localhost.example.com/v1", "unencrypted"),
        ("http://localhost@example.com/v1", "user name or password"),
        ("https://ann:secret@example.com/v1", "user name or password"),
        ("ftp://localhost/v1", "must be an address"),
        ("file:///etc/passwd", "must be an address"),
        ("localhost:8080", "must be an address"),
        ("http://localhost:port/v1", "must be an address"),
        ("https://example.com/v1?key=secret", "must be an address"),
    ],
)
def test_addresses_that_they_may_not_go_to(url, message):
    with pytest.raises(ValueError, match=message):
        LanguageModel(Endpoint(url, MODEL, KEY_VARIABLE))


def test_the_same_question_is_asked_once(tmp_path):
    with fake_server(Reply({"name": "Soup"})) as server:
        first = CachedLanguageModel(server.model(), ArtifactStore(tmp_path)).ask(QUESTION)
        again = CachedLanguageModel(server.model(), ArtifactStore(tmp_path)).ask(QUESTION)
    assert again == first
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("question", "model"),
    [
        (Question("Name it.", "Soup: 2.1 times", SCHEMA), MODEL),
        (Question("Name it!", "Soup: 2.0 times", SCHEMA), MODEL),
        (Question("Name it.", "Soup: 2.0 times", SCHEMA | {"title": "other"}), MODEL),
        (QUESTION, "other"),
    ],
)
def test_another_question_schema_or_model_is_asked(tmp_path, question, model):
    with fake_server(Reply({"name": "Soup"})) as server:
        CachedLanguageModel(server.model(), ArtifactStore(tmp_path)).ask(QUESTION)
        CachedLanguageModel(server.model(model=model), ArtifactStore(tmp_path)).ask(question)
    assert len(server.requests) == 2


def test_a_failure_is_not_kept(tmp_path):
    with fake_server(scripted(Reply("nonsense"), Reply({"name": "Soup"}))) as server:
        model = CachedLanguageModel(server.model(), ArtifactStore(tmp_path))
        with pytest.raises(AnswerError):
            model.ask(QUESTION)
        assert model.ask(QUESTION).content == {"name": "Soup"}


def test_the_store_holds_question_and_answer_but_no_key(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with fake_server(Reply({"name": "Soup"})) as server:
        answer = CachedLanguageModel(server.model(), ArtifactStore(tmp_path)).ask(QUESTION)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    kept = json.loads((tmp_path / f"{KIND}-{answer.prompt_hash}.json").read_text())
    assert (kept["material"], kept["answer"]) == ("Soup: 2.0 times", {"name": "Soup"})
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.iterdir())
    said = capfd.readouterr()
    assert KEY not in said.out + said.err
