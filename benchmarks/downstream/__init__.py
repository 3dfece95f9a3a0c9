"""Denoisers judged by what biologists do next, each task with the truth that it is judged by."""
