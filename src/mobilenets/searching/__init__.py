"""The network that fits a device: latency measured on it, and searches that trade accuracy for it.

For a first reading, from the command down:

1. `config.py` is what is asked for, and `job.py` the order of the work.
2. `context.py` takes a trained run up again; `state.py` is what an interrupted search remembers.
3. `latency/` measures parts of networks, and predicts whole ones (`candidate.py`: a network and its input size) from
   them; `budget.py` decides whether there is anything to search for.
4. `methods.py` has the two ways to search. `netadapt/` narrows the run's network step by step; what narrowing is stands
   in `pruning/`. `evolution/` searches among networks of other blocks that share their weights in a supernet.
5. Both train their candidates briefly (`distill.py`) and score them (`evaluation.py`).
6. `final_finetune.py` trains what was found and writes its run folder; `summary.py` says what the search came to.
"""
