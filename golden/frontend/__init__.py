"""From an ordinary ``nn.Module`` to fused float layers, and the modules that bound its activations."""
