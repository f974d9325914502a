// Faults inside kernel code: around the run of blocks on one OS thread.  A fault leaves the fiber and comes back to the scheduler;
// a fault of any other thread, or of this one outside a kernel, goes to the handler that was there before.
#pragma once

namespace cusim {

void catch_faults();
void release_faults();
void report_fault();                                 // if there was one
void leave_kernels();                                // makes every OS thread that runs a kernel's own code leave it, as by a fault

}  // namespace cusim
