import pytest

from renderer.values import (
    decimal,
    duration_ms,
    parse_duration,
    parse_flag,
    parse_host_port,
    parse_listen_host,
    parse_path,
    whole,
)


@pytest.mark.parametrize("text", ["true", "1", "yes", "on", "TRUE", "On", " yes "])
def test_a_switch_is_on_in_every_spelling(text: str):
    assert parse_flag(text) is True


@pytest.mark.parametrize("text", ["false", "0", "no", "off", "OFF", "No"])
def test_a_switch_is_off_in_every_spelling(text: str):
    assert parse_flag(text) is False


@pytest.mark.parametrize("text", ["1_000", "0x10", "1e3", "\u0661", "", "1.0"])
def test_only_plain_digits_are_a_whole_number(text: str):
    with pytest.raises(ValueError, match="whole number"):
        whole(0, 10_000)(text)


def test_a_decimal_keeps_its_fraction():
    assert decimal(0, 10)("0.25") == 0.25


@pytest.mark.parametrize(
    ("text", "millis"), [("500ms", 500), ("10s", 10_000), ("1m30s", 90_000), ("2h", 7_200_000)]
)
def test_a_duration_is_kept_as_written_and_can_be_compared(text: str, millis: int):
    assert parse_duration(text) == text
    assert duration_ms(text) == millis


@pytest.mark.parametrize("text", ["", "10", "s", "-1s", "1d", "1.5s"])
def test_other_durations_are_refused(text: str):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [("::", "[::]"), ("[::1]", "[::1]"), ("localhost", "127.0.0.1"), ("0.0.0.0", "0.0.0.0")],
)
def test_an_address_to_listen_on_has_the_form_that_nginx_wants(text: str, address: str):
    assert parse_listen_host(text) == address


def test_a_host_with_port_may_be_ipv6():
    assert parse_host_port("[::1]:4318") == "[::1]:4318"


@pytest.mark.parametrize("text", ["relative", "/a;b", '/a"b', "/a\nb", "/${{X}}", "/a/?.lua"])
def test_a_path_that_means_something_else_is_refused(text: str):
    with pytest.raises(ValueError, match="absolute path"):
        parse_path(text)


@pytest.mark.parametrize("text", ["/srv/my gateway", "/home/zoë/x_(1)", "/a/b/"])
def test_an_ordinary_path_is_kept(text: str):
    assert parse_path(text) == text.rstrip("/")
