// One sleeping thread watches launches.  When the time is up, it sets a flag that the scheduler sees; and for a kernel that never
// gives its turn (an endless loop without a barrier) it sends the OS thread a signal, which leaves the fiber like a fault, but
// only while the kernel's own code runs: never in the middle of malloc.
//
// Ctrl-C sets the flag too, before Python's own handler hears of it.  Python cannot raise KeyboardInterrupt while a launch of the
// main thread has not returned; on any other thread a launch goes on, as Python's threads do.
#include "watchdog.h"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <limits>
#include <mutex>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include "faults.h"

namespace cusim {

namespace {
typedef std::chrono::steady_clock Time;

std::atomic<Stop> stop{Stop::none};
std::atomic<int64_t> deadline{0};                    // 0: no launch runs
std::mutex* watch_mutex;                             // these two are never destroyed: the watching thread waits on them until the
std::condition_variable* bell;                       // process is gone, and destroying them would wait for it
std::atomic<bool> asleep{false};
pid_t owner = 0;                                     // of the watching thread, which does not survive a fork: the child makes new ones

int64_t now() { return Time::now().time_since_epoch().count(); }

void watch() {
    std::unique_lock<std::mutex> lock(*watch_mutex);
    int idle = 0;
    for (;;) {
        int64_t d = deadline;
        idle = d ? 0 : idle + 1;
        if (idle > 20) {
            asleep = true;
            bell->wait(lock, [] { return deadline != 0; });
            asleep = false;
            idle = 0;
            continue;
        }
        if (d && now() > d) stop = Stop::time_limit;
        if (d && stop != Stop::none) {
            leave_kernels();
            bell->wait_for(lock, std::chrono::milliseconds(2));
        } else {
            bell->wait_for(lock, std::chrono::milliseconds(50));
        }
    }
}

struct sigaction old_interrupt;
bool hears_interrupts = false;

void on_interrupt(int signal, siginfo_t* info, void* context) {
    stop = Stop::interrupt;
    if (old_interrupt.sa_flags & SA_SIGINFO)
        old_interrupt.sa_sigaction(signal, info, context);
    else
        old_interrupt.sa_handler(signal);
}

void hear_interrupts() {
    if (syscall(SYS_gettid) != getpid() || sigaction(SIGINT, nullptr, &old_interrupt)) return;
    bool handled = old_interrupt.sa_flags & SA_SIGINFO || (old_interrupt.sa_handler != SIG_DFL && old_interrupt.sa_handler != SIG_IGN);
    if (!handled) return;
    struct sigaction action = old_interrupt;
    action.sa_sigaction = on_interrupt;
    action.sa_flags |= SA_SIGINFO | SA_ONSTACK;
    hears_interrupts = !sigaction(SIGINT, &action, nullptr);
}
}  // namespace

void start_watch(double seconds) {
    stop = Stop::none;
    hear_interrupts();
    constexpr double LONGEST = 1e9;                  // seconds
    deadline = seconds > 0 && seconds < LONGEST ? now() + (int64_t)(seconds * 1e9) : std::numeric_limits<int64_t>::max();
    if (owner != getpid()) {
        owner = getpid();
        watch_mutex = new std::mutex;
        bell = new std::condition_variable;
        asleep = false;
        std::thread(watch).detach();
    } else if (asleep) {
        std::lock_guard<std::mutex> lock(*watch_mutex);
        bell->notify_all();
    }
}

void end_watch() {
    deadline = 0;
    if (hears_interrupts) sigaction(SIGINT, &old_interrupt, nullptr);
    hears_interrupts = false;
}

Stop stop_wanted() { return stop.load(std::memory_order_relaxed); }

}  // namespace cusim
