// The simulator's language headers have what the kernels here use of it.
