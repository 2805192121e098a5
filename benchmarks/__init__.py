"""Compare the pool with bare aiohttp (the floor) and with its rivals, all against one local server.

    python -m benchmarks                  # everything that is installed
    python -m benchmarks --quick          # a first look
    python -m benchmarks --only aiohttp,pool-bulk --rounds 7

How to read the table: each contestant runs in its own process, in turn, so that the machine's drift hits all
alike. `rate` and `cpu` are ratios to the floor of the same round, the median over the rounds: a rate of 0.9 is 90 %
of bare aiohttp's, a cpu of 1.1 costs 10 % more CPU per request. Quote ratios; single absolute numbers
belong to one machine and one minute. The jobs that do nothing are compared with ThreadPoolExecutor's.
"""
