/* Relocates the agent before musl does the rest: musl 1.2.3, which Debian 12 has, knows no packed relative relocations
   (DT_RELR), which save half a megabyte. Format: System V ABI, "Relative Relocation Table". Nothing here may itself
   need a relocation. */
#include <elf.h>
#include <stddef.h>

#define RELR 36
#define RELR_SIZE 35

extern Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

__attribute__((visibility("hidden"), used)) void relocate_packed(void)
{
    size_t base = (size_t)__ehdr_start, size = 0;
    const size_t *entry = NULL;
    for (Elf64_Dyn *tag = _DYNAMIC; tag->d_tag != DT_NULL; tag++) {
        if (tag->d_tag == RELR) entry = (const size_t *)(base + tag->d_un.d_ptr);
        if (tag->d_tag == RELR_SIZE) {
            size = tag->d_un.d_val;
            /* A musl that knows them is not to do it again. */
            tag->d_un.d_val = 0;
        }
    }
    size_t *place = NULL;
    for (const size_t *end = entry + size / sizeof *entry; entry != end; entry++) {
        if ((*entry & 1) == 0) {
            place = (size_t *)(base + *entry);
            *place++ += base;
            continue;
        }
        size_t *next = place;
        for (size_t bits = *entry >> 1; bits != 0; bits >>= 1, next++)
            if (bits & 1) *next += base;
        place += 8 * sizeof *place - 1;
    }
}

/* The kernel begins here, with the arguments on the stack; musl finds them as they were. */
#if defined __x86_64__
__asm__(".globl start_packed\n.type start_packed, @function\nstart_packed:\n\t"
        "mov %rsp, %rbx\n\tand $-16, %rsp\n\tcall relocate_packed\n\tmov %rbx, %rsp\n\tjmp _start");
#elif defined __aarch64__
__asm__(".globl start_packed\n.type start_packed, %function\nstart_packed:\n\t"
        "bl relocate_packed\n\tb _start");
#else
#error "no entry point for this architecture"
#endif
