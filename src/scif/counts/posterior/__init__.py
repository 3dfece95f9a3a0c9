"""Functions of counts and fitted parameters."""
