"""What was broadcast while a client was away: a bounded log for each topic that wants one."""
