"""Counts as sparse minibatches, in memory and on disk."""
