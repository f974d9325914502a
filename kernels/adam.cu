// One step of Adam or AdamW for any number of tensors, in one launch.
//
//   version    idea
//   adam       tables of addresses; the tensors are cut into chunks, and a block takes one: it finds its tensor in a list of
//              chunks, and moves four numbers at a time where the tensor's arrays allow it.  All is read once and written once
#include "kernel.cuh"

#ifndef moment
#define moment float             // the type in which the running means are stored
#endif

// The numbers of a step that all tensors share.
struct Step { float size, inverse_root, beta1, beta2, rest1, rest2, eps, decay, keep, sign; };

// g, m, v and the parameter x of N neighbouring numbers; with amsgrad, the largest v so far takes the place of v in the step.
template <int N>
__device__ __forceinline__ void update(scalar* params, const scalar* grads, moment* means, moment* squares, moment* largest,
                                       bool amsgrad, const Step& s) {
    float x[N], g[N], m[N], v[N], most[N];
    load<N>(params, x);
    load<N>(grads, g);
    load<N>(means, m);
    load<N>(squares, v);
    if (amsgrad) load<N>(largest, most);
#pragma unroll
    for (int k = 0; k < N; k++) {
        x[k] *= s.keep;                                           // AdamW: x shrinks
        g[k] *= s.sign;
        if (s.decay != 0.f) g[k] += s.decay * x[k];               // Adam: the penalty's gradient
        m[k] = s.beta1 * m[k] + s.rest1 * g[k];
        v[k] = s.beta2 * v[k] + s.rest2 * g[k] * g[k];
        if (!amsgrad || v[k] > most[k] || v[k] != v[k]) most[k] = v[k];      // NaN of either stays
        x[k] -= s.size * m[k] / (sqrtf(most[k]) * s.inverse_root + s.eps);
    }
    store<N>(params, x);
    store<N>(means, m);
    store<N>(squares, v);
    if (amsgrad) store<N>(largest, most);
}

// chunks (blocks, 3): the tensor, its first number, how many there are.
extern "C" __global__ void __launch_bounds__(256)
adam(scalar* const* params, const scalar* const* grads, moment* const* means, moment* const* squares, moment* const* largest,
     const int64_t* chunks, float size, float inverse_root, float beta1, float beta2, float rest1, float rest2, float eps,
     float decay, float keep, float sign) {
    const int64_t* chunk = chunks + (int64_t)blockIdx.x * 3;
    int64_t tensor = chunk[0], first = chunk[1];
    int count = (int)chunk[2];
    scalar* x = global(params[tensor]) + first;
    const scalar* g = global(grads[tensor]) + first;
    moment* m = global(means[tensor]) + first;
    moment* v = global(squares[tensor]) + first;
    bool amsgrad = largest != nullptr;
    moment* most = global((amsgrad ? largest : squares)[tensor]) + first;
    Step step = {size, inverse_root, beta1, beta2, rest1, rest2, eps, decay, keep, sign};

    bool wide = aligned<4>(x) && aligned<4>(g) && aligned<4>(m) && aligned<4>(v) && aligned<4>(most);
    int fours = wide ? count / 4 : 0;
    for (int i = threadIdx.x; i < fours; i += blockDim.x)
        update<4>(x + i * 4, g + i * 4, m + i * 4, v + i * 4, most + i * 4, amsgrad, step);
    for (int i = fours * 4 + threadIdx.x; i < count; i += blockDim.x)
        update<1>(x + i, g + i, m + i, v + i, most + i, amsgrad, step);
}
