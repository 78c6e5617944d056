"""The library's growth rules, driven by PyTorch.

A witness: resizing, training and measuring are written apart from the library,
only decisions and costs come from it. It needs no TensorFlow.
"""
