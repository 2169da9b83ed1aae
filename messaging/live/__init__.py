"""The log -> the browsers: one reader a process, frames encoded once, shared by everybody who asks for the same."""
