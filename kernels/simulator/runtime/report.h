// Reports of errors: what kind, where, by which thread.  Python turns them into one SimulatorError, with the names of parameters
// for "$<parameter>+<byte>" and "@<byte>" (static shared memory), and file and line for program counters ("#0x<offset>").
#pragma once
#include <cstdint>
#include <string>
#include "interface.h"
#include "kinds.h"

namespace cusim {

enum class Kind {
#define KIND(name, text, meaning) name,
    CUSIM_KINDS(KIND)
#undef KIND
};

// A place in the source in 32 bits: 0 unknown; below 2^31 an offset in the kernel's library; else a number from the table of
// places.
typedef uint32_t Site;
Site site_of(cusim_place at);
Site site_of_code(const void* program_counter);

std::string text_of(Site site, const char* mark = "");           // "file:line", "<mark>0x<offset>", or nothing

// Reports that differ only in thread or element are one.  `other`: the line of the other access.
void report(Kind kind, Site site, Site other, const char* format, ...) __attribute__((format(printf, 4, 5)));
// The same for an error after which the kernel cannot go on; returns, so that the caller can stop the thread.
void report_fatal(Kind kind, Site site, Site other, const char* format, ...) __attribute__((format(printf, 4, 5)));
bool any_report();
bool any_fatal_report();
void clear_reports();

}  // namespace cusim
