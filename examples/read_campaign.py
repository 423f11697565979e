"""Read every injection of a campaign from its Parquet file: where silent data corruption comes from.

    python examples/read_campaign.py [FILE.parquet] [--plot CHART.png]

Columns: docs/reference/formats.md. pandas and DuckDB read the same file in a line.
"""

import argparse
from collections import Counter
from pathlib import Path

from pyarrow import parquet

PUBLISHED = "docs/results/data/campaign_alexnet_16x16_q15_16_1x1.parquet"
options = argparse.ArgumentParser(description="Where silent data corruption comes from.")
options.add_argument("file", nargs="?", default=Path(__file__).parents[1] / PUBLISHED)
options.add_argument("--plot", help="also draw a chart into this file")
given = options.parse_args()

table = parquet.read_table(given.file, columns=["scheme", "structure", "outcome"])
upsets, corruptions = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
for row in table.to_pylist():
    key = row["structure"], row["scheme"]
    upsets[key] += 1
    corruptions[key] += row["outcome"] == "sdc"

schemes = sorted({scheme for _, scheme in upsets})
structures = sorted({structure for structure, _ in upsets}, key=lambda s: -max(corruptions[s, x] for x in schemes))
print(f"{table.num_rows:,} injections; upsets that end as SDC, % of those in the structure")
print(f"{'':20}" + "".join(f"{scheme:>13}" for scheme in schemes))
for structure in structures:
    shares = [100 * corruptions[structure, scheme] / upsets[structure, scheme] for scheme in schemes]
    if any(shares):
        print(f"{structure:20}" + "".join(f"{share:13.2f}" for share in shares))

if given.plot:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axis = figure.subplots()
    hit = [structure for structure in structures if any(corruptions[structure, scheme] for scheme in schemes)]
    for place, scheme in enumerate(schemes):
        shares = [100 * corruptions[structure, scheme] / upsets[structure, scheme] for structure in hit]
        axis.plot(shares, range(len(hit)), "os^Dv"[place % 5], label=scheme)
    axis.set_yticks(range(len(hit)), hit)
    axis.invert_yaxis()
    axis.set_xlabel("upsets that end as SDC, %")
    axis.legend()
    figure.savefig(given.plot)
    print(f"chart: {given.plot}")
