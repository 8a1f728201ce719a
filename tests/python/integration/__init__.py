"""Real builds of the project on small inputs, each in a folder of its own."""
