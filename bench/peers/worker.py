"""How a peer is measured: a process that gets ready once and then measures whenever it is asked to.

Run by hand, a script measures once. With --serve it prints {"ready": true} and then, for every line on standard input,
one line with a measurement, so that bench/compare.mjs can let several programs take turns without starting them anew.
"""

import json
import resource
import sys
import time

GEMM_SIZE = 2048


def seconds_of(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def peak_rss_bytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def add_worker_arguments(parser):
    parser.add_argument("--threads", type=int, default=None, help="all that the process may use, by default")
    parser.add_argument("--serve", action="store_true", help="measure once for each line on standard input")


def answer(measure, serve):
    """measure() → dict of numbers; printed as one JSON line each time."""
    if not serve:
        print(json.dumps(measure()), flush=True)
        return
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure()), flush=True)


def gemm_gflops(dtype, rounds=5):
    """10⁹ operations a second of PyTorch's own product of two [2048, 2048] matrices."""
    import torch

    a, b = (torch.randn(GEMM_SIZE, GEMM_SIZE).to(dtype) for _ in range(2))
    a @ b
    return 2 * GEMM_SIZE**3 / min(seconds_of(lambda: a @ b) for _ in range(rounds)) / 1e9
