std = "ngx_lua"
max_line_length = 100
max_cyclomatic_complexity = 12
unused_args = true
exclude_files = {".venv", "node_modules"}
