"""Count denoisers compared on held-out molecules, on simulated truth, and in seconds and bytes."""
