// Guard variables: g++ gives a __shared__ array of arrays of half one byte beside it, which says whether constructors have run
// (there are none to run), and the kernel's code looks at it.  The poison of shared memory says yes; the checker must not
// complain that nobody wrote it.  Their names stand in the symbol table of the library's file.
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>
#include "checker.h"

namespace cusim {

namespace {
std::string file_at(FILE* file, uint64_t offset, uint64_t size) {
    std::string data(size, '\0');
    if (fseek(file, (long)offset, SEEK_SET) || fread(data.data(), 1, size, file) != size) data.clear();
    return data;
}

std::unordered_set<size_t> read_guards(const char* path) {
    std::unordered_set<size_t> guards;
    FILE* file = fopen(path, "rb");
    if (!file) return guards;
    Elf64_Ehdr header;
    if (fread(&header, sizeof header, 1, file) == 1) {
        std::string table = file_at(file, header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr));
        std::vector<Elf64_Shdr> sections(table.size() / sizeof(Elf64_Shdr));
        memcpy(sections.data(), table.data(), sections.size() * sizeof(Elf64_Shdr));
        for (const Elf64_Shdr& s : sections) {
            if (s.sh_type != SHT_SYMTAB || s.sh_link >= sections.size()) continue;
            std::string symbols = file_at(file, s.sh_offset, s.sh_size);
            std::string names = file_at(file, sections[s.sh_link].sh_offset, sections[s.sh_link].sh_size);
            for (size_t i = 0; i + sizeof(Elf64_Sym) <= symbols.size(); i += sizeof(Elf64_Sym)) {
                Elf64_Sym symbol;
                memcpy(&symbol, &symbols[i], sizeof symbol);
                if (ELF64_ST_TYPE(symbol.st_info) == STT_TLS && symbol.st_name < names.size() &&
                    !strncmp(&names[symbol.st_name], "_ZGV", 4))
                    guards.insert(symbol.st_value);
            }
        }
    }
    fclose(file);
    return guards;
}
}  // namespace

bool is_guard(size_t static_offset) {
    static std::unordered_map<uintptr_t, std::unordered_set<size_t>> known;
    auto [entry, fresh] = known.try_emplace(machine->library.low);
    Dl_info info;
    if (fresh && dladdr((void*)machine->library.low, &info) && info.dli_fname) entry->second = read_guards(info.dli_fname);
    return entry->second.count(static_offset) > 0;
}

}  // namespace cusim
