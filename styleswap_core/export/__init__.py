"""ONNX export of baked generators and small networks."""
