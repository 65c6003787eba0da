--- The provider `dynamic-azure-openai` of `ai-proxy-multi`.
--
-- APISIX loads this module when it checks a route that names the provider, so before traffic. The
-- work is in the folder of the same name; this file only installs it.

local driver = require("apisix.plugins.dynamic-azure-openai.driver")

driver.install(package.loaded["apisix.plugins.ai-proxy-multi"])

return { capabilities = {} }
