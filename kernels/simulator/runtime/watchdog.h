// What ends a kernel that would not end by itself: a limit on its time.
#pragma once

namespace cusim {

enum class Stop { none, time_limit };

void start_watch(double seconds);                    // of a launch
void end_watch();
Stop stop_wanted();                                  // asked when a thread gives its turn

}  // namespace cusim
