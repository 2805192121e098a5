"""The errors and the stages."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["ERRORS", "STAGES", "Explanation", "Sent", "StageOf"]

# Whether the request was sent: to the server, at least in part.
Sent = Literal["no", "yes", "perhaps"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an error means: what happened on the wire, whether the request was sent, whether it is tried again, the "
    "cure.

    `again` is about what an idempotent request comes to by itself, within its `Retry` and its deadline.
    """

    wire: str
    sent: Sent
    again: bool
    cure: str
    why: str = ""  # of `sent` and `again`, where the words are not enough


@dataclass(frozen=True, slots=True)
class StageOf:
    """How far work came when it has a stage."""

    wire: str
    sent: Sent
    cure: str


ERRORS: dict[str, Explanation] = {
    "WorkerPoolError": Explanation(
        "Nothing by itself: it is the root of all errors of the pool. By its own name it is raised where something was "
        "asked at the wrong time: a pool that is open is configured, results are read that were closed.",
        "no",
        False,
        "Catch it where any error of the pool will do. By its own name: do what the message says, earlier or later.",
    ),
    "PoolClosed": Explanation(
        "Nothing more: the pool, or the session, was shut down before the call, or before the job had its answer.",
        "perhaps",
        False,
        "Submit before the `with` block ends; `pool.drain()` before `shutdown(timeout=...)`; or make a new pool.",
        "A call on a closed pool sends nothing. A job that was under way when `shutdown` stopped it may have been "
        "sent.",
    ),
    "WrongThread": Explanation(
        "Nothing: a blocking call was made on a worker's own thread, where it would wait for itself.",
        "no",
        False,
        "In an async function that the pool runs: `await pool.submit(url)`, or use the session that it was given.",
    ),
    "ForkedPool": Explanation(
        "Nothing: the pool was made before a fork, and its threads stayed with the parent.",
        "no",
        False,
        "`workerpool.get_pool()`, which makes one in each process, or `WorkerPool()` in the child.",
        "What the parent had submitted is still the parent's: there it has its outcome.",
    ),
    "QueueFull": Explanation(
        "Nothing: the lane's queue (`Lane.queue`) had no free place in time.",
        "no",
        False,
        "`fetch_many`, which pulls no more than can start; else a larger `Lane.queue`, a longer `Timeout.queue`, or "
        "less at "
        "once.",
    ),
    "WorkerLost": Explanation(
        "The connection was closed: the worker's loop ended under the job, or the job's function raised `SystemExit` "
        "or its "
        "like.",
        "perhaps",
        False,
        "Look at `error.__cause__`, which says by what. The worker is replaced; submit the job again if it bears that.",
        "A job that waited was not sent; one under way may have been.",
    ),
    "RequestError": Explanation(
        "What `error.stage` says: a request failed. By its own name only where a library below raised what it should "
        "not.",
        "perhaps",
        False,
        "Catch it once per request. By its own name: report it, with the class that its message names.",
    ),
    "InvalidRequest": Explanation(
        "Nothing: the request, a setting or a source of an upload cannot be sent as it was given.",
        "no",
        False,
        "The message names the argument and what it takes. Where an upload's source failed midway, `error.__cause__` "
        "is what "
        "it raised, and part of it was sent (stage `send`).",
        "But for an upload whose source fails when its first part is on its way.",
    ),
    "Forbidden": Explanation(
        "Nothing, or a robots.txt was asked for: the lane's own rules forbid the request. `error.rule` says which.",
        "no",
        False,
        "Of address rules: `AddressRules(allow=...)`, if that is meant. Of robots.txt: ask for what it allows.",
        "Where a redirect leads to what is forbidden, the request before it was sent.",
    ),
    "ConnectError": Explanation(
        "The connection was refused, the network was unreachable, or the connection ended within the TLS handshake. Or "
        "nothing: after ten failures in a row the host's circuit is open (stage `queued`).",
        "no",
        True,
        "Is the server up, the port right, a firewall between? An open circuit says in the message when it is tried "
        "again.",
    ),
    "DNSError": Explanation(
        "The host's name was looked up, and has no address.",
        "no",
        False,
        "Check the name; `getent hosts NAME` on this machine; its resolver.",
    ),
    "TLSError": Explanation(
        "A connection was made and the TLS handshake failed: the certificate was refused, has another name, is out "
        "of date, "
        "or the server refused this side's.",
        "no",
        False,
        "The message says which. `Lane(ssl=context)` with the authority or the client certificate that is needed; "
        "check the "
        "machine's clock. `ssl=False` checks nothing, and is for tests.",
    ),
    "ProxyError": Explanation(
        "The proxy could not be reached, refused, or gave no tunnel.",
        "no",
        False,
        "Check `Lane.proxy`, its user and password; with `trust_env` the environment's (`workerpool doctor` shows "
        "them).",
        "The server has seen nothing; the proxy may have.",
    ),
    "ConnectionLost": Explanation(
        "The request was sent, or part of it, and the connection ended before the answer was complete.",
        "perhaps",
        True,
        "A POST may have been carried out: ask the server before sending it again, or give it an idempotency key and "
        "`Retry(methods=...)`.",
    ),
    "TruncatedBody": Explanation(
        "Status and headers came, and the body ended before its announced end.",
        "yes",
        True,
        "Ask again, or in ranges. What came is not handed out as if it were whole; of a stream, you have it already.",
        "A stream, whose head was handed out, is not.",
    ),
    "DeadlineExceeded": Explanation(
        "What `error.stage` says, when the time ran out; the connection was closed.",
        "perhaps",
        False,
        "Stage `queued`: your own limits (`connections`, `rate`); raise these, or `Timeout.queue`. Else the server "
        "or the "
        "network: raise `timeout`.",
        "The deadline counts for all attempts.",
    ),
    "ConnectTimeout": Explanation(
        "No connection was made within `Timeout.connect` seconds, TLS included.",
        "no",
        True,
        "Raise `Timeout.connect`, or look at the network: a firewall that drops packets looks like this.",
    ),
    "ReadTimeout": Explanation(
        "The request was sent, and then the server sent nothing for `Timeout.read` seconds.",
        "yes",
        True,
        "Raise `Timeout.read`, or ask for less at once. A POST may have been carried out.",
        "A stream, whose head was handed out, is not.",
    ),
    "ProtocolError": Explanation(
        "An answer came that is not valid HTTP/1, or a redirect that leads to no http or https URL.",
        "yes",
        False,
        "Does something else than HTTP listen at this port (https asked by http)? Else it is the server's fault.",
    ),
    "DecodingError": Explanation(
        "The answer came, and its body is not what its Content-Encoding says, or unpacks without end.",
        "yes",
        False,
        'Send `headers={"Accept-Encoding": "identity"}`.',
    ),
    "JSONDecodeError": Explanation(
        "A whole answer came; its body is not JSON. Only `response.json()` raises it.",
        "yes",
        False,
        "Look at `response.status_code` and `response.text`: often it is an error page.",
    ),
    "TooManyRedirects": Explanation(
        "Each answer was a redirect to the next.",
        "yes",
        False,
        "`allow_redirects=False` shows the first; some servers want their cookie back: `pool.session()`.",
    ),
    "BodyTooLarge": Explanation(
        "The answer came, and its body, packed or unpacked, is larger than `max_body` bytes; the rest was not read.",
        "yes",
        False,
        "`pool.stream(...)`, whose memory is flat, or a larger `max_body`.",
    ),
    "HTTPStatusError": Explanation(
        "A whole answer came, with a status of 400 or more. Only `response.raise_for_status()` raises it.",
        "yes",
        False,
        "`error.response` has all of it. Statuses of `Retry.statuses`, such as 429 and 503, were tried again before.",
    ),
    "StateError": Explanation(
        "Nothing: a run's state file is locked, damaged, or of another version.",
        "no",
        False,
        "The message names the file and what it is. Another run may be using it: `workerpool why URL --state FILE` "
        "reads it.",
    ),
    "OtherRun": Explanation(
        "Nothing: the state file belongs to a run with other inputs, outputs or options.",
        "no",
        False,
        "Give the options of the first time, or another `--state`.",
    ),
    "SinkError": Explanation(
        "Nothing more: an output is not what the state says of it, or cannot hold what it is to hold.",
        "perhaps",
        False,
        "Restore the output as it was, or begin with a new state and a new output. What was not written is asked for "
        "again.",
    ),
    "InputError": Explanation(
        "Nothing: an input cannot be read as a whole.",
        "no",
        False,
        "The message names the input and the line. Single bad lines are reported and passed over.",
    ),
    "ClusterError": Explanation(
        "What its kinds say; by its own name the cluster cannot be worked with as it is.",
        "perhaps",
        False,
        "The message names the cure.",
        "Errors of requests are those of a pool on one machine; these are about the cluster.",
    ),
    "Unreachable": Explanation(
        "Nobody answered at the address of the scheduler, or at that of a worker.",
        "no",
        False,
        "Is the scheduler up, its address right, a firewall between? TLS has to be the same on both sides.",
    ),
    "VersionMismatch": Explanation(
        "A worker was asked what it has: another Python, another workerpool, or none.",
        "no",
        False,
        "Install the same on each machine; the message says what is where.",
    ),
    "NotPicklable": Explanation(
        "What was given, or what a function returned, cannot travel between processes.",
        "perhaps",
        False,
        "Give functions of a module's top, and plain data; return what is finished, such as text or a dict.",
        "Given, nothing was sent. Returned, the function has run.",
    ),
    "NotOnCluster": Explanation(
        "Nothing: what was asked for needs its sockets in the caller's own process.",
        "no",
        False,
        "A `WorkerPool` in this process for streams, sessions and WebSockets, or an async function that reads them "
        "on the worker.",
    ),
    "RemoteError": Explanation(
        "A function on a worker raised what may not be unpickled here; `error.kind` is its class, by its name.",
        "perhaps",
        False,
        "Catch it within the function, and return plain data.",
    ),
    "SchedulerLost": Explanation(
        "The scheduler went away, and with it what was under way.",
        "perhaps",
        False,
        "Start a cluster, make a new pool, and ask again for what was lost, if that bears it.",
    ),
    "StoreError": Explanation(
        "A cluster's store (a folder, or a URL of fsspec's) cannot be reached or refuses, or a body is not there any "
        "more as it was put there.",
        "yes",
        False,
        "The message names the place and what it said. Where the pool is opened: give a place that the client and "
        "every worker reach, and `Store(storage=...)` what it asks for. Where a body is read: fetch the page again.",
    ),
    "ClientError": Explanation(
        "What its kinds say: a call of a job service's `Client` failed. `error.status` is the answer's status, None "
        "where there was none.",
        "perhaps",
        False,
        "Catch it once per call; the message names the cure.",
    ),
    "BadArgument": Explanation(
        "What was given cannot be: it was not sent, or the service has refused it.",
        "perhaps",
        False,
        "The message names the argument; `error.errors` points to the fields.",
        "Nothing of it is stored.",
    ),
    "BadSubmission": Explanation(
        "The service has refused a job.",
        "yes",
        False,
        "`error.errors` points to the fields, and the lines, at fault.",
        "Nothing of it is stored.",
    ),
    "Unauthorized": Explanation(
        "The service answered 401: it wants a token, or does not know this one.",
        "yes",
        False,
        "`Client(url, token=...)`; `workerpool token list` shows what there is.",
    ),
    "NotAllowed": Explanation(
        "The service answered 403: the token's role does not allow it, address rules forbid a URL, or the service "
        "goes by another name.",
        "yes",
        False,
        "A token with another role; `workerpool serve --allow-address`; the name by which it is served.",
    ),
    "NotFound": Explanation(
        "The service answered that there is no such job, result, body or delivery.",
        "yes",
        False,
        "Is the id right? It may have expired.",
    ),
    "Conflict": Explanation(
        "The service answered that the state forbids it: a job that runs, one that is done, an id that exists.",
        "yes",
        False,
        "Look at the job; with `idempotency_key` the same submission may be sent again.",
    ),
    "ServiceUnavailable": Explanation(
        "The service could not be reached, or took nothing, and did not come back within the timeout.",
        "perhaps",
        True,
        "Start it, or wait for `error.retry_after` seconds; a longer timeout of the client.",
        "While the service is away the client tries again by itself, within its timeout, what may be sent twice.",
    ),
    "NotDone": Explanation(
        "The service answered, and what was waited for was not done in time.",
        "yes",
        False,
        "Wait again: the job goes on.",
    ),
    "UnexpectedAnswer": Explanation(
        "An answer came that is none of the job service's.",
        "yes",
        False,
        "Is another program at that URL, or a proxy between? Else the service has a fault.",
    ),
    "RequestFailed": Explanation(
        "A request of a job has no answer; only `unwrap()` raises it. `error.type` and `error.stage` tell which "
        "error it had.",
        "perhaps",
        False,
        "Explain that: `workerpool explain` takes `error.type`.",
        "The service has tried it as often as the job says.",
    ),
}

STAGES: dict[str, StageOf] = {
    "queued": StageOf(
        "Nothing yet: the work waits for a place (`connections`, `per_host`), a rate, or the host's circuit is open.",
        "no",
        "Your own limits: raise `connections` or `rate`; `Timeout.queue` bounds this wait.",
    ),
    "running": StageOf(
        "What the function does: an async function of yours was running.",
        "perhaps",
        "The function's own calls tell; `call(fn, timeout=...)` is its deadline.",
    ),
    "robots": StageOf(
        "The host's robots.txt is asked for.",
        "no",
        "The lane has `robots=True`: look at what the host answers at /robots.txt.",
    ),
    "dns": StageOf("The host's name is looked up.", "no", "The name, or this machine's resolver."),
    "connect": StageOf("A connection is being made.", "no", "The server, its port, a firewall; `Timeout.connect`."),
    "proxy": StageOf(
        "The proxy is asked for a tunnel.",
        "no",
        "The proxy, its user and password; what it allows.",
    ),
    "tls": StageOf("The TLS handshake goes on.", "no", "Certificates and protocol versions: `Lane(ssl=context)`."),
    "send": StageOf(
        "The request is being sent.",
        "perhaps",
        "A slow server, or a slow source of the upload.",
    ),
    "headers": StageOf(
        "The request was sent, and the head of the answer is waited for.",
        "yes",
        "The server thinks for longer than it was given time; a POST may have been carried out.",
    ),
    "body": StageOf(
        "Status and headers are there, and the body comes.",
        "yes",
        "A slow or cut download; `pool.stream` for large ones.",
    ),
    "decode": StageOf("The whole body is there and is being unpacked.", "yes", "`Accept-Encoding: identity`."),
    "retry": StageOf(
        "An attempt failed, and the next one is waited for.",
        "perhaps",
        "`error.attempts` tells how often the server was asked; see `Retry`.",
    ),
}
