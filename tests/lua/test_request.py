from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .host import raw
from .request_module import Request


@pytest.fixture(scope="module")
def request_module(shared_host) -> Request:
    return Request(shared_host)


CHAT = "/openai/deployments/gpt-4o/chat/completions"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (CHAT, CHAT),
        (CHAT + "?api-version=2024-10-21", CHAT),
        (CHAT + "?x=/../%2f", CHAT),
        (CHAT + "#fragment", CHAT),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("//v1///chat//completions", "/v1/chat/completions"),
        ("http://gateway/v1/models", "/v1/models"),
        ("https://user@gateway:8443/v1/models?a", "/v1/models"),
        ("HTTP://GATEWAY/v1/models", "/v1/models"),
        ("/openai/deployments/gpt%204o/chat/completions",) * 2,
        ("/openai/deployments/gpt-4.1/chat/completions",) * 2,
        ("/openai/deployments/a..b/chat/completions",) * 2,
        ("/openai/deployments/..a/chat/completions",) * 2,
        ("/openai/deployments/.a/chat/completions",) * 2,
        ("/openai/deployments/a%2eb/chat/completions",) * 2,
        ("/openai/deployments/...x/chat/completions",) * 2,
        ("/", "/"),
    ],
)
def test_a_good_target_gives_its_path_unchanged(request_module, target, path):
    assert request_module.module.path(target) == path


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "v1/models",
        "?api-version=1",
        "http://gateway",
        "http://gateway?x=/v1/models",
        "/openai/deployments/a%2Fb/chat/completions",
        "/openai/deployments/a%2fb/chat/completions",
        "/openai/deployments/a%5Cb/chat/completions",
        "/openai/deployments/a%5cb/chat/completions",
        "/openai/deployments/a\\b/chat/completions",
        "/openai/deployments/a%252Fb/chat/completions",
        "/openai/deployments/a%252fb/chat/completions",
        "/openai/deployments/a%255cb/chat/completions",
        "/openai/deployments/a%255Cb/chat/completions",
        "/openai/./v1/models",
        "/openai/../v1/models",
        "/openai/v1/..",
        "/openai/v1/.",
        "/..",
        "/.",
        "/%2e%2e/v1/models",
        "/%2E%2E/v1/models",
        "/.%2e/v1/models",
        "/%2e./v1/models",
        "/%2e/v1/models",
        "/v1/%2E",
        "/%252e%252e/v1/models",
        "/%252E%252E/v1/models",
        "/.%252e/v1/models",
        "/%2e%252e/v1/models",
        "/a//../v1/models",
        "http://gateway/a/../v1/models",
        "http://gateway/a%2fb",
    ],
)
def test_a_target_that_a_backend_may_read_otherwise_is_refused(request_module, target):
    assert request_module.module.path(target) is None


@settings(max_examples=300, deadline=None)
@given(st.text("/.%25eEfF\\cC a?#", max_size=24))
def test_no_accepted_path_decodes_to_another_one(request_module, rest):
    path = request_module.module.path("/" + rest)
    if path is None:
        return
    text = path
    for _ in range(2):
        assert "//" not in path
        assert "\\" not in text
        assert not {".", ".."} & set(text.split("/"))
        decoded = text
        for code, char in (("2e", "."), ("2f", "\0"), ("5c", "\\")):
            decoded = decoded.replace("%" + code, char).replace("%" + code.upper(), char)
        assert "\0" not in decoded
        text = decoded.replace("%25", "%")


@pytest.mark.parametrize(
    ("path", "operation", "deployment", "forwarded"),
    [
        (CHAT, "chat", "gpt-4o", CHAT),
        ("/openai/deployments/e/embeddings", "embeddings", "e", None),
        ("/openai/deployments/c/completions", "completions", "c", None),
        ("/openai/deployments/gpt%204o/chat/completions", "chat", "gpt 4o", None),
        ("/openai/deployments/gr%C3%BC%c3%9f/chat/completions", "chat", "grüß", None),
        ("/openai/deployments/a%25b/chat/completions", "chat", "a%b", None),
        ("/openai/deployments/a%3Fb/chat/completions", "chat", "a?b", None),
        ("/openai/deployments/100%/chat/completions", "chat", "100%", None),
        ("/openai/v1/chat/completions", "chat", None, None),
        ("/openai/v1/responses", "responses", None, None),
        ("/openai/v1/models", "models", None, None),
        ("/openai/responses", "responses", None, None),
        ("/openai/models", "models", None, "/openai/v1/models"),
        ("/v1/chat/completions", "chat", None, "/openai/v1/chat/completions"),
        ("/v1/embeddings", "embeddings", None, "/openai/v1/embeddings"),
        ("/v1/models", "models", None, "/openai/v1/models"),
    ],
)
def test_a_path_tells_operation_and_deployment(
    request_module, path, operation, deployment, forwarded
):
    route = request_module.route(path)
    assert route.operation.name == operation
    assert route.deployment == (None if deployment is None else raw(deployment))
    assert route.path == (forwarded or path)
    assert bool(route.legacy) is (deployment is not None)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/chat",
        "/v1/chat/completions/",
        "/v2/chat/completions",
        "/openai/v1/chat/completions/x",
        "/openai/V1/models",
        "/openai/embeddings",
        "/openai/responses/",
        "/responses",
        "/openai/deployments/gpt-4o",
        "/openai/deployments/gpt-4o/",
        "/openai/deployments/gpt-4o/models",
        "/openai/deployments/a/b/chat/completions",
        "/openai/deployments/gpt-4o/chat/completion%73",
        "/xopenai/deployments/gpt-4o/chat/completions",
        "/x/v1/models",
    ],
)
def test_a_path_that_nothing_serves_has_no_route(request_module, path):
    assert request_module.route(path) is None


@pytest.mark.parametrize(
    ("path", "version", "knows"),
    [
        (CHAT, "2024-09-01-preview", True),
        (CHAT, "2024-10-21", True),
        (CHAT, "2025-04-01-preview", True),
        (CHAT, "2024-08-01-preview", False),
        (CHAT, "2024-06-01", False),
        (CHAT, "2024-09", False),
        (CHAT, "latest", False),
        (CHAT, None, False),
        ("/openai/deployments/c/completions", "2024-10-21", True),
        ("/openai/deployments/e/embeddings", "2024-10-21", False),
        ("/v1/chat/completions", None, True),
        ("/openai/v1/completions", "preview", True),
        ("/openai/v1/responses", None, False),
        ("/openai/v1/embeddings", None, False),
    ],
)
def test_where_stream_options_are_known(request_module, path, version, knows):
    route = request_module.route(path)
    assert request_module.module.knows_stream_options(route, version) is knows


@pytest.mark.parametrize(
    ("args", "version"),
    [
        (None, None),
        ("", None),
        ("a=1", None),
        ("api-version=2024-10-21", "2024-10-21"),
        ("a=1&api-version=2024-10-21&b=2", "2024-10-21"),
        ("xapi-version=1", None),
        ("API-Version=1", "1"),
        ("api%2Dversion=1", "1"),
        ("api-version=", ""),
        ("api-version", None),
        ("a=api-version=1", None),
    ],
)
def test_the_api_version_of_a_query(request_module, args, version):
    assert request_module.module.api_version(args) == version


QUERIES = [
    None,
    "",
    "api-version=old",
    "api-version=old&a=1",
    "a=1&api-version=old",
    "a=1&api-version=old&b=2",
    "api-version=old&api-version=older",
    "api-version=old&a=1&api-version=older&b=%26",
    "api-version",
    "api-version&a=1",
    "api-version=&a=1",
    "API-VERSION=old",
    "Api-Version=old&a=1",
    "api%2Dversion=old",
    "%61pi-version=old&api-version=old",
    "a=api-version=x",
    "xapi-version=1&api-versionx=2",
    "a=1&&b=2",
    "&a=1",
    "a=1&",
]


@pytest.mark.parametrize("args", QUERIES)
def test_a_pinned_backend_sees_its_api_version_exactly_once(request_module, args):
    target = request_module.target(CHAT, args, api_version="2024-10-21")
    path, _, query = target.partition("?")
    assert path == CHAT
    pairs = parse_qsl(query, keep_blank_values=True)
    assert [v for k, v in pairs if k.lower() == "api-version"] == ["2024-10-21"]
    others = [p for p in parse_qsl(args or "", True) if p[0].lower() != "api-version"]
    assert [p for p in pairs if p[0].lower() != "api-version"] == others


@pytest.mark.parametrize("args", QUERIES)
def test_a_backend_without_a_version_sees_the_clients_query(request_module, args):
    expected = CHAT + ("?" + args if args else "")
    assert request_module.target(CHAT, args) == expected


def test_responses_without_a_deployment_in_the_path_have_an_api_version(request_module):
    given, pinned = "api-version=2025-03-01-preview", "2025-04-01-preview"
    assert request_module.target("/openai/responses", given) == f"/openai/responses?{given}"
    target = request_module.target("/openai/responses", given, api_version=pinned)
    assert target == f"/openai/responses?api-version={pinned}"


def test_no_api_version_is_added_on_v1(request_module):
    target = request_module.target("/v1/chat/completions", "a=1", api_version="2024-10-21")
    assert target == "/openai/v1/chat/completions?a=1"


def test_a_mapped_deployment_replaces_the_clients_name_in_the_path(request_module):
    target = request_module.target(CHAT, "a=1", map_path={"gpt-4o": "my%20gpt"})
    assert target == "/openai/deployments/my%20gpt/chat/completions?a=1"


def test_the_map_knows_the_decoded_name(request_module):
    path = "/openai/deployments/gpt%2D4o/embeddings"
    mapped = request_module.target(path, None, map_path={"gpt-4o": "x"})
    assert mapped == "/openai/deployments/x/embeddings"
    assert request_module.target(path, None) == path


@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [
        (None, True),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        (" application/json", True),
        ("application/merge-patch+json", True),
        ("", False),
        ("text/plain", False),
        ("multipart/form-data; boundary=application/json", False),
        ("application/x-www-form-urlencoded", False),
    ],
)
def test_what_counts_as_json(request_module, content_type, is_json):
    assert request_module.module.is_json(content_type) is is_json
