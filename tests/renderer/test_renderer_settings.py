import os

import pytest
from renderer_support import ai_proxy, compiled, documents, environment

from renderer.compile import load_model
from renderer.settings import Settings, read_settings


def test_the_process_environment_is_not_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(os.environ, "GATEWAY_PORT", "1234")

    assert read_settings({})[0].gateway_port == 9080


def test_every_default_of_a_setting_is_what_its_own_text_means():
    """A default that is not text must be what its reader makes of it."""
    for name, field in Settings.model_fields.items():
        default = field.default
        if default is None:
            continue
        text = ",".join(default) if isinstance(default, tuple) else str(default)

        settings, problems = read_settings({name.upper(): text})

        assert problems == []
        assert getattr(settings, name) == default


def test_an_empty_value_counts_as_not_set():
    assert compiled(GATEWAY_PORT=" ", LB_ALG="").model.listeners.gateway_port == 9080


@pytest.mark.parametrize("text", ["no", "off", "0", "False"])
def test_authentication_is_switched_off_in_every_spelling(text: str):
    plugins = documents(GATEWAY_REQUIRE_AUTH=text)["apisix.yaml"]["routes"][0]["plugins"]

    assert "azure-openai-auth" not in plugins


def test_authentication_is_on_by_default():
    assert compiled().model.require_auth


def test_what_kubernetes_injects_is_left_alone():
    env = environment(
        GATEWAY_PORT="tcp://10.0.0.1:80",
        METRICS_PORT="tcp://10.0.0.1:81",
        GATEWAY_SERVICE_HOST="10.0.0.1",
        GATEWAY_SERVICE_PORT="80",
        GATEWAY_SERVICE_PORT_HTTP_1="80",
        GATEWAY_PORT_80_TCP="tcp://10.0.0.1:80",
        GATEWAY_PORT_80_TCP_ADDR="10.0.0.1",
        AZURE_OPENAI_PORT="tcp://10.0.0.2:80",
        GATEWAY_CLIENT_PORT_80_TCP_PROTO="tcp",
    )

    loaded = load_model(env)

    assert loaded.model.listeners.gateway_port == 9080
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    "name",
    [
        "AZURE_OPENAI_ENDPOINT",
        "AZURE_OPENAI_API_KEY",
        "AZURE_OPENAI_AD_TOKEN",
        "AZURE_OPENAI_DEPLOYMENT_NAME",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "OPENAI_API_VERSION",
    ],
)
def test_the_names_of_the_sdks_are_left_alone(name: str):
    assert compiled(**{name: "anything"}).warnings == ()


def test_a_slip_outside_of_our_prefixes_is_a_warning():
    warnings = compiled(MAX_REQUEST_BODY_MBS="5").warnings

    assert warnings == (
        (
            "MAX_REQUEST_BODY_MBS: is not a setting of the gateway; "
            "did you mean MAX_REQUEST_BODY_MB?"
        ),
    )


def test_seconds_become_milliseconds():
    driver = ai_proxy(AI_PROXY_CONNECT_TIMEOUT="0.5", AI_PROXY_READ_TIMEOUT="2")["azure_openai"]

    assert (driver["connect_timeout_ms"], driver["read_timeout_ms"]) == (500, 2000)


def test_a_read_timeout_above_the_engines_limit_is_capped_for_the_engine_only():
    conf = ai_proxy(AI_PROXY_READ_TIMEOUT="1800")

    assert conf["timeout"] == 600_000
    assert conf["azure_openai"]["read_timeout_ms"] == 1_800_000


def test_a_timeout_of_zero_is_a_day_and_never_zero():
    conf = ai_proxy(AI_PROXY_READ_TIMEOUT="0")

    assert conf["timeout"] == 600_000
    assert conf["azure_openai"]["read_timeout_ms"] == 86_400_000


def test_zero_lifts_the_limit_of_the_request_body():
    files = documents(MAX_REQUEST_BODY_MB="0")
    conf = files["apisix.yaml"]["routes"][0]["plugins"]["ai-proxy-multi"]

    assert files["config.yaml"]["nginx_config"]["http"]["client_max_body_size"] == "0"
    assert conf["max_req_body_size"] == 1 << 40


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("http_429", ["http_429"]),
        ("http_429, HTTP_5XX", ["http_429", "http_5xx"]),
        ("instance_health_and_rate_limiting", "instance_health_and_rate_limiting"),
    ],
)
def test_a_fallback_strategy_is_a_list_or_the_one_word_that_stands_alone(text, rendered):
    assert ai_proxy(AI_PROXY_FALLBACK_STRATEGY=text)["fallback_strategy"] == rendered


def test_chash_hands_over_what_it_hashes():
    driver = ai_proxy(LB_ALG="CHASH", LB_HASH_ON="vars_combinations", LB_HASH_KEY="$remote_addr")[
        "azure_openai"
    ]

    assert driver["algorithm"] == "chash"
    assert (driver["hash_on"], driver["hash_key"]) == ("vars_combinations", "literal:$remote_addr")
