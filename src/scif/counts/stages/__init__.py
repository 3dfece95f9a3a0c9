"""The stages of the fit."""
