import pytest
from renderer_support import BACKEND_KEY, CLIENT_KEY, compiled, documents, instance

from renderer.compile import load_model
from renderer.redact import Secret

SECOND = {
    "AZURE_OPENAI_ENDPOINT_2": "https://two.openai.azure.com",
    "AZURE_OPENAI_KEY_2": "another-key",
}


def test_a_gap_between_backends_is_a_warning_and_names_follow_the_index():
    loaded = compiled(**SECOND)

    assert [backend.name for backend in loaded.model.backends] == ["backend0", "backend2"]
    assert loaded.warnings == (
        "AZURE_OPENAI_ENDPOINT_1: is not set although a higher index is; the gap is skipped",
    )


def test_groups_may_start_at_one():
    env = {
        "AZURE_OPENAI_ENDPOINT_1": "https://one.openai.azure.com",
        "AZURE_OPENAI_KEY_1": BACKEND_KEY,
        "GATEWAY_CLIENT_NAME_1": "team-a",
        "GATEWAY_CLIENT_KEY_1": CLIENT_KEY,
    }

    assert load_model(env).warnings == ()


def test_indexes_with_leading_zeros_are_the_same_group():
    model = load_model(
        {
            "AZURE_OPENAI_ENDPOINT_00": "https://one.openai.azure.com",
            "AZURE_OPENAI_KEY_0": BACKEND_KEY,
            "GATEWAY_CLIENT_KEY": CLIENT_KEY,
        }
    ).model

    assert [backend.index for backend in model.backends] == [0]


def test_backends_are_in_the_order_of_their_number_not_of_their_text():
    many = {}
    for index in range(11):
        many[f"AZURE_OPENAI_ENDPOINT_{index}"] = f"https://b{index}.openai.azure.com"
        many[f"AZURE_OPENAI_KEY_{index}"] = "k"

    backends = compiled(**many).model.backends

    assert [backend.index for backend in backends] == list(range(11))


@pytest.mark.parametrize(
    ("text", "endpoint", "dropped"),
    [
        ("https://one.openai.azure.com/", "https://one.openai.azure.com", False),
        ("https://One.OpenAI.azure.com//", "https://one.openai.azure.com", False),
        ("https://one.openai.azure.com/openai/v1/", "https://one.openai.azure.com", True),
        ("https://one.openai.azure.com?api-version=1", "https://one.openai.azure.com", True),
        ("https://one:8443", "https://one:8443", False),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443", False),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000", False),
        ("http://[::1]:9000", "http://[::1]:9000", False),
        ("http://localhost:9000", "http://localhost:9000", False),
    ],
)
def test_only_scheme_host_and_port_of_an_endpoint_are_kept(text, endpoint, dropped):
    loaded = compiled(AZURE_OPENAI_ENDPOINT_0=text)

    assert loaded.model.backends[0].endpoint == endpoint
    assert bool(loaded.warnings) is dropped


def test_http_to_another_host_needs_a_switch():
    loaded = compiled(AZURE_OPENAI_ENDPOINT_0="http://mock:8000", ALLOW_HTTP="yes")

    assert loaded.model.backends[0].endpoint == "http://mock:8000"


def test_a_backend_without_authentication_sends_no_key():
    assert instance(AZURE_OPENAI_AUTH_MODE_0="none", AZURE_OPENAI_KEY_0=None)["auth"] == {}


def test_optional_fields_of_a_backend_are_absent_when_not_given():
    assert instance()["provider_conf"] == {"mode": "active"}


def test_all_fields_of_a_backend_reach_its_instance():
    found = instance(
        AZURE_OPENAI_NAME_0="eastus",
        AZURE_OPENAI_PRIORITY_0="10",
        AZURE_OPENAI_WEIGHT_0="3",
        AZURE_OPENAI_AUTH_MODE_0="API-Key",
        AZURE_OPENAI_REGION_0="eastus2",
        AZURE_OPENAI_CAPACITY_0="PTU",
        AZURE_OPENAI_DEPLOYMENTS_0="gpt-4o, gpt-5-mini,",
        AZURE_OPENAI_DEPLOYMENT_MAP_0="gpt-4o = my-gpt4o",
        AZURE_OPENAI_API_VERSION_0="2024-10-21",
        AZURE_OPENAI_MODE_0="standby",
    )

    assert found == {
        "name": "eastus",
        "provider": "dynamic-azure-openai",
        "priority": 10,
        "weight": 3,
        "auth": {"header": {"api-key": BACKEND_KEY}},
        "override": {"endpoint": "https://one.openai.azure.com"},
        "provider_conf": {
            "mode": "standby",
            "deployments": ["gpt-4o", "gpt-5-mini"],
            "deployment_map": {"gpt-4o": "my-gpt4o"},
            "api_version": "2024-10-21",
            "capacity": "ptu",
            "region": "eastus2",
        },
    }


def test_clients_are_rendered_as_digests_of_their_keys():
    second = "second-key-of-team-a"
    consumers = documents(GATEWAY_CLIENT_KEY_SECONDARY_0=second)["apisix.yaml"]["consumers"]

    digests = [Secret(CLIENT_KEY).sha256, Secret(second).sha256]
    assert consumers == [
        {"username": "team-a", "plugins": {"azure-openai-auth": {"key_sha256": digests}}}
    ]


def test_the_key_without_an_index_is_the_client_of_the_accelerator():
    consumers = documents(
        GATEWAY_CLIENT_NAME_0=None, GATEWAY_CLIENT_KEY_0=None, GATEWAY_CLIENT_KEY=CLIENT_KEY
    )["apisix.yaml"]["consumers"]

    assert [consumer["username"] for consumer in consumers] == ["gateway-client"]


def test_a_key_may_come_from_a_secret_store():
    class Store:
        def get(self, variable: str) -> str | None:
            return {"AZURE_OPENAI_KEY_0": "from-the-vault"}.get(variable)

    env = {
        "AZURE_OPENAI_ENDPOINT_0": "https://one.openai.azure.com",
        "GATEWAY_CLIENT_KEY": CLIENT_KEY,
    }

    assert load_model(env, Store()).model.backends[0].key == Secret("from-the-vault")


def test_a_drained_gateway_is_a_warning():
    assert "every backend drains" in compiled(AZURE_OPENAI_MODE_0="drain").warnings[0]


def test_a_mapped_name_that_is_not_served_is_a_warning():
    warnings = compiled(
        AZURE_OPENAI_DEPLOYMENTS_0="a", AZURE_OPENAI_DEPLOYMENT_MAP_0="b=c"
    ).warnings

    assert "never used" in warnings[0]
