#include "symbols.h"

#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA_SPACE 0x800000 /* where avr-gcc puts memory in its one address space */

static int find(Elf *elf, Elf_Scn *section, const char *name, uint32_t *address) {
    GElf_Shdr head;
    gelf_getshdr(section, &head);
    if (head.sh_type != SHT_SYMTAB) {
        return 0;
    }
    Elf_Data *data = elf_getdata(section, NULL);
    for (size_t i = 0; i < head.sh_size / head.sh_entsize; i++) {
        GElf_Sym symbol;
        gelf_getsym(data, (int)i, &symbol);
        const char *found = elf_strptr(elf, head.sh_link, symbol.st_name);
        if (found && !strcmp(found, name)) {
            *address = (uint32_t)symbol.st_value - DATA_SPACE;
            return 1;
        }
    }
    return 0;
}

uint32_t symbol_address(const char *elf_path, const char *name) {
    uint32_t address = 0;
    int found = 0, file = open(elf_path, O_RDONLY);
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(file, ELF_C_READ, NULL);
    for (Elf_Scn *section = NULL; !found && (section = elf_nextscn(elf, section));) {
        found = find(elf, section, name, &address);
    }
    elf_end(elf);
    close(file);
    if (!found) {
        fprintf(stderr, "chip bench: %s has no variable %s\n", elf_path, name);
        exit(2);
    }
    return address;
}
