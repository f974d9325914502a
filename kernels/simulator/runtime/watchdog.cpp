// One sleeping thread watches the time of launches.  When it is up, it sets a flag that the scheduler sees; and for a kernel that
// never gives its turn (an endless loop without a barrier) it sends the OS thread a signal, which leaves the fiber like a fault,
// but only while the kernel's own code runs: never in the middle of malloc.
#include "watchdog.h"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <mutex>
#include <thread>
#include <ucontext.h>
#include <unistd.h>
#include <vector>
#include "checker.h"
#include "machine.h"

namespace cusim {

namespace {
typedef std::chrono::steady_clock Time;

std::atomic<bool> time_is_up{false};
std::atomic<int64_t> deadline{0};                    // 0: no launch runs
std::mutex& watch_mutex = *new std::mutex;           // these two are never destroyed: the watching thread waits on them until the
std::condition_variable& bell = *new std::condition_variable;            // process is gone, and destroying them would wait for it
bool asleep = false;
pid_t owner = 0;                                     // of the watching thread: it does not survive a fork
std::vector<pthread_t> runners;                      // OS threads inside kernels

int64_t now() { return Time::now().time_since_epoch().count(); }

void watch() {
    std::unique_lock<std::mutex> lock(watch_mutex);
    int idle = 0;
    for (;;) {
        int64_t d = deadline;
        idle = d ? 0 : idle + 1;
        if (idle > 20) {
            asleep = true;
            bell.wait(lock, [] { return deadline != 0; });
            asleep = false;
            idle = 0;
            continue;
        }
        if (d && now() > d) {
            time_is_up = true;
            for (pthread_t runner : runners) pthread_kill(runner, SIGSEGV);
            bell.wait_for(lock, std::chrono::milliseconds(2));
        } else {
            bell.wait_for(lock, std::chrono::milliseconds(50));
        }
    }
}

// ---- faults

struct Fault {
    ThreadState* thread = nullptr;
    int signal = 0;
    uintptr_t address = 0, code = 0;
    bool time_limit = false;
};
thread_local Fault fault;
thread_local std::vector<unsigned char> signal_stack;
thread_local stack_t old_stack;
constexpr int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE};
struct sigaction old_actions[3];
int catching = 0;                                    // OS threads inside catch_faults

void on_signal(int signal, siginfo_t* info, void* context) {
    ucontext_t* c = (ucontext_t*)context;
#if defined(__x86_64__)
    uintptr_t code = (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
#else
    uintptr_t code = (uintptr_t)c->uc_mcontext.pc;
#endif
    bool sent = info->si_code <= 0;                  // by the watchdog, not by a fault
    if (sent && (!current || !machine || !machine->library.holds(code))) return;
    if (!current || !machine) {                      // not ours: as it was before
        for (int i = 0; i < 3; i++) sigaction(SIGNALS[i], &old_actions[i], nullptr);
        return;
    }
    fault = {current, signal, (uintptr_t)info->si_addr, code, sent};
    current = nullptr;
    machine->stopped = true;
#if defined(__x86_64__)
    c->uc_mcontext.gregs[REG_RSI] = (greg_t)machine->scheduler;
    c->uc_mcontext.gregs[REG_RIP] = (greg_t)&cusim_switch_load;
#else
    c->uc_mcontext.regs[1] = (uint64_t)machine->scheduler;
    c->uc_mcontext.pc = (uint64_t)&cusim_switch_load;
#endif
}
}  // namespace

void start_watch(double seconds) {
    time_is_up = false;
    if (seconds <= 0) return;
    deadline = now() + (int64_t)(seconds * 1e9);
    if (owner != getpid()) {
        owner = getpid();
        std::thread(watch).detach();
    } else if (asleep) {
        std::lock_guard<std::mutex> lock(watch_mutex);
        bell.notify_all();
    }
}

void end_watch() { deadline = 0; }

bool overtime() { return time_is_up.load(std::memory_order_relaxed); }

void catch_faults() {
    if (signal_stack.empty()) signal_stack.resize(64 << 10);
    stack_t stack{};
    stack.ss_sp = signal_stack.data();
    stack.ss_size = signal_stack.size();
    sigaltstack(&stack, &old_stack);
    std::lock_guard<std::mutex> lock(watch_mutex);
    runners.push_back(pthread_self());
    if (catching++) return;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int i = 0; i < 3; i++) sigaction(SIGNALS[i], &action, &old_actions[i]);
}

void release_faults() {
    {
        std::lock_guard<std::mutex> lock(watch_mutex);
        for (size_t i = 0; i < runners.size(); i++)
            if (pthread_equal(runners[i], pthread_self())) {
                runners.erase(runners.begin() + (long)i);
                break;
            }
        if (!--catching)
            for (int i = 0; i < 3; i++) sigaction(SIGNALS[i], &old_actions[i], nullptr);
    }
    if (!(old_stack.ss_flags & SS_ONSTACK)) sigaltstack(&old_stack, nullptr);
}

void report_fault() {
    if (!fault.thread) return;
    Fault f = fault;
    fault.thread = nullptr;
    current = f.thread;                              // for the report
    Site site = site_of_code((void*)(f.code + 1));   // reports take return addresses, one byte on
    if (!site) site = site_of(current->where);
    const Range& stacks = machine->fibers.stacks();
    long distance = 0;
    if (f.time_limit)
        report_fatal(Kind::time_limit, site, 0,
                     "the kernel ran longer than its time limit, and this loop never lets other threads run");
    else if (f.signal == SIGFPE)
        report_fatal(Kind::crash, site, 0, "an integer division by zero");
    else if (stacks.holds(f.address))
        report_fatal(Kind::crash, site, 0, "a thread needs more than the simulator's 64 KiB of stack");
    else if (in_arena(f.address)) {
        Array* nearest = nearest_array(f.address, distance);
        int number = 0;
        while (&arrays[(size_t)number] != nearest) number++;
        report_fatal(Kind::global_out_of_bounds, site, 0, "an access %ld bytes %s of $%d",
                     distance > 0 ? distance - 1 : -distance,
                     distance > 0 ? "past the end" : "before the start", number);
    } else if (f.address < 4096)
        report_fatal(Kind::crash, site, 0, "an access through a null pointer, at address %zu", (size_t)f.address);
    else
        report_fatal(Kind::crash, site, 0, "an access to memory that does not exist, at %p", (void*)f.address);
    current = nullptr;
}

}  // namespace cusim
