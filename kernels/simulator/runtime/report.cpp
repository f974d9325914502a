// The list of reports.  As text: one record a report, fields between \x1f, records between \x1e.
#include "report.h"
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>
#include "machine.h"

namespace cusim {

namespace {
constexpr int MOST_REPORTS = 20;
const char* const KIND_TEXT[] = {
#define KIND(name, text, meaning) text,
    CUSIM_KINDS(KIND)
#undef KIND
};

std::mutex report_mutex;
std::string records;
std::unordered_set<std::string> seen;
int count = 0;
bool fatal = false;

struct PlaceHash {
    size_t operator()(const cusim_place& p) const { return (size_t)p.file * 31 + p.line; }
};
struct SamePlace {
    bool operator()(const cusim_place& a, const cusim_place& b) const { return a.file == b.file && a.line == b.line; }
};
std::vector<cusim_place> places;
std::unordered_map<cusim_place, Site, PlaceHash, SamePlace> place_numbers;
constexpr Site FIRST_PLACE = 0x80000000u;

void add(Kind kind, Site site, Site other, const char* format, va_list values) {
    char message[900];
    vsnprintf(message, sizeof message, format, values);
    char thread[120] = "\x1f";
    if (ThreadState* t = current)
        snprintf(thread, sizeof thread, "%u,%u,%u\x1f%u,%u,%u", t->block->index.x, t->block->index.y, t->block->index.z,
                 t->index.x, t->index.y, t->index.z);
    std::lock_guard<std::mutex> lock(report_mutex);
    std::string where = text_of(site), whole = std::string(KIND_TEXT[(int)kind]) + "\x1f" + where + "\x1f" + text_of(other);
    if (count >= MOST_REPORTS || !seen.insert(whole).second) return;
    count++;
    records += (records.empty() ? "" : "\x1e") + whole + "\x1f" + thread + "\x1f" + message;
}
}  // namespace

std::string text_of(Site site, const char* mark) {
    char text[600] = "";
    if (site >= FIRST_PLACE)
        snprintf(text, sizeof text, "%s:%d", places[site - FIRST_PLACE].file, places[site - FIRST_PLACE].line);
    else if (site)
        snprintf(text, sizeof text, "%s0x%x", mark, site);
    return text;
}

Site site_of(cusim_place at) {
    if (!at.file) return 0;
    std::lock_guard<std::mutex> lock(report_mutex);
    auto [found, fresh] = place_numbers.try_emplace(at, FIRST_PLACE + (Site)places.size());
    if (fresh) places.push_back(at);
    return found->second;
}

Site site_of_code(const void* program_counter) {
    uintptr_t offset = (uintptr_t)program_counter - machine->library.low;
    return offset < machine->library.bytes ? (Site)offset : 0;
}

void report(Kind kind, Site site, Site other, const char* format, ...) {
    va_list values;
    va_start(values, format);
    add(kind, site, other, format, values);
    va_end(values);
}

void report_fatal(Kind kind, Site site, Site other, const char* format, ...) {
    va_list values;
    va_start(values, format);
    add(kind, site, other, format, values);
    va_end(values);
    fatal = true;
}

bool any_report() { return count > 0; }
bool any_fatal_report() { return fatal; }

void clear_reports() {
    records.clear();
    seen.clear();
    count = 0;
    fatal = false;
    places.clear();                                  // their file names live in kernels' libraries
    place_numbers.clear();
}

}  // namespace cusim

extern "C" const char* cusim_reports() { return cusim::records.c_str(); }

extern "C" void cusim_fail(const char* kind, cusim_place at, const char* format, ...) {
    using namespace cusim;
    Kind number = Kind::instruction;
    for (size_t i = 0; i < sizeof KIND_TEXT / sizeof *KIND_TEXT; i++)
        if (!strcmp(KIND_TEXT[i], kind)) number = (Kind)i;
    va_list values;
    va_start(values, format);
    add(number, site_of(at.file ? at : current->where), 0, format, values);
    va_end(values);
    fatal = true;
    stop_kernel();
}
