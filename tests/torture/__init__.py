"""Agents that work while everything of ours is killed at random: `python -m tests.torture --seed 1 --kills 1000`."""
