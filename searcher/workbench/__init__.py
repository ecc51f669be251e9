"""What analysts work on and decide: cases, judgements, and their evidence, in a relational database of their own."""
