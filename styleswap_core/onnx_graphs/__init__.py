"""ONNX graphs as torch modules through which gradients flow: recognizers and other programs' swapping networks."""
