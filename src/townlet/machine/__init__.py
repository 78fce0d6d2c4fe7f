"""The conductor: reads the schedule, proves it sound, judges guards, keeps the journal and walks the machine."""
