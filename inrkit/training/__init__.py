"""One run: the loop, the learner, teachers, optimizers, the order of the data, resume."""
