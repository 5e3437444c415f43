"""Lets gin files ask: `run.task = @forecast()` makes a `Forecast`, and so for every task.

An entry point of the group `atmorep_k.tasks` imports this when a configuration is read.
"""

from atmorep_k import registry
from atmorep_k.tasks import QUESTIONS

for question in QUESTIONS:
    registry.borrow("task", question, question.name)
