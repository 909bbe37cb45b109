"""Runs a TensorFlow Lite model with LiteRT: the oracle of litert.rs.

usage: litert_oracle.py MODEL < INPUTS > OUTPUTS
Inputs and outputs are raw bytes in the model's own types (int8 codes), one sample after the other.
The interpreter is the one users get: XNNPACK where it applies. LiteRT's own reference kernels round twice per layer and
differ from it by a step here and there.
"""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main():
    interpreter = Interpreter(model_path=sys.argv[1])
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    samples = np.frombuffer(sys.stdin.buffer.read(), source["dtype"]).reshape(-1, *source["shape"])
    for sample in samples:
        interpreter.set_tensor(source["index"], sample)
        interpreter.invoke()
        sys.stdout.buffer.write(interpreter.get_tensor(sink["index"]).tobytes())


main()
