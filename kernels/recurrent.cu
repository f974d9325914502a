// LSTM and GRU cells: what a step does once the matrix products are done.  H units, B rows; gates of a row lie one after another.
//
//   version         idea
//   lstm_forward    a thread per unit: its gates, the new cell and the output in one pass; the gates are kept as they came out
//   lstm_backward   the same thread goes back from the kept gates: no activation is computed again but tanh(c')
//   gru_forward     as lstm_forward, with the reset gate applied to the hidden part after its product (one product for all gates)
//   gru_backward    as lstm_backward
#include "activations.cuh"

// In all of them the units of a row lie along x, the rows along y: neighbouring threads read neighbouring numbers.

// i, f, o = sigmoid; g = tanh; c' = f c + i g; h = o tanh(c')
extern "C" __global__ void __launch_bounds__(256)
lstm_forward(const scalar* gates, const scalar* c, OUT scalar* h, OUT scalar* new_c, OUT scalar* kept, int64_t rows,
             int64_t hidden) {
    int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, step = (int64_t)gridDim.y * blockDim.y;
    if (j >= hidden) return;
    for (int64_t b = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; b < rows; b += step) {
        const scalar* x = gates + b * 4 * hidden + j;
        scalar* k = kept + b * 4 * hidden + j;
        float i = sigmoid(to_float(x[0])), f = sigmoid(to_float(x[hidden]));
        float g = tanhf(to_float(x[2 * hidden])), o = sigmoid(to_float(x[3 * hidden]));
        float next = f * to_float(c[b * hidden + j]) + i * g;
        h[b * hidden + j] = from_float<scalar>(o * tanhf(next));
        new_c[b * hidden + j] = from_float<scalar>(next);
        k[0] = from_float<scalar>(i);
        k[hidden] = from_float<scalar>(f);
        k[2 * hidden] = from_float<scalar>(g);
        k[3 * hidden] = from_float<scalar>(o);
    }
}

// dh, dc: gradients of h and c', null where there is none.  dgates: of the gates before their activation.
extern "C" __global__ void __launch_bounds__(256)
lstm_backward(const scalar* dh, const scalar* dc, const scalar* kept, const scalar* c, const scalar* new_c, OUT scalar* dgates,
              OUT scalar* old_dc, int64_t rows, int64_t hidden) {
    int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, step = (int64_t)gridDim.y * blockDim.y;
    if (j >= hidden) return;
    for (int64_t b = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; b < rows; b += step) {
        const scalar* k = kept + b * 4 * hidden + j;
        scalar* d = dgates + b * 4 * hidden + j;
        int64_t at = b * hidden + j;
        float i = to_float(k[0]), f = to_float(k[hidden]);
        float g = to_float(k[2 * hidden]), o = to_float(k[3 * hidden]);
        float t = tanhf(to_float(new_c[at]));
        float dh_here = dh ? to_float(dh[at]) : 0.f;
        float dc_here = (dc ? to_float(dc[at]) : 0.f) + dh_here * o * (1.f - t * t);      // c' acts on h as well
        d[0] = from_float<scalar>(dc_here * g * i * (1.f - i));
        d[hidden] = from_float<scalar>(dc_here * to_float(c[at]) * f * (1.f - f));
        d[2 * hidden] = from_float<scalar>(dc_here * i * (1.f - g * g));
        d[3 * hidden] = from_float<scalar>(dh_here * t * o * (1.f - o));
        old_dc[at] = from_float<scalar>(dc_here * f);
    }
}

// r, z = sigmoid(x + u); n = tanh(x + r u); h' = (1 - z) n + z h.  x, u: the input's part of the gates r, z, n, and the state's.
extern "C" __global__ void __launch_bounds__(256)
gru_forward(const scalar* x_gates, const scalar* h_gates, const scalar* h, OUT scalar* new_h, OUT scalar* kept, int64_t rows,
            int64_t hidden) {
    int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, step = (int64_t)gridDim.y * blockDim.y;
    if (j >= hidden) return;
    for (int64_t b = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; b < rows; b += step) {
        int64_t at = b * 3 * hidden + j, second = at + hidden, third = second + hidden;
        float r = sigmoid(to_float(x_gates[at]) + to_float(h_gates[at]));
        float z = sigmoid(to_float(x_gates[second]) + to_float(h_gates[second]));
        float n = tanhf(to_float(x_gates[third]) + r * to_float(h_gates[third]));
        new_h[b * hidden + j] = from_float<scalar>((1.f - z) * n + z * to_float(h[b * hidden + j]));
        kept[at] = from_float<scalar>(r);
        kept[second] = from_float<scalar>(z);
        kept[third] = from_float<scalar>(n);
    }
}

extern "C" __global__ void __launch_bounds__(256)
gru_backward(const scalar* dh, const scalar* kept, const scalar* h_gates, const scalar* h, OUT scalar* dx_gates,
             OUT scalar* dh_gates, OUT scalar* old_dh, int64_t rows, int64_t hidden) {
    int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, step = (int64_t)gridDim.y * blockDim.y;
    if (j >= hidden) return;
    for (int64_t b = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; b < rows; b += step) {
        int64_t unit = b * hidden + j, at = b * 3 * hidden + j, second = at + hidden, third = second + hidden;
        float r = to_float(kept[at]), z = to_float(kept[second]), n = to_float(kept[third]);
        float d = to_float(dh[unit]);
        float dn = d * (1.f - z) * (1.f - n * n);
        scalar dr = from_float<scalar>(dn * to_float(h_gates[third]) * r * (1.f - r));
        scalar dz = from_float<scalar>(d * (to_float(h[unit]) - n) * z * (1.f - z));
        dx_gates[at] = dr;
        dh_gates[at] = dr;
        dx_gates[second] = dz;
        dh_gates[second] = dz;
        dx_gates[third] = from_float<scalar>(dn);
        dh_gates[third] = from_float<scalar>(dn * r);
        old_dh[unit] = from_float<scalar>(d * z);
    }
}
