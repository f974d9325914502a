// Fences and atomics: order between threads that share no barrier.  An atomic access after a fence leaves what its thread knew at
// the fence with the variable; whoever accesses the variable by an atomic later takes it along.
#include <unordered_map>
#include "checker.h"
#include "machine.h"

namespace cusim {

namespace {
struct Release {                                     // what comes along with an atomic variable
    std::shared_ptr<const Row> row;
    uint32_t cluster;
    bool device;
    Acquired acquired;
};
std::unordered_map<uintptr_t, std::vector<Release>> releases;

void acquire(ThreadState* t, const Release& r) {
    if (r.cluster == t->block->cluster->serial) {
        join(t->knows.row, *r.row);
    } else if (r.device) {
        auto one = std::make_shared<Released>();
        one->emplace_back(r.cluster, r.row);
        t->knows.acquired = join(t->knows.acquired, one);
    }
    if (r.device) t->knows.acquired = join(t->knows.acquired, r.acquired);
}

void add_release(std::vector<Release>& all, const Snapshot& s) {
    for (Release& r : all)
        if (r.cluster == s.cluster && r.device == s.device) {
            if (r.row != s.row) {
                auto later = std::make_shared<Row>(*r.row);
                join(*later, s.row->data(), (unsigned)s.row->size());
                r.row = later;
            }
            r.acquired = join(r.acquired, s.acquired);
            return;
        }
    all.push_back({s.row, s.cluster, s.device, s.acquired});
}
}  // namespace

void take_fence(bool device) {
    ThreadState* t = current;
    Snapshot& s = device ? t->knows.device_fence : t->knows.block_fence;
    ClusterState* cluster = t->block->cluster;
    s.cluster = cluster->serial;
    s.device = device;
    s.row = std::make_shared<Row>(t->knows.row, t->knows.row + cluster->clocks.used);
    s.acquired = t->knows.acquired;
    advance(t);
}

void check_atomic(const void* p, size_t bytes, Site site) {
    check_access(p, bytes, Access::atomic, site);
    ThreadState* t = current;
    auto found = releases.find((uintptr_t)p);
    if (found != releases.end())
        for (const Release& r : found->second) acquire(t, r);
    for (const Snapshot* s : {&t->knows.block_fence, &t->knows.device_fence})
        if (s->row) add_release(releases[(uintptr_t)p], *s);
}

void forget_releases() { releases.clear(); }

}  // namespace cusim
