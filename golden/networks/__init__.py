"""Networks: their definitions, the stored weights and bounds, and how often they are right."""
