"""ONNX files as networks: read, translated to ATen operators, evaluated by onnx's own reference."""
