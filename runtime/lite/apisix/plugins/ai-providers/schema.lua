--- Names of the providers that an instance may have; a provider of ours adds itself.

return {
    providers = {},
}
