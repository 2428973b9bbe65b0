"""The catalogue: tasks that can run, their signatures, and the workers that run them."""
