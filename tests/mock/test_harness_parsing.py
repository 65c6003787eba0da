"""The harness's own parsers: responses in any pieces, Prometheus text, settings."""

import pytest

from e2e.harness import Backend, Client, refusing_port
from e2e.harness.environment import env_file, inherited, variables
from e2e.harness.framing import BodyReader, parse_head
from e2e.harness.metrics import parse
from e2e.harness.raw import RawConnection

CHUNKED = b"5\r\nhello\r\n1;x=y\r\n!\r\nA\r\n0123456789\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_chunks_are_taken_apart_however_they_arrive(size):
    reader = BodyReader(200, [("Transfer-Encoding", "chunked")])
    for start in range(0, len(CHUNKED), size):
        assert not reader.complete
        reader.feed(CHUNKED[start : start + size])
    assert (bytes(reader.body), reader.complete) == (b"hello!0123456789", True)


def test_chunks_without_the_last_one_are_not_complete():
    reader = BodyReader(200, [("Transfer-Encoding", "chunked")])
    reader.feed(CHUNKED[:-5])
    assert (bytes(reader.body), reader.complete) == (b"hello!0123456789", False)


def test_a_length_ends_the_body():
    reader = BodyReader(200, [("Content-Length", "4")])
    reader.feed(b"abc")
    assert not reader.complete
    reader.feed(b"defg")
    assert (bytes(reader.body), reader.complete) == (b"abcd", True)


def test_heads_are_read_past_interim_ones():
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nA: b: c\r\n\r\nrest"
    assert parse_head(data) == (404, "Not Found", [("A", "b: c")], b"rest")
    assert parse_head(data[:-10]) is None
    with pytest.raises(ValueError, match="not an HTTP response"):
        parse_head(b"SSH-2.0\r\n\r\n")


METRICS = """# HELP x y
# TYPE x counter
x{route="a",status="200"} 3
x{route="b",status="200"} 4 1700000000
y 1e3
z{text="a \\"b\\" {c}, \\\\ d\\ne"} +Inf
"""


def test_metrics_are_read_and_summed_by_labels():
    found = parse(METRICS)
    assert found.value("x") == found.value("x", status="200") == 7
    assert found.value("x", route="b") == 4
    assert found.value("missing") == 0
    assert found["y", frozenset()] == 1000
    assert found.select("z")[0][0] == {"text": 'a "b" {c}, \\ d\ne'}
    assert found.names() == {"x", "y", "z"}


def test_metrics_grow_from_nothing():
    grown = parse("x 5\ny 2").since(parse("x 3"))
    assert (grown.value("x"), grown.value("y")) == (2, 2)


@pytest.mark.parametrize("text", ["x{a=1", "x 1\nx 2", "x one"])
def test_metrics_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match=r"Prometheus|could not convert"):
        parse(text)


def test_backends_and_clients_become_variables():
    backends = [
        Backend(endpoint="http://a", name="a", key="k", deployments=("x", "y"), weight=0),
        Backend(endpoint="http://b", deployment_map={"m": "n"}, extra={"ALLOW_HTTP": "true"}),
    ]
    found = variables(backends, [Client("t", extra={"PIN": "b"})], {"LB_ALG": "chash"})
    assert found["AZURE_OPENAI_DEPLOYMENTS_0"] == "x,y"
    assert found["AZURE_OPENAI_WEIGHT_0"] == "0"
    assert found["AZURE_OPENAI_DEPLOYMENT_MAP_1"] == "m=n"
    assert found["AZURE_OPENAI_AUTH_MODE_1"] == "none"
    assert found["AZURE_OPENAI_ALLOW_HTTP_1"] == "true"
    assert found["GATEWAY_CLIENT_KEY_0"] == Client("t").secret
    assert (found["GATEWAY_CLIENT_PIN_0"], found["LB_ALG"]) == ("b", "chash")


def test_none_takes_a_setting_away():
    assert "GATEWAY_WORKERS" not in variables([], [], {"GATEWAY_WORKERS": None})


def test_an_env_file_cannot_hold_line_breaks():
    assert env_file({"B": "2", "A": "1"}) == 'A="1"\nB="2"\n'
    with pytest.raises(ValueError, match="A: a line break"):
        env_file({"A": "1\nB=2"})


def test_settings_of_the_surrounding_process_do_not_reach_the_gateway():
    outer = {"PATH": "/bin", "AZURE_OPENAI_KEY_0": "x", "GATEWAY_PORT": "1", "LB_ALG": "chash"}
    assert inherited(outer) == {"PATH": "/bin"}


def test_a_refusing_port_refuses():
    with refusing_port() as port, pytest.raises(ConnectionRefusedError):
        RawConnection(f"http://127.0.0.1:{port}")
