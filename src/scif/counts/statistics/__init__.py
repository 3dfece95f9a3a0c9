"""Textbook statistics that know no model."""
