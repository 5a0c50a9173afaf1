"""The program under fire: killed, damaged, filled up, lied to and interrupted, thousands of times.

`python -m soak` runs all of it, or a part; `docs/reliability.md` says what is promised and what the last run found.
Each stage is one way of doing harm, and a case of it is a number: the same number does the same harm again.
"""
