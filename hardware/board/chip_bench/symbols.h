/* Where the firmware keeps a variable, from the symbol table of its ELF. */
#ifndef SYMBOLS_H
#define SYMBOLS_H

#include <stdint.h>

/* Address in the memory of the chip. Ends the process where there is no such variable. */
uint32_t symbol_address(const char *elf_path, const char *name);

#endif
