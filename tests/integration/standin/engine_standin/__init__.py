"""Stand-ins for vLLM, Ray and SGLang: they check how they were called, and behave as the real ones were seen to.

They need nothing but Python's standard library and compute nothing: tokens come from a word list. What is real about
them: command lines (every flag of the real programs, exit code 2 for others), the cache (a start fails where files
are missing), ranks that meet over TCP, processes that can be killed, log lines of the real form on the real stream,
exit codes.

Chosen by environment variables, which a recipe's `env` can carry:

- STANDIN_MODE: `ok`; at start, exit code 1: `oom`, `kv`, `load`, `busy`; `hang` (silence after loading);
  `crash_after:SECONDS` (the engine dies in service); `first_token:SECONDS` (the first completion takes that long).
- STANDIN_LINES: `RATE:SECONDS:DELAY`, numbered lines on stdout beside all else.
- STANDIN_SLOW: factor on all waits (1 makes a start of about two seconds).
"""
