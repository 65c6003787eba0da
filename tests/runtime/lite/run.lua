--- Runs one file of specs in a process that ends: prints a line for each, exit 1 when one failed.
--
-- A spec file returns {{"sentence", function() ... assert(...) ... end}, ...}.

return function(path)
    local specs = assert(loadfile(path))()
    local failed = false
    for _, spec in ipairs(specs) do
        local ok, err = xpcall(spec[2], debug.traceback)
        failed = failed or not ok
        io.stderr:write(ok and "ok " or "FAILED ", spec[1], ok and "" or ": " .. err, "\n")
    end
    os.exit(failed and 1 or 0)
end
