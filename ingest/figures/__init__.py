"""What `/metrics` shows besides the receiver's own counters: the log, the disk, the other processes of the host."""
