"""What an event is: everything that is accepted, everything that is refused, and why."""
