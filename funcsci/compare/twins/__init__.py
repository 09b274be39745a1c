"""The models of the course, each file one of them in both styles.

A program is written out as one would write it, for its lines are counted and what is counted is what runs: no
helper of this room takes work off either. It is the one place of the package where `torch.optim` and classes
of `torch.nn` are used.
"""
