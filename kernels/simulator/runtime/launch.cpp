// The entry point: one call per launch.  Copies the arrays into guarded memory, runs the blocks on one OS thread or several,
// looks for damage, and copies the results back when there is nothing to report.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <link.h>
#include <mutex>
#include <thread>
#include <unordered_map>
#include "checker.h"
#include "faults.h"
#include "machine.h"
#include "watchdog.h"

namespace cusim {

namespace {
// ---- what Python packs (run.py): keep both in step

enum ArrayFlags { CONSTANT = 1, UNDEFINED = 2, OUTPUT = 4 };

struct ArrayRequest {
    void* host;
    uint64_t bytes;
    uint32_t misalignment;
    int32_t parameter;
    uint32_t item, flags;
};

enum ParameterKind { VALUE, ARRAY, TABLE, TENSOR_MAP };

struct ParameterRequest {                            // VALUE: `where` in the values.  ARRAY: number of the array, -1: null.
    int32_t kind, number;                            // TABLE: `number` array numbers (int32) from `where`.
    int64_t where;                                   // TENSOR_MAP: its 128 bytes are at `where`, its array is `number`.
};

struct LaunchRequest {
    void (*kernel)(void**);
    uint32_t grid[3], block[3], cluster[3];
    uint32_t order, timing, check, profile, threads, array_count, parameter_count;
    uint64_t dynamic_bytes, seed;
    double time_limit;
    const ArrayRequest* arrays;
    const ParameterRequest* parameters;
    unsigned char* values;
};

// ---- the kernel's library: where its code and its __shared__ variables lie

struct Library {
    Range code;
    size_t statics = 0;                              // bytes of thread_local variables
    size_t module = 0;                               // its number, by which the loader knows where this OS thread has them
};

struct Search {
    uintptr_t function;
    Library found;
};

struct ThreadLocalPlace {                            // the argument of __tls_get_addr
    unsigned long module, offset;
};
extern "C" void* __tls_get_addr(ThreadLocalPlace*);

int look_at_library(dl_phdr_info* info, size_t, void* data) {
    Search& search = *(Search*)data;
    uintptr_t high = 0;
    bool ours = false;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const auto& header = info->dlpi_phdr[i];
        if (header.p_type != PT_LOAD) continue;
        uintptr_t low = info->dlpi_addr + header.p_vaddr;
        ours |= search.function - low < header.p_memsz;
        high = std::max(high, low + header.p_memsz);
    }
    if (!ours) return 0;
    search.found.code = {info->dlpi_addr, high - info->dlpi_addr};
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            search.found.statics = info->dlpi_phdr[i].p_memsz;
            search.found.module = info->dlpi_tls_modid;
        }
    return 1;
}

const Library& library_of(const LaunchRequest& request) {
    static std::unordered_map<uintptr_t, Library> known;
    static std::mutex mutex;
    std::lock_guard<std::mutex> lock(mutex);
    uintptr_t function = (uintptr_t)request.kernel;
    auto [entry, fresh] = known.try_emplace(function);
    if (fresh) {
        Search search{function, {}};
        dl_iterate_phdr(look_at_library, &search);
        entry->second = search.found;
    }
    return entry->second;
}

// ---- arguments

int shift_of(unsigned item) { return item % 8 == 0 ? 3 : item % 4 == 0 ? 2 : item % 2 == 0 ? 1 : 0; }

void place_arrays(const LaunchRequest& request) {
    for (uint32_t i = 0; i < request.array_count; i++) {
        const ArrayRequest& a = request.arrays[i];
        const void* from = a.flags & UNDEFINED ? nullptr : a.host;
        Array& placed = add_array(from, a.bytes, a.misalignment, a.parameter, a.item, a.flags & CONSTANT);
        if (request.check && !placed.constant) placed.shadow.reset(a.bytes, (unsigned)shift_of(a.item), from != nullptr);
    }
}

struct Arguments {
    std::vector<void*> pointers;                     // what the kernel unpacks
    std::vector<void*> addresses;                    // of arrays, to which `pointers` point
};

void place_arguments(const LaunchRequest& request, Arguments& arguments) {
    uint32_t n = request.parameter_count;
    arguments.addresses.resize(n);
    arguments.pointers.resize(n);
    for (uint32_t i = 0; i < n; i++) {
        const ParameterRequest& p = request.parameters[i];
        arguments.pointers[i] = &arguments.addresses[i];
        if (p.kind == VALUE) {
            arguments.pointers[i] = request.values + p.where;
        } else if (p.kind == ARRAY) {
            arguments.addresses[i] = p.number < 0 ? nullptr : (void*)arrays[(size_t)p.number].memory.low;
        } else if (p.kind == TENSOR_MAP) {
            TensorMap* map = (TensorMap*)(request.values + p.where);
            map->base = arrays[(size_t)p.number].memory.low;
            arguments.pointers[i] = map;
        } else {
            const int32_t* numbers = (const int32_t*)(request.values + p.where);
            std::vector<void*> table;
            for (int k = 0; k < p.number; k++)
                table.push_back(numbers[k] < 0 ? nullptr : (void*)arrays[(size_t)numbers[k]].memory.low);
            Array& placed = add_array(table.data(), table.size() * sizeof(void*), 0, (int)i, sizeof(void*), true);
            arguments.addresses[i] = (void*)placed.memory.low;
        }
    }
}

// ---- running

std::vector<std::unique_ptr<Machine>> machines;      // one for each OS thread
std::atomic<uint64_t> clusters_taken;
std::atomic<bool> give_up;

// In which order clusters begin, worked out for one at a time: a grid may have more of them than memory holds.
struct ClusterOrder {
    Order order;
    uint64_t count, seed;
    unsigned half_bits;                              // the count has at most twice as many bits

    void set(const Launch& l) {
        order = l.order;
        seed = l.seed;
        count = 1;
        const unsigned grid[] = {l.grid.x, l.grid.y, l.grid.z}, cluster[] = {l.cluster.x, l.cluster.y, l.cluster.z};
        for (int i = 0; i < 3; i++) count *= grid[i] / cluster[i];       // below 2^63
        for (half_bits = 1; half_bits < 32 && count > uint64_t(1) << 2 * half_bits;) half_bits++;
    }
    uint64_t operator[](uint64_t i) const {
        if (order != Order::random) return order == Order::reverse ? count - 1 - i : i;
        do i = shuffled(i);
        while (i >= count);                          // on along its cycle: still a permutation
        return i;
    }

private:
    // A permutation of 2 half_bits bits: four rounds of a Feistel network.
    uint64_t shuffled(uint64_t i) const {
        uint64_t mask = (uint64_t(1) << half_bits) - 1, left = i >> half_bits, right = i & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t h = (right ^ seed << 20 ^ round << 56) * 0x9E3779B97F4A7C15ull;
            h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9ull;
            uint64_t mixed = left ^ ((h ^ h >> 32) & mask);
            left = right;
            right = mixed;
        }
        return left << half_bits | right;
    }
};
ClusterOrder cluster_order;

uint64_t take_cluster() {
    uint64_t i = clusters_taken++;
    return i < cluster_order.count && !give_up ? cluster_order[i] : NO_CLUSTER;
}

void run_on(Machine& m, const LaunchRequest& request, const Launch& launch, unsigned number) {
    machine = &m;
    if (m.runs_on != pthread_self()) m.fibers.abandon();
    m.runs_on = pthread_self();
    const Library& library = library_of(request);
    m.launch = &launch;
    m.library = library.code;
    ThreadLocalPlace start{library.module, 0};
    m.statics = library.statics ? Range{(uintptr_t)__tls_get_addr(&start), library.statics} : Range{};
    m.static_owner = nullptr;
    m.random.seed(launch.seed * 1000003 + number);
    m.stopped = false;
    m.fruitless = 0;
    catch_faults();
    run_clusters(take_cluster);
    release_faults();
    if (m.stopped) give_up = true;
    machine = nullptr;
}

void run_all(const LaunchRequest& request, const Launch& launch) {
    unsigned threads = launch.check || launch.profile ? 1 : std::max(1u, request.threads);
    cluster_order.set(launch);
    clusters_taken = 0;
    give_up = false;
    threads = (unsigned)std::min<uint64_t>(threads, cluster_order.count);
    while (machines.size() < threads) machines.push_back(std::make_unique<Machine>());
    std::vector<std::thread> others;
    for (unsigned i = 1; i < threads; i++)
        others.emplace_back([&, i] { run_on(*machines[i], request, launch, i); });
    run_on(*machines[0], request, launch, 0);
    for (auto& t : others) t.join();
}

// ---- afterwards

void look_for_damage(const LaunchRequest& request) {
    for (uint32_t i = 0; i < request.array_count; i++) {
        const ArrayRequest& a = request.arrays[i];
        const Array& placed = arrays[i];
        if (!request.check && !red_zones_intact(placed))
            report_fatal(Kind::global_out_of_bounds, 0, 0, "a store just outside $%u (run with mode=\"check\" for the line)", i);
        if (!request.check && placed.constant && memcmp((void*)placed.memory.low, a.host, a.bytes))
            report_fatal(Kind::write_to_const, 0, 0,
                         "$%u has changed, which the kernel takes as const (run with mode=\"check\" for the line)",
                         i);
        if (request.check && a.flags & OUTPUT && !any_fatal_report())
            if (long missing = placed.shadow.unwritten(a.item))
                report(Kind::unwritten_output, 0, 0, "%ld of %ld elements of $%u were never written", missing,
                       (long)(a.bytes / a.item), i);
    }
}

void copy_results_back(const LaunchRequest& request) {
    for (uint32_t i = 0; i < request.array_count; i++)
        if (!(request.arrays[i].flags & CONSTANT))
            memcpy(request.arrays[i].host, (void*)arrays[i].memory.low,
                   request.arrays[i].bytes);
}

cusim_index triple(const uint32_t* n) { return {n[0], n[1], n[2]}; }
std::mutex one_launch;
}  // namespace
}  // namespace cusim

using namespace cusim;

extern "C" {

// 0: done, results copied back.  1: something to report (cusim_reports).  2: stopped by Ctrl-C.  Then the caller's arrays are as
// they were.
int cusim_launch(const void* packed) {
    std::lock_guard<std::mutex> lock(one_launch);
    const LaunchRequest& request = *(const LaunchRequest*)packed;
    clear_reports();
    if (request.profile) clear_profile();
    Arguments arguments;
    bool interrupted = false;
    try {
        place_arrays(request);
        place_arguments(request, arguments);
        Launch launch{request.kernel, arguments.pointers.data(), triple(request.grid), triple(request.block),
                      triple(request.cluster), request.dynamic_bytes, (Order)request.order, (Timing)request.timing,
                      request.check != 0, request.profile != 0, request.seed};
        start_watch(request.time_limit);
        run_all(request, launch);
        end_watch();
        interrupted = give_up && stop_wanted() == Stop::interrupt && !any_fatal_report();
        if (!interrupted) look_for_damage(request);
    } catch (const std::exception& e) {
        end_watch();
        report_fatal(Kind::crash, 0, 0, "%s", e.what());
    }
    if (!interrupted && !any_report()) copy_results_back(request);
    forget_releases();
    clear_arrays();
    return interrupted ? 2 : any_report();
}

long cusim_switches() {
    long n = 0;
    for (auto& m : machines) n += m->switches;
    return n;
}

const char* cusim_kinds() {
    return ""
#define KIND(name, text, meaning) text "\x1f" meaning "\x1e"
    CUSIM_KINDS(KIND)
#undef KIND
        ;
}
}
