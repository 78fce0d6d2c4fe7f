"""Several runs of one schedule: found, worked on side by side, summed up, compared with another schedule's."""
