"""What a batch does to refs, there and here: plan, write down, pin, push or move, remember, settle.

How sources become one tree is in integrate; when an action's turn comes is in flush.
"""
