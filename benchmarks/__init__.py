"""Compare the pool with bare aiohttp (the floor) and with its rivals, all against one local server.

    python -m benchmarks                  # everything that is installed
    python -m benchmarks --quick          # a first look
    python -m benchmarks --only aiohttp,pool-bulk,noop --rounds 7

How to read the table: each contestant runs in its own process, in turn, so that the machine's drift hits all
alike. `req/s`, `CPU µs` (per request, of the client's process, user and system) and `MiB` (peak memory of
that process) are medians. `rate`, `cpu` and `mem` are ratios to the floor of the same round, the median over
the rounds: a rate of 0.9 is 90 % of bare aiohttp's, a cpu of 1.1 costs 10 % more CPU per request.
`(low-high)` is the spread of `rate`: where those of two rows overlap, call it a draw. Quote ratios; single
absolute numbers belong to one machine and one minute.

What is timed: a warm client, after a first share of the requests; opening and closing it is not. Every
answer's status and length are checked, and a wrong one fails the run; certificates are verified by all. `resumed`
is the share of new connections that went on with an earlier TLS session. Slow rivals make fewer requests, never
fewer at once. The jobs that do nothing, the group `noop`, are compared with ThreadPoolExecutor's; their
`req/s` are jobs.
"""
