"""Expressions as programs write them, evaluated with `torch` meaning either library: same dtypes, shapes and values, or both refuse."""
import numpy as np
import pytest

import minitorch

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")    # PyTorch's own

# In each: x holds 0. to 5. as (2, 3), b is x > 2, i is x in int64, z has the shape (0, 3).
REDUCTIONS = """
x.sum(0,1); x.sum(0,True); x.sum(()); x.sum([]); x.sum(1.0); x.mean(()); i.mean(); i.mean(dtype=torch.float64); b.sum(); b.mean();
x.sum(dtype=torch.int32); x.all(()); x.all(dim=()); b.any(dim=(0,1)); b.to(torch.uint8).all(); x.prod(()); x.prod(1,True); x.amax(());
x.amax(); i.amax(0); b.amax(0); x.argmax(keepdim=True); b.argmax(); x.max(0,True); x.max(keepdim=True); b.max(); b.max(0); x.aminmax();
x.aminmax(dim=0,keepdim=True); x.var(0,False); x.var(False); x.var(dim=0,correction=2); x.var(correction=10); x.std((0,1),keepdim=True);
x.var(()); torch.var_mean(x,0); torch.std_mean(x,unbiased=False); x.logsumexp(); b.logsumexp(0);
torch.logsumexp(torch.full((3,),-inf),0); x.count_nonzero((0,1)); x.count_nonzero(()); torch.nansum(i); torch.nanmean(i); x.cumsum();
x.cumsum((0,)); b.cumsum(0); i.int().cumsum(1); x.cummax(5); i.logcumsumexp(1); torch.diff(b); torch.diff(x,prepend=torch.zeros(2,1));
b.median(); i.median(1); x.mode(); i.norm(); x.norm(p=3,dim=0); x.norm('nuc'); x.norm('fro',dim=(0,1)); x.norm(p='fro',dim=1);
x.norm(inf); x.norm(0); x.norm(2,(0,1)); x.norm('nuc',dim=(0,1)); torch.linalg.norm(x,2);
torch.linalg.vector_norm(x,1.5,dim=(0,1),keepdim=True); torch.linalg.vector_norm(z); torch.linalg.vector_norm(z,inf,dim=1);
torch.linalg.vector_norm(x,dim=()); torch.linalg.vector_norm(x,dtype=torch.float64); torch.dist(x,x*2,1); x.sum(axis=1); x.argmin(1);
x.amin((0,1)); x.nansum(dim=0); torch.var(x,dim=1,correction=0); torch.std(x,1,True,True); x.max(1,keepdim=True).indices; x.max(1)[0];
x.min(0).values; torch.max(x,dim=1).values; torch.max(input=x,dim=1).values; torch.maximum(x,x*0+2); x.cumsum(-1).cumprod(0);
x.diff(dim=0); x.norm(dim=1,keepdim=True); x.norm(p=1); torch.norm(x,2,1); torch.norm(x,p='fro'); torch.norm(x,p=float('inf'),dim=0);
torch.logsumexp(x,(0,1)); x.logsumexp(dim=1,keepdim=True); torch.linalg.vector_norm(x,ord=1,dim=1); torch.linalg.norm(x,dim=1);
torch.linalg.norm(x,ord=2,dim=(0,1)); torch.count_nonzero(x,dim=1); torch.all(b); torch.any(b,dim=1,keepdim=True); torch.all(b,1);
x.cumsum_(0); x.cumprod_(1); x.median(-1); x.nanmedian(0,True); torch.tensor([[1,1,2],[3,3,3]]).mode(1);
torch.tensor([1.,float('nan'),2.,float('nan')]).median(0); torch.tensor([1.,float('nan'),2.,float('nan')]).median();
torch.tensor([1.,float('nan'),2.]).max(0); torch.tensor([1.,float('nan'),2.]).amin(); torch.tensor([1.,float('nan'),2.]).argmax();
torch.tensor([float('nan'),1.,3.]).nanmedian(); torch.tensor([float('nan')]).nanmedian(); torch.tensor([1.,float('nan'),2.]).nanmean();
torch.tensor([1.,float('nan'),2.]).cummax(0); torch.tensor([1,2,3],dtype=torch.uint8).sum();
torch.tensor([200,100],dtype=torch.uint8).cumsum(0); torch.tensor([200,100],dtype=torch.uint8).prod();
torch.tensor([200,100],dtype=torch.uint8).max(); torch.tensor(5).sum(); x.sum(dim=None); x.sum(None); x.sum(None,True);
x.mean(None,keepdim=True); x.var(None); x.sum(dim=[0,1],keepdim=True,dtype=torch.float64); x.prod(dtype=torch.float64); x.any();
x.all(0); i.all(1); x.max(x[0]); x.min(x.new_tensor(2.)); torch.max(x,x[:1]); x.sum_to_size((1,3)); x.sum_to_size(2,1)
"""
SHAPES = """
x.t().view(6); x.view(torch.float64); x.reshape(); x.view(); x[None].squeeze((0,1)).shape; x[0].t().shape; x[0].mT; x[None].T.shape;
x[0].H; x[None].mH.shape; x[None].movedim((0,1),(2,0)).shape; x.expand(-2,3); x.narrow(1,torch.tensor(1),1); x.unfold(1,4,1);
x.unfold(1,2,0); x.unfold(1,0,1).shape; x.diagonal(5); x.as_strided((2,2),(1,2),1); x[1:].as_strided((2,),(1,)); x.size(5); x.size(-1);
x.stride(0); x.size(dim=1); torch.atleast_1d((x,x)); torch.broadcast_shapes((2,1),3); x.view(size=(3,2)); x.reshape(shape=(3,2));
x.permute(dims=(1,0)); torch.permute(x,(1,0)); torch.reshape(x,(-1,)); torch.flatten(x,start_dim=0); torch.squeeze(x[None],0);
torch.unsqueeze(x,dim=-1); torch.transpose(x,0,1); x.expand(size=(2,2,3)); torch.narrow(x,1,0,2); torch.movedim(x,0,1); torch.t(x);
torch.broadcast_tensors(x,x[0]); torch.diagonal(x,offset=1); torch.swapaxes(x,0,1); torch.numel(x); torch.is_floating_point(x);
x.ndimension(); x.nelement(); x.dim(); x.H; x.adjoint(); x.size(); x.type_as(i); x.T.is_contiguous(); x.unflatten(dim=1,sizes=(3,1));
torch.unflatten(x,1,(3,1)); x.t_(); x.transpose_(0,1); x.squeeze_(); x.unsqueeze_(0); x.swapaxes_(0,1); x.squeeze(dim=(0,));
torch.atleast_2d(x[0],x); torch.broadcast_to(x[0],size=(4,3)); x.stride(-1); x.T.stride(); x.expand(2,2,3).stride();
x.unfold(1,2,1).stride(); x.diagonal().stride(); x[1:].storage_offset(); x.narrow(1,1,1).storage_offset(); x.itemsize; x.nbytes;
x.element_size(); x.view(torch.uint8).shape; x.mT; i.T; b.t(); torch.diag_embed(x,dim1=0,dim2=2); torch.diagflat(x[0],1)
"""
ARRANGED = """
torch.cat(x); torch.cat([x,1]); torch.cat(tensors=[x],dim=0); torch.cat([torch.zeros(0),x.int()]); torch.stack(x); x.split(-1);
x.tensor_split(torch.tensor([1]),1); x.tensor_split(torch.tensor(2),1); x.repeat(); x.tile(); x.repeat(0,1);
x.repeat_interleave(torch.tensor([2]),0); x.repeat_interleave(torch.tensor([1.,2]),0); x.repeat_interleave([1,2],0);
torch.repeat_interleave(torch.tensor([1,2])); x.roll((1,1)); x.flip(); x.flip([]); torch.nn.functional.pad(x,(1,1),mode='reflect');
torch.nn.functional.pad(x[0],(1,1),mode='reflect'); torch.nn.functional.pad(i,(1,1),value=1.5);
torch.nn.functional.pad(b,(1,1),value=True); torch.nn.functional.pad(x[None],(-1,1),mode='reflect'); torch.block_diag();
torch.meshgrid(x); torch.meshgrid(x[0],i[0]); x.flip(dims=(0,)); x.repeat(repeats=(1,2)); x.tile(dims=(1,2)); torch.chunk(x,2,dim=1);
torch.split(x,[1,2],dim=1); torch.split(tensor=x,split_size_or_sections=2); torch.unbind(x,dim=1); torch.concat((x,x));
torch.concatenate([x,x],dim=1); torch.row_stack((x[0],x[1])); torch.meshgrid(x[0],x[1],indexing='ij'); x.tril_();
torch.cat([torch.zeros(2,0),x],1); torch.stack([torch.zeros(2,0)]*2); torch.nn.functional.pad(torch.zeros(2,0),(1,1));
torch.kron(torch.zeros(2,0),x); torch.cat([b,i]); x.tensor_split((0,2),1); x.hsplit([1]); torch.hsplit(x,3); torch.vsplit(x,2);
torch.dsplit(x[None],3); torch.column_stack((x,x[:,0])); torch.fliplr(x); torch.rot90(x,-1); torch.rot90(x,1,[1,0]);
torch.roll(x,(1,-1),(0,1)); torch.roll(x,5,0); torch.roll(x,-1); torch.repeat_interleave(x,2,dim=1);
torch.repeat_interleave(x,torch.tensor([1,2]),dim=0,output_size=3); torch.tril(x,diagonal=1); torch.cartesian_prod(x[0],x[1],i[0]);
torch.block_diag(x,b)
"""
EMPTY = """
z.amax(); z.amax(1); z.max(1); torch.tensor(3.).var(); z.var(); z.logsumexp(0); z.median(); z.median(1); torch.tensor(3.).size(0);
torch.tensor(3.).transpose(0,-1); torch.tensor(3.).unfold(0,1,1); torch.tensor(5.).max(0); torch.tensor(5.).cummax(0);
torch.tensor(5.).median(0); torch.tensor(5.).argmax(0); torch.tensor(5.).var(0); torch.tensor(5.).norm(); torch.tensor(5.).logsumexp(0);
torch.tensor(5.).cumsum(0); torch.tensor(5.).unsqueeze(0); torch.tensor(5.).expand(2); torch.tensor(5.).flip(());
torch.tensor(5.).roll(0); torch.tensor(5.).reshape(1,1); torch.tensor(5.).repeat(2); torch.tensor(5.).movedim(0,0); torch.tensor(5.).t();
torch.tensor(5.).T; torch.tensor(5.).squeeze(); torch.tensor(5.).flatten(); torch.tensor(5.).permute(()); torch.tensor(5.).diag();
torch.tensor(5.).tril(); torch.tensor(5.).chunk(2); torch.tensor(5.).diff(); torch.tensor(5.).prod(0); torch.tensor(5.).all();
torch.tensor(5.).mode(); torch.zeros(0).sum(); torch.zeros(0).prod(); torch.zeros(0).mean(); torch.zeros(0).norm();
torch.zeros(0).cumsum(0); torch.zeros(0).logcumsumexp(0); torch.zeros(0).flip(0); torch.zeros(0).roll(1); torch.zeros(2,0).sum(1);
torch.zeros(2,0).max(0); torch.zeros(2,0).argmax(0); torch.zeros(2,0).amax(0); torch.zeros(2,0).median(0); torch.zeros(2,0).all();
torch.zeros(2,0).any(1); torch.zeros(2,0).var(0); torch.zeros(2,0).var(1); torch.zeros(2,0).mean(1); torch.zeros(2,0).logsumexp(1);
torch.zeros(2,0).logsumexp(0); torch.zeros(2,0).reshape(0,5); torch.zeros(2,0).unfold(0,1,1); torch.zeros(2,0).split(1);
torch.zeros(2,0).unbind(1); torch.zeros(2,0).cummax(1); torch.zeros(2,0).diagonal(); torch.zeros(2,0).repeat(2,2);
torch.zeros(2,0).repeat_interleave(2); torch.zeros(2,0).tril()
"""
HALVES = """
x.half().sum(); x.bfloat16().mean(0); x.half().var(); x.half().norm(); x.half().cumsum(0); x.half().max(1); x.bfloat16().argmax(1);
x.bfloat16().median(); x.half().logsumexp(1); x.bfloat16().flip(0); torch.cat([x.half(),x.bfloat16()]); torch.cat([x.half(),i]);
torch.stack([b,x.half()[0]>1][:1])
"""
EXPRESSIONS = [e.strip() for text in (REDUCTIONS, SHAPES, ARRANGED, EMPTY, HALVES) for e in text.split(";")]


def evaluated(expression, library):
    """(kind of the result, what it holds), or the error."""
    x = library.arange(6.0).reshape(2, 3).clone()
    try:
        y = eval(expression, {"torch": library, "inf": float("inf"), "x": x, "b": x > 2, "i": x.long(), "z": library.zeros(0, 3)})
    except Exception as error:
        return error
    return type(y).__name__, flat(y)


def flat(y):
    """What a result holds, as numbers that both libraries share."""
    if hasattr(y, "numel") and hasattr(y, "tolist"):
        return [(tuple(y.shape), str(y.dtype).split(".")[-1], np.array(y.double().tolist() if y.is_floating_point() else y.tolist()))]
    return [v for item in y for v in flat(item)] if isinstance(y, (tuple, list)) else [y]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_same_in_both_libraries(expression):
    ours, theirs = evaluated(expression, minitorch), evaluated(expression, torch)
    if isinstance(theirs, Exception):
        assert isinstance(ours, type(theirs)) or isinstance(theirs, type(ours)), f"PyTorch raises {theirs!r}, ours {ours!r}"
        return
    assert not isinstance(ours, Exception), f"PyTorch computes, ours raises {ours!r}"
    assert len(ours[1]) == len(theirs[1])
    for a, b in zip(ours[1], theirs[1]):
        if not isinstance(b, tuple):
            assert a == b
            continue
        assert a[:2] == b[:2]
        np.testing.assert_allclose(a[2], b[2], rtol=2e-2 if "float16" in b[1] else 3e-5)
