"""What every layer speaks: values, names of objects, errors, log, files that travel with the program.

Imports nothing of the engine. Everything above may import it.
"""
