// What ends a kernel that would not end by itself: a limit on its time, and the handler of faults inside its code.
#pragma once
#include <cstdint>

namespace cusim {

void start_watch(double seconds);                    // of a launch
void end_watch();
bool overtime();                                     // whether the time is up: asked when a thread gives its turn

// Around the run of blocks on one OS thread.  A fault inside kernel code leaves the fiber and comes back to the scheduler.
void catch_faults();
void release_faults();
void report_fault();                                 // if there was one

}  // namespace cusim
