// The handlers of faults.  They stand while some OS thread runs blocks, and act only for a thread that is inside a fiber.
#include "faults.h"
#include <csignal>
#include <cstring>
#include <mutex>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>
#include "checker.h"
#include "machine.h"
#include "watchdog.h"

namespace cusim {

namespace {
enum class Cause { access, misaligned, unexplained, division, trap, sent };         // sent: by leave_kernels

struct Fault {
    ThreadState* thread = nullptr;
    Cause cause = Cause::access;
    uintptr_t address = 0, code = 0;
};
thread_local Fault fault;
thread_local std::vector<unsigned char> signal_stack;
thread_local stack_t old_stack;
constexpr uintptr_t NULL_PAGE = 4096;
constexpr int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}, SIGNAL_COUNT = sizeof SIGNALS / sizeof *SIGNALS;
struct sigaction old_actions[SIGNAL_COUNT];
std::mutex runners_mutex;
std::vector<pthread_t> runners;                      // OS threads inside catch_faults

#if defined(__x86_64__)
// The address that an SSE instruction uses: of a misaligned one the processor does not say it.  0: another instruction.
uintptr_t operand_of(const unsigned char* code, const greg_t* registers) {
    static const int ORDER[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    uintptr_t base = 0;
    for (; *code == 0x66 || *code == 0xf2 || *code == 0xf3 || *code == 0x64; code++)
        if (*code == 0x64) asm("mov %%fs:0, %0" : "=r"(base));           // thread_local variables
    unsigned rex = (*code & 0xf0) == 0x40 ? *code++ : 0;
    if (*code++ != 0x0f) return 0;
    if (*code == 0x38 || *code == 0x3a) return 0;
    unsigned opcode = *code++, mod = *code >> 6, low = *code & 7;
    bool immediate = opcode == 0xc2 || opcode == 0xc6 || (opcode >= 0x70 && opcode <= 0x73);
    code++;
    if (mod == 3) return 0;
    auto value = [&](unsigned number) { return (uintptr_t)registers[ORDER[number]]; };
    int32_t offset = 0;
    if (low == 4) {                                  // a second byte: base and scaled index
        unsigned sib = *code++, index = (sib >> 3 & 7) | (rex & 2) << 2;
        if (index != 4) base += value(index) << (sib >> 6);
        low = sib & 7;
        if (low == 5 && mod == 0)
            mod = 2;                                 // no base, 32 bits of offset
        else
            base += value(low | (rex & 1) << 3);
    } else if (low == 5 && mod == 0) {               // relative to the next instruction
        memcpy(&offset, code, 4);
        return base + (uintptr_t)code + 4 + immediate + (intptr_t)offset;
    } else {
        base += value(low | (rex & 1) << 3);
    }
    if (mod == 1) offset = (signed char)*code;
    if (mod == 2) memcpy(&offset, code, 4);
    return base + (intptr_t)offset;
}
#endif

// What would have happened without us.
void pass_on(int signal, siginfo_t* info, void* context) {
    const struct sigaction* old = old_actions;
    for (int i = 0; i < SIGNAL_COUNT; i++)
        if (SIGNALS[i] == signal) old = &old_actions[i];
    if (old->sa_flags & SA_SIGINFO) return old->sa_sigaction(signal, info, context);
    bool sent = info->si_code <= 0;
    if (old->sa_handler == SIG_IGN && sent) return;
    if (old->sa_handler != SIG_IGN && old->sa_handler != SIG_DFL) return old->sa_handler(signal);
    struct sigaction end;                            // a fault comes again on return, and ends the process
    memset(&end, 0, sizeof end);
    end.sa_handler = SIG_DFL;
    sigaction(signal, &end, nullptr);
    if (sent) raise(signal);
}

void on_signal(int signal, siginfo_t* info, void* context) {
    ucontext_t* c = (ucontext_t*)context;
#if defined(__x86_64__)
    uintptr_t code = (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
#else
    uintptr_t code = (uintptr_t)c->uc_mcontext.pc;
#endif
    bool inside = current && machine;
    if (info->si_code == SI_TKILL && info->si_pid == getpid() && stop_wanted() != Stop::none) {      // by leave_kernels
        if (!inside || !machine->library.holds(code)) return;            // never in the middle of malloc
        fault = {current, Cause::sent, 0, code};
    } else if (!inside || info->si_code <= 0) {
        return pass_on(signal, info, context);
    } else {
        fault = {current, Cause::access, (uintptr_t)info->si_addr, code};
        if (signal == SIGFPE) fault.cause = Cause::division;
        if (signal == SIGILL || signal == SIGTRAP) fault.cause = Cause::trap;
        if (signal == SIGBUS && info->si_code == BUS_ADRALN) fault.cause = Cause::misaligned;
#if defined(__x86_64__)
        if (signal == SIGSEGV && info->si_code == SI_KERNEL) {           // misaligned, or an address that cannot exist
            uintptr_t address = fault.address = operand_of((const unsigned char*)code, c->uc_mcontext.gregs);
            bool possible = address >= NULL_PAGE && address >> 47 == 0;
            fault.cause = !address ? Cause::unexplained : possible && address % 16 ? Cause::misaligned : Cause::access;
        }
#endif
    }
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

int number_of(const Array* array) {
    int number = 0;
    while (&arrays[(size_t)number] != array) number++;
    return number;
}

void report_access(uintptr_t address, Site site) {
    long distance = 0;
    Array* nearest = in_arena(address) ? nearest_array(address, distance) : nullptr;
    if (machine->fibers.stacks().holds(address))
        report_fatal(Kind::crash, site, 0, "a thread needs more than the simulator's 64 KiB of stack");
    else if (nearest)
        report_fatal(Kind::global_out_of_bounds, site, 0, "an access %ld bytes %s of $%d", distance > 0 ? distance - 1 : -distance,
                     distance > 0 ? "past the end" : "before the start", number_of(nearest));
    else if (address < NULL_PAGE)
        report_fatal(Kind::crash, site, 0, "an access through a null pointer, at address %zu", (size_t)address);
    else
        report_fatal(Kind::crash, site, 0, "an access to memory that does not exist, at %p", (void*)address);
}

void report_misaligned(uintptr_t address, Site site) {
    if (const Array* array = find_array(address))
        report_fatal(Kind::misaligned, site, 0, "a vector access at $%d+%zu, an address that is no multiple of 16", number_of(array),
                     (size_t)(address - array->memory.low));
    else
        report_fatal(Kind::misaligned, site, 0, "a vector access at an address that is no multiple of 16");
}
}  // namespace

void catch_faults() {
    if (signal_stack.empty()) signal_stack.resize(64 << 10);
    stack_t stack{};
    stack.ss_sp = signal_stack.data();
    stack.ss_size = signal_stack.size();
    sigaltstack(&stack, &old_stack);
    std::lock_guard<std::mutex> lock(runners_mutex);
    runners.push_back(pthread_self());
    if (runners.size() > 1) return;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int i = 0; i < SIGNAL_COUNT; i++) sigaction(SIGNALS[i], &action, &old_actions[i]);
}

void release_faults() {
    {
        std::lock_guard<std::mutex> lock(runners_mutex);
        for (size_t i = 0; i < runners.size(); i++)
            if (pthread_equal(runners[i], pthread_self())) {
                runners.erase(runners.begin() + (long)i);
                break;
            }
        syscall(SYS_gettid);                         // a signal of leave_kernels on its way arrives here, at our own handler still
        if (runners.empty())
            for (int i = 0; i < SIGNAL_COUNT; i++) sigaction(SIGNALS[i], &old_actions[i], nullptr);
    }
    if (!(old_stack.ss_flags & SS_ONSTACK)) sigaltstack(&old_stack, nullptr);
}

void leave_kernels() {
    std::lock_guard<std::mutex> lock(runners_mutex);
    for (pthread_t runner : runners) pthread_kill(runner, SIGSEGV);
}

void report_fault() {
    if (!fault.thread) return;
    Fault f = fault;
    fault.thread = nullptr;
    current = f.thread;                              // for the report
    Site site = site_of_code((void*)(f.code + 1));   // reports take return addresses, one byte on
    if (!site) site = site_of(current->where);
    switch (f.cause) {
        case Cause::access: report_access(f.address, site); break;
        case Cause::misaligned: report_misaligned(f.address, site); break;
        case Cause::unexplained:
            report_fatal(Kind::crash, site, 0, "an access to memory that does not exist, or at an address that is not aligned");
            break;
        case Cause::division: report_fatal(Kind::crash, site, 0, "an integer division by zero"); break;
        case Cause::trap:                            // clang's bounds of local arrays; g++ where it sees a null pointer
            report_fatal(Kind::crash, site, 0, "an access that the compiler knows to be outside its array or through a null pointer, "
                         "or __builtin_trap()");
            break;
        case Cause::sent:
            if (stop_wanted() != Stop::time_limit) break;
            report_fatal(Kind::time_limit, site, 0,
                         "the kernel ran longer than its time limit, and this loop never lets other threads run");
    }
    current = nullptr;
}

}  // namespace cusim
