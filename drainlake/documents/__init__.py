"""Pages made from the program itself; ``python -m drainlake.documents`` renews them in the working folder.

What can be generated is: the README's tables, and a page for each question with an answer of the simulated day. Tests
compare, so that no page can drift from what the program does.
"""
