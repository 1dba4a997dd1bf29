"""What an event is: its types, how bytes become one, and why they may not. Imports nothing of ours."""
