"""Programs for many processes, run by one: the group of one process, to which every exchange is the identity."""

state = {"group": False}


def is_available():
    """True: a group of one process can be made."""
    return True


def is_initialized():
    """Whether init_process_group was called."""
    return state["group"]


def init_process_group(backend=None, init_method=None, timeout=None, world_size=-1, rank=-1, **kwargs):
    """Make the group of one process; NotImplementedError for more than one."""
    import os
    size = world_size if world_size > 0 else int(os.environ.get("WORLD_SIZE", 1))
    if size != 1:
        raise NotImplementedError(f"init_process_group: {size} processes were asked for: minitorch computes in one")
    state["group"] = True


def destroy_process_group(group=None):
    """Give the group up."""
    state["group"] = False


def required():
    if not state["group"]:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")


def get_rank(group=None):
    """0; ValueError without a group."""
    required()
    return 0


def get_world_size(group=None):
    """1; ValueError without a group."""
    required()
    return 1


def barrier(group=None, async_op=False, device_ids=None):
    """Wait for all processes: for none."""
    required()


def all_reduce(tensor, op=None, group=None, async_op=False):
    """The sum over one process: nothing changes."""
    required()


def broadcast(tensor, src=0, group=None, async_op=False):
    """The tensor of process 0, which this is."""
    required()
