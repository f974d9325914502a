"""Classes and functions that files may name although they are not tensors or plain data: a list that the program keeps."""

trusted: dict = {}                         # "module.name" -> the class or function


def add_safe_globals(safe_globals):
    """Let files name these classes and functions, or pairs (one of them, its "module.name" in the file), and call them."""
    trusted.update(named(safe_globals))


def get_safe_globals():
    """The classes and functions that were added."""
    return list(trusted.values())


def clear_safe_globals():
    """Trust none of them any more."""
    trusted.clear()


class safe_globals:
    """Context in which files may name these classes and functions: `with safe_globals([Config]): load(path)`."""

    def __init__(self, safe_globals):
        self.names = named(safe_globals)

    def __enter__(self):
        self.before = {name: trusted[name] for name in self.names if name in trusted}
        trusted.update(self.names)

    def __exit__(self, *error):
        for name in self.names:
            trusted.pop(name, None)
        trusted.update(self.before)


def named(things):
    """{their name in a file: class or function}."""
    found = {}
    for thing in things:
        if isinstance(thing, tuple):
            if len(thing) != 2:
                raise ValueError(f"Expected tuple of length 2 (global, str of callable full path), but got tuple of length: {len(thing)}")
            thing, name = thing
            if type(name) is not str:
                raise TypeError(f"Expected second item in tuple to be str of callable full path, but got: {type(name)}")
        else:
            name = f"{thing.__module__}.{thing.__qualname__}"
        found[name] = thing
    return found
