"""The count method on arrays."""
