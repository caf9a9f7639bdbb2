/*
** alloc.c - tests the allocator of a VM whose host gives none: random
** requests, some of which the system refuses. It is built as in a release
** (others get their blocks from malloc), around a malloc that can fail.
*/
#include "capi.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#if defined(__GLIBC__)
#include <malloc.h> /* before its names are replaced */
#endif

#define BLOCKS 20000
#define REQUESTS 60000 /* in a phase */

static int refused; /* of 100 requests to the system */
static unsigned seed;

static unsigned next_random(void) {
  seed = seed * 1664525u + 1013904223u;
  return seed >> 8;
}

static int refuse(void) { return (int)(next_random() % 100) < refused; }

static void *try_malloc(size_t size) { return refuse() ? NULL : malloc(size); }

static void *try_realloc(void *block, size_t size) {
  return refuse() ? NULL : realloc(block, size);
}

static int try_memalign(void **block, size_t alignment, size_t size) {
  return refuse() ? ENOMEM : posix_memalign(block, alignment, size);
}

static void *try_mmap(void *at, size_t size, int protection, int flags, int fd,
                      off_t offset) {
  return refuse() ? MAP_FAILED
                  : mmap(at, size, protection, flags, fd, offset);
}

#undef NDEBUG
#define NDEBUG
#define malloc try_malloc
#define realloc try_realloc
#define posix_memalign try_memalign
#define mmap try_mmap
#define neap__malloc tested_malloc
#define neap__memory_alloc tested_alloc
#define neap__memory_trim tested_trim
#define neap__memory_free tested_free
#include "../../vm/core/alloc.c"
#undef malloc
#undef realloc
#undef posix_memalign
#undef mmap

/* Byte i of a block is tag + i. */
typedef struct test_block {
  unsigned char *bytes;
  size_t size;
  unsigned char tag;
} test_block;

static test_block blocks[BLOCKS];

static void check(const test_block *b, const unsigned char *bytes, size_t n) {
  size_t i;
  for (i = 0; i < n; i++) {
    if (bytes[i] != (unsigned char)(b->tag + i))
      fail_msg("byte %zu of %zu is wrong", i, b->size);
  }
}

static void fill(test_block *b) {
  size_t i;
  for (i = 0; i < b->size; i++)
    b->bytes[i] = (unsigned char)(b->tag + i);
}

/* Makes, changes or drops one block. */
static void request(neap__memory *m, test_block *b, size_t size) {
  unsigned char *bytes;
  if (b->bytes != NULL)
    check(b, b->bytes, b->size);
  if (b->bytes != NULL && next_random() % 3 == 0) {
    assert_null(tested_alloc(m, b->bytes, b->size, 0));
    b->bytes = NULL;
    b->size = 0;
    return;
  }
  bytes = tested_alloc(m, b->bytes, b->size, size);
  if (bytes == NULL)
    return; /* the old block, if any, is as it was: the next check sees */
  assert_int_equal((uintptr_t)bytes % NEAP__GRAIN, 0);
  check(b, bytes, b->size < size ? b->size : size);
  b->bytes = bytes;
  b->size = size;
  b->tag = (unsigned char)next_random();
  fill(b);
}

static void drop_all(neap__memory *m) {
  for (int i = 0; i < BLOCKS; i++) {
    check(&blocks[i], blocks[i].bytes, blocks[i].size);
    if (blocks[i].bytes != NULL)
      (void)tested_alloc(m, blocks[i].bytes, blocks[i].size, 0);
    blocks[i].bytes = NULL;
    blocks[i].size = 0;
  }
}

static void blocks_keep_their_bytes_and_come_back(void **state) {
  static const int refusals[] = {0, 20, 90};
  neap__memory m;
  size_t most = 0; /* regions */
  (void)state;
  memset(&m, 0, sizeof m);
  seed = (unsigned)time(NULL);
  print_message("seed %u\n", seed);
  for (int phase = 0; phase < 6; phase++) {
    size_t usual = phase == 0 ? 600 : next_random() % 700;
    refused = refusals[phase % 3];
    for (int i = 0; i < REQUESTS; i++) {
      size_t size = 1 + (next_random() % 4 == 0 ? next_random() % 2000
                                                : usual + next_random() % 100);
      request(&m, &blocks[next_random() % BLOCKS], size);
    }
    if (m.count > most)
      most = m.count;
    if (phase % 3 == 2) {
      drop_all(&m);
      tested_trim(&m);
      assert_int_equal(m.count, 0);
    }
  }
  assert_true(most > MANY_REGIONS); /* there were huge pages */
  tested_free(&m);
}

/* Those of the size that does not fill a region leave none at its end, but for
   the one end that is kept. */
static void blocks_of_another_size_keep_few_regions(void **state) {
  neap__memory m;
  (void)state;
  refused = 0;
  for (size_t size = 304; size <= 704; size += 200) {
    size_t regions, rest = USABLE % size;
    memset(&m, 0, sizeof m);
    for (int i = 0; i < BLOCKS; i++)
      assert_non_null(blocks[i].bytes = tested_alloc(&m, NULL, 0, size));
    for (int i = 0; i < BLOCKS; i++) {
      (void)tested_alloc(&m, blocks[i].bytes, size, 0);
      blocks[i].bytes = NULL;
    }
    regions = m.count;
    assert_true(regions > MANY_REGIONS && rest > 0);
    for (size_t i = 0; i < regions; i++)
      assert_non_null(tested_alloc(&m, NULL, 0, rest));
    tested_trim(&m);
    assert_in_range(m.count, 1, 2 * HUGE_REGIONS);
    tested_free(&m);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(blocks_keep_their_bytes_and_come_back),
    cmocka_unit_test(blocks_of_another_size_keep_few_regions),
  };
  return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
