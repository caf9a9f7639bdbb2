/*
** touch.c - writes to COUNT MiB of new memory and ends. The host of a virtual
** machine takes back what is free there; who then needs it first waits for the
** host, which takes several times as long as the system's own part.
*/
#include "bench.h"
#include <sys/mman.h>

#define MIB ((size_t)1 << 20)
#define PAGE 4096 /* bytes, or more: less would only take longer */

int main(int argc, char **argv) {
  size_t size = (size_t)count_argument(argc, argv) * MIB, at;
  volatile char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    fail("not enough memory");
#ifdef MADV_HUGEPAGE /* as Neap asks for its own; they can be split again */
  (void)madvise((void *)memory, size, MADV_HUGEPAGE);
#endif
  for (at = 0; at < size; at += PAGE)
    memory[at] = 1;
  return 0;
}
