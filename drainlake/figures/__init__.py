"""What `land` and `schedule` show of themselves: a file for the receiver's `/metrics`, and a port of their own."""
