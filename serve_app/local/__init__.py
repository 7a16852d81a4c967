"""What one machine needs to run all of OrthoRay: the servers that it brings along, and the command line's work.

Everything kept lies below one home folder, and the home belongs to whoever holds its locks: a second start with the same home is
refused, a start after a crash first ends what the crash left running.
"""
