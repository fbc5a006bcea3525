"""The main job as a story on the terminal: a plan that two workers carry out, one of which does not survive."""
