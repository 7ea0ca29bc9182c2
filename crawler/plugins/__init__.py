"""The built-in plugins, one idea a file, on the public hooks only."""
