"""The command line: one small package on top of all others."""
