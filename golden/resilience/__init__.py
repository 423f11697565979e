"""Resilience to bit errors in parameter memory: fault maps, fast exact evaluation, experiments, statistics.

``faults`` draws and applies maps, ``evaluator`` (with ``kernels`` and ``epilogue``) runs corrupted networks,
``study`` and ``granularity`` are the experiments; ``store``, ``statistics`` and ``report`` keep and show.
"""
