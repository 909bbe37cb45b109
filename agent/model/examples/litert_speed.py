"""How long LiteRT's interpreter takes for a network: what host_speed.rs is compared with.

usage: litert_speed.py MODEL SAMPLES THREADS
Two interpreters share the samples, as two of our threads do; the fastest of three runs counts.
"""

import sys
import threading
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def run(interpreter, count, sample):
    index = interpreter.get_input_details()[0]["index"]
    for _ in range(count):
        interpreter.set_tensor(index, sample)
        interpreter.invoke()


def measure(model, samples, threads, resolver):
    interpreters = [
        Interpreter(model_path=model, num_threads=1, experimental_op_resolver_type=resolver) for _ in range(threads)
    ]
    for interpreter in interpreters:
        interpreter.allocate_tensors()
    details = interpreters[0].get_input_details()[0]
    sample = np.random.default_rng(1).integers(-128, 128, details["shape"]).astype(details["dtype"])
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        workers = [
            threading.Thread(target=run, args=(interpreter, samples // threads, sample)) for interpreter in interpreters
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = min(best, time.perf_counter() - start)
    return best


def main():
    model, samples, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    kinds = [
        ("its default (XNNPACK)", OpResolverType.AUTO, samples),
        ("its reference kernels", OpResolverType.BUILTIN_REF, samples // 20),
    ]
    for name, resolver, count in kinds:
        seconds = measure(model, count, threads, resolver) * samples / count
        print(f"  LiteRT int8, {name}: {seconds * 1e3:.0f} ms")


main()
