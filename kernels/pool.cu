// Maximum and average pooling of images (planes, H, W) -> (planes, OH, OW), and their gradients.
//
//   version              idea
//   max_pool             a thread per window: its largest number and where that lies
//   max_pool_backward    a thread per entry of x sums over the windows that hold it and found their maximum there: no atomics
//   avg_pool             a thread per window
//   avg_pool_backward    a thread per entry of x sums over the windows that hold it
//
// A block works within one plane, so that only its first index is divided by the number of blocks in a plane.
#include "kernel.cuh"

struct Pool {
    int H, W, OH, OW, kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
    int end_h, end_w;                                // where the padding after the image ends
    int blocks;                                      // in a plane
    int with_padding, divisor;                       // of averages: whether zeros of the padding count; 0: as many as are counted
};

// ---- where a thread stands ------------------------------------------------------------------------------

struct Spot {
    long long plane;
    int y, x;
    bool valid;
};

// The thread's entry of planes of h rows and w columns.
__device__ __forceinline__ Spot spot(const Pool& p, int h, int w) {
    int i = blockIdx.x % p.blocks * blockDim.x + threadIdx.x;
    return {blockIdx.x / p.blocks, i / w, i % w, i < h * w};
}

struct Range {
    int first, end;
};

// The windows whose reach, from their first tap to their last, contains i.
__device__ __forceinline__ Range windows_over(int i, int out, int kernel, int stride, int padding, int dilation) {
    int after = i + padding - dilation * (kernel - 1);                   // the first window starts here or later
    return {after > 0 ? (after + stride - 1) / stride : 0, min((i + padding) / stride + 1, out)};
}

// ---- maximum --------------------------------------------------------------------------------------------

// y = max over taps inside the image; the first of equals, and NaN above all.  places: in the flattened image.
extern "C" __global__ void __launch_bounds__(256) max_pool(const scalar* x, OUT scalar* y, OUT long long* places, Pool p) {
    Spot at = spot(p, p.OH, p.OW);
    if (!at.valid) return;
    const scalar* image = x + at.plane * p.H * p.W;
    int top = at.y * p.stride_h - p.padding_h, left = at.x * p.stride_w - p.padding_w;
    float largest = -INF;
    int place = -1;
    for (int i = 0; i < p.kernel_h; i++) {
        int row = top + i * p.dilation_h;
        if (row < 0 || row >= p.H) continue;
        for (int j = 0; j < p.kernel_w; j++) {
            int column = left + j * p.dilation_w;
            if (column < 0 || column >= p.W) continue;
            float v = to_float(image[row * p.W + column]);
            if (place < 0 || v > largest || v != v) {
                largest = v;
                place = row * p.W + column;
            }
        }
    }
    // No tap inside (dilation and ceil_mode allow it): the corner, moved into the image; the gradient does not go there.
    if (place < 0) place = min(max(top, 0), p.H - 1) * p.W + min(max(left, 0), p.W - 1);
    long long to = (at.plane * p.OH + at.y) * p.OW + at.x;
    y[to] = from_float<scalar>(largest);
    places[to] = place;
}

extern "C" __global__ void __launch_bounds__(256)
max_pool_backward(const scalar* g, const long long* places, OUT scalar* gx, Pool p) {
    Spot at = spot(p, p.H, p.W);
    if (!at.valid) return;
    Range rows = windows_over(at.y, p.OH, p.kernel_h, p.stride_h, p.padding_h, p.dilation_h);
    Range columns = windows_over(at.x, p.OW, p.kernel_w, p.stride_w, p.padding_w, p.dilation_w);
    int here = at.y * p.W + at.x;
    float sum = 0.f;
    for (int i = rows.first; i < rows.end; i++) {
        if (p.dilation_h > 1 && (at.y + p.padding_h - i * p.stride_h) % p.dilation_h) continue;          // between two taps
        for (int j = columns.first; j < columns.end; j++) {
            if (p.dilation_w > 1 && (at.x + p.padding_w - j * p.stride_w) % p.dilation_w) continue;
            long long from = (at.plane * p.OH + i) * p.OW + j;
            if (places[from] == here) sum += to_float(g[from]);
        }
    }
    gx[at.plane * p.H * p.W + here] = from_float<scalar>(sum);
}

// ---- average --------------------------------------------------------------------------------------------

// What the sum over window (i, j) is divided by.  One that hangs over the padding's end, in ceil_mode, counts what is before it.
__device__ __forceinline__ float divisor(const Pool& p, int i, int j) {
    if (p.divisor) return (float)p.divisor;
    int top = i * p.stride_h - p.padding_h, left = j * p.stride_w - p.padding_w;
    int bottom = min(top + p.kernel_h, p.end_h), right = min(left + p.kernel_w, p.end_w);
    if (p.with_padding) return (float)((bottom - top) * (right - left));
    return (float)((min(bottom, p.H) - max(top, 0)) * (min(right, p.W) - max(left, 0)));
}

extern "C" __global__ void __launch_bounds__(256) avg_pool(const scalar* x, OUT scalar* y, Pool p) {
    Spot at = spot(p, p.OH, p.OW);
    if (!at.valid) return;
    const scalar* image = x + at.plane * p.H * p.W;
    int top = at.y * p.stride_h - p.padding_h, left = at.x * p.stride_w - p.padding_w;
    float sum = 0.f;
    for (int row = max(top, 0); row < min(top + p.kernel_h, p.H); row++) {
        for (int column = max(left, 0); column < min(left + p.kernel_w, p.W); column++)
            sum += to_float(image[row * p.W + column]);
    }
    y[(at.plane * p.OH + at.y) * p.OW + at.x] = from_float<scalar>(sum / divisor(p, at.y, at.x));
}

extern "C" __global__ void __launch_bounds__(256) avg_pool_backward(const scalar* g, OUT scalar* gx, Pool p) {
    Spot at = spot(p, p.H, p.W);
    if (!at.valid) return;
    Range rows = windows_over(at.y, p.OH, p.kernel_h, p.stride_h, p.padding_h, 1);
    Range columns = windows_over(at.x, p.OW, p.kernel_w, p.stride_w, p.padding_w, 1);
    float sum = 0.f;
    for (int i = rows.first; i < rows.end; i++) {
        for (int j = columns.first; j < columns.end; j++)
            sum += to_float(g[(at.plane * p.OH + i) * p.OW + j]) / divisor(p, i, j);
    }
    gx[(at.plane * p.H + at.y) * p.W + at.x] = from_float<scalar>(sum);
}
