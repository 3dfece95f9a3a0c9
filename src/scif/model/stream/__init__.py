"""Denoised layers written to files in bounded memory, so that nothing finished is lost."""
