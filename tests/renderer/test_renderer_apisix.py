import re

import pytest
from renderer_support import BACKEND_KEY, ai_proxy, compiled, documents

from renderer.pipeline import render

LEAKY = {"$request", "$args", "$query_string", "$request_uri", "$http_referer", "$is_args"}


def test_the_file_ends_with_the_mark_that_apisix_looks_for():
    assert render(compiled().model)["apisix.yaml"].endswith(b"\n#END\n")


def test_no_other_listener_than_ours_is_switched_on():
    config = documents()["config.yaml"]

    assert config["apisix"]["enable_admin"] is False
    assert config["apisix"]["enable_control"] is False
    assert config["apisix"]["ssl"] == {"enable": False, "listen": []}


def test_the_control_listener_is_on_loopback():
    snippet = documents(CONTROL_PORT="1234")["config.yaml"]["nginx_config"][
        "http_configuration_snippet"
    ]

    assert "listen 127.0.0.1:1234;" in snippet


def test_no_log_format_carries_a_query_or_a_credential():
    files = documents(GATEWAY_LOG_MODE="dev")
    access = files["config.yaml"]["nginx_config"]["http"]["access_log_format"]
    fields = files["apisix.yaml"]["plugin_metadata"][0]["log_format"].values()

    for text in (access, *fields):
        names = {*re.findall(r"\$[A-Za-z0-9_-]+", text)}
        assert not names & LEAKY
        assert "authorization" not in text
        assert "key" not in text


def test_the_request_log_is_written_in_test_and_dev_only():
    written = {
        mode: "file-logger"
        in documents(GATEWAY_LOG_MODE=mode)["apisix.yaml"]["routes"][0]["plugins"]
        for mode in ("prod", "test", "dev")
    }

    assert written == {"prod": False, "test": True, "dev": True}


@pytest.mark.parametrize(
    "changes",
    [
        {"AZURE_OPENAI_KEY_0": f"{BACKEND_KEY}x"},
        {"AZURE_OPENAI_WEIGHT_0": "2"},
        {"STREAM_HOLD_MS": "251"},
        {"AI_PROXY_LOG_SUMMARIES": "off"},
    ],
)
def test_the_revision_follows_every_part_of_the_configuration(changes: dict[str, str]):
    assert ai_proxy(**changes)["azure_openai"]["revision"] != ai_proxy()["azure_openai"]["revision"]


def test_the_revision_does_not_follow_what_is_elsewhere():
    changed = ai_proxy(GATEWAY_PORT="1234", GATEWAY_CLIENT_NAME_0="team-b")

    assert changed["azure_openai"]["revision"] == ai_proxy()["azure_openai"]["revision"]
