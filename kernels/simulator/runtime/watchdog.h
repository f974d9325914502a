// What ends a kernel before it ends by itself: a limit on its time, and Ctrl-C.
#pragma once

namespace cusim {

enum class Stop { none, time_limit, interrupt };

void start_watch(double seconds);                    // of a launch; 0: for any time
void end_watch();
Stop stop_wanted();                                  // asked when a thread gives its turn

}  // namespace cusim
