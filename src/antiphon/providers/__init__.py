"""Vendors of models: one contract, codecs without I/O, one file per vendor."""
