--- What plugins get from `require("apisix.core")`: the part of APISIX's core that ours use.

return {
    version = require("apisix.core.version"),
    log = require("apisix.core.log"),
    json = require("apisix.core.json"),
    string = require("apisix.core.string"),
    table = require("apisix.core.table"),
    config = require("apisix.core.config_local"),
    schema = require("apisix.core.schema"),
    request = require("apisix.core.request"),
    response = require("apisix.core.response"),
    utils = require("apisix.core.utils"),
    ctx = require("apisix.core.ctx"),
}
