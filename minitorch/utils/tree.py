"""Trees: tensors inside tuples, lists, named tuples and dicts, however nested."""


def leaves(tree):
    """Everything in `tree` that is no container, in order."""
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, (tuple, list)):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


def rebuild(tree, new):
    """A tree like `tree` with its leaves replaced, in order, by those of the iterator `new`."""
    if isinstance(tree, dict):
        return type(tree)((key, rebuild(value, new)) for key, value in tree.items())
    if isinstance(tree, (tuple, list)):
        values = [rebuild(value, new) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return next(new)


def tree_map(f, tree, *others):
    """f of each leaf of `tree`, beside the leaves of trees of the same structure, as a tree of that structure."""
    columns = [leaves(t) for t in (tree, *others)]
    if len(set(map(len, columns))) > 1:
        raise ValueError(f"the trees have different numbers of leaves: {', '.join(str(len(c)) for c in columns)}")
    return rebuild(tree, map(f, *columns))
