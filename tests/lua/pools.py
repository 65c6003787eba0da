"""Builds what `backends.pool` compiles, with as few words as a test wants to say."""

from typing import Any

from .host import LuaHost


def instance(name: str, **fields: Any) -> dict[str, Any]:
    """Give an instance of the plugin's configuration; unknown fields go to `provider_conf`."""
    own: dict[str, Any] = {
        key: fields.pop(key) for key in ("priority", "weight", "auth") if key in fields
    }
    endpoint = fields.pop("endpoint", f"https://{name}.openai.azure.com")
    return {
        "name": name,
        "provider": "dynamic-azure-openai",
        "priority": 0,
        "weight": 1,
        "override": {"endpoint": endpoint},
        "provider_conf": fields,
        **own,
    }


def plugin_conf(host: LuaHost, *instances: dict[str, Any], **fields: Any) -> Any:
    """Give the configuration of the plugin as a Lua table."""
    revision = fields.pop("revision", None)
    settings = {"algorithm": "roundrobin"} | ({"revision": revision} if revision else {})
    return host.table({"instances": list(instances), "azure_openai": settings, **fields})
