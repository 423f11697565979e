"""The groups of commands in the help, in their order."""

from __future__ import annotations

SIMULATE = "Simulate"
CAMPAIGNS = "Campaigns"
BIT_ERRORS = "Bit errors in memory"
COST = "Cost of protection"
OWN = "Networks of your own"
MACHINE = "Machine"
NETWORKS = "Networks and training"
BENCHMARKS = "Benchmarks"
RESULTS = "Published results"
INSTALLATION = "Installation"

PANELS = (SIMULATE, OWN, CAMPAIGNS, BIT_ERRORS, COST, MACHINE, NETWORKS, BENCHMARKS, RESULTS, INSTALLATION)
