--- The APISIX release that this host imitates.

return {
    VERSION = "3.18.0",
}
