"""The SQL of the sensors, one statement a file, loaded by name. No logic in Python here."""

from resources.sql import loader

statement = loader(__name__)
