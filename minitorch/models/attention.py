"""What the attention of all these models shares: heads, who may see whom, and a memory of keys and values.

Who may see whom is given as keyword arguments of scaled_dot_product_attention.  A padding mask is (N, S): one, or true, at
positions that are there, zero where a shorter text was filled up.
"""
from .. import arange, bool, cat


def split_heads(x, heads):
    """(N, L, heads * E) -> (N, heads, L, E)."""
    N, L, _ = x.shape
    return x.reshape(N, L, heads, -1).transpose(1, 2)


def merge_heads(x):
    """(N, heads, L, E) -> (N, L, heads * E)."""
    return x.transpose(1, 2).flatten(2)


def check_padding(attention_mask, N, S):
    """ValueError unless the mask is (N, S)."""
    if attention_mask.shape != (N, S):
        raise ValueError(f"attention_mask must be (batch, positions): ({N}, {S}) here, not {tuple(attention_mask.shape)}")


def all_seen(x, attention_mask):
    """Every position of x (N, L, ...) sees every other that is not padding."""
    if attention_mask is None:
        return {}
    check_padding(attention_mask, *x.shape[:2])
    return {"attn_mask": attention_mask.to(bool)[:, None, None, :]}               # (N, 1, 1, S)


def past_seen(x, attention_mask, past=0):
    """Every position of x (N, L, ...), which `past` others precede, sees itself and those before it that are not padding."""
    N, L = x.shape[:2]
    S = past + L
    if attention_mask is None and not past:
        return {"is_causal": True}
    mask = arange(S, device=x.device) <= arange(past, S, device=x.device)[:, None]         # (L, S)
    if attention_mask is not None:
        check_padding(attention_mask, N, S)
        mask = mask & attention_mask.to(bool)[:, None, None, :]                   # (N, 1, L, S)
    return {"attn_mask": mask}


class Cache:
    """The keys and values of the positions that a model has read: with them, the next position costs one position's work."""

    def __init__(self):
        self.layers = []                             # of each layer: keys and values, (N, heads, S, E)

    def get_seq_length(self):
        """How many positions have been read."""
        return self.layers[0][0].shape[2] if self.layers else 0

    def update(self, key, value, layer):
        """Append the new positions' keys and values (N, heads, L, E) of layer number `layer`; returns those of all positions."""
        if layer == len(self.layers):
            self.layers.append((key, value))
        else:
            old_key, old_value = self.layers[layer]
            self.layers[layer] = cat((old_key, key), 2), cat((old_value, value), 2)        # (N, heads, S, E)
        return self.layers[layer]
