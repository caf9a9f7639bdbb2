/*
** alloc.c - the memory of a VM whose host gives it no allocator.
**
** Lua makes and drops small blocks all the time, and says the size when it
** drops one. So the small ones are cut from regions, and stand in a list
** for their size while idle: no header, and a few instructions each, where
** malloc takes a hundred. The others are malloc's.
**
** Regions come one by one, and in a large VM as many at once as a huge page
** holds: most of the time that a block takes at its first use is the page's.
** Such a span of regions is given back when all its blocks are idle: looked
** for by neap__memory_trim, and whenever the number of regions has doubled, so
** that the room that one size once took serves other sizes, too.
**
** Who looks for bugs, with assertions on, gets all blocks from malloc, for
** sanitizers and valgrind to see.
*/
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vm.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#define REGION ((size_t)32 * 1024) /* aligned as well: see region_of */
#define FEW_REGIONS 32             /* not worth looking for idle ones */
#define HUGE_REGIONS 64            /* what a huge page holds, mostly */
#define HUGE (HUGE_REGIONS * REGION)
#define MANY_REGIONS 128           /* huge pages from here on */

void *neap__malloc(void *ud, void *block, size_t old, size_t size) {
  (void)ud;
  (void)old;
  if (size == 0) {
    free(block);
    return NULL;
  }
  return realloc(block, size);
}

#ifdef NDEBUG

typedef struct neap__block { /* an idle one */
  struct neap__block *next;
} block;

typedef struct neap__region {
  struct neap__region *span; /* the first region of its span, and of that: */
  struct neap__region *next; /* another span */
  size_t regions;            /* in the span */
  size_t usable;             /* bytes for blocks, in all of them */
  size_t idle;               /* of these, while they are counted */
} region;

#define HEADER 16 /* malloc's own; so that regions lie side by side */
#define USABLE (REGION - HEADER - sizeof(region)) /* for blocks, of each */

static region *region_of(void *p) {
  return (region *)((uintptr_t)p & ~(uintptr_t)(REGION - 1));
}

static size_t class_of(size_t size) {
  return (size + NEAP__GRAIN - 1) / NEAP__GRAIN;
}

static void put(neap__memory *m, void *p, size_t class) {
  block *b = (block *)p;
  b->next = m->idle[class];
  m->idle[class] = b;
}

static int is_idle(void *p) {
  region *span = region_of(p)->span;
  return span->idle == span->usable;
}

static void *make_one(void) {
  void *p;
  return posix_memalign(&p, REGION, REGION - HEADER) == 0 ? p : NULL;
}

static void *map(size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

/* Gives address space back. When that fails, it is lost, and nothing else. */
static void unmap(void *p, size_t size) {
  if (size > 0)
    (void)munmap(p, size);
}

/* A huge page, if the system has one, from the system itself: malloc would
   take twice the address space. Mostly it lies beside the one before. */
static void *make_many(void) {
  char *p = (char *)map(HUGE);
  if (p != NULL && (uintptr_t)p % HUGE != 0) {
    unmap(p, HUGE);
    p = (char *)map(2 * HUGE);
    if (p != NULL) {
      size_t before = HUGE - (uintptr_t)p % HUGE;
      unmap(p, before);
      unmap(p + before + HUGE, HUGE - before);
      p += before;
    }
  }
#ifdef MADV_HUGEPAGE
  if (p != NULL)
    (void)madvise(p, HUGE, MADV_HUGEPAGE); /* a wish: it may be refused */
#endif
  return p;
}

static void drop_span(region *r) {
  if (r->regions == 1)
    free(r);
  else
    unmap(r, HUGE);
}

static size_t size_of(const neap__room *room) {
  return (size_t)(room->end - room->next);
}

static void count_room(const neap__room *room) {
  if (size_of(room) > 0)
    region_of(room->next)->span->idle += size_of(room);
}

static void drop_idle_room(neap__room *room) {
  if (size_of(room) > 0 && is_idle(room->next))
    room->next = room->end = NULL;
}

/* Frees the spans in which all is idle. */
static void sweep(neap__memory *m) {
  region *r, **link = &m->spans;
  size_t class;
  block *b, **next;
  if (m->spans != NULL) /* the newest: what is not yet cut into regions */
    m->spans->idle = m->regions_left * USABLE;
  count_room(&m->fresh);
  count_room(&m->rest);
  for (class = 1; class <= class_of(NEAP__LARGEST); class++) {
    for (b = m->idle[class]; b != NULL; b = b->next)
      region_of(b)->span->idle += class * NEAP__GRAIN;
  }
  drop_idle_room(&m->fresh);
  drop_idle_room(&m->rest);
  if (m->spans != NULL && is_idle(m->spans))
    m->regions_left = 0;
  for (class = 1; class <= class_of(NEAP__LARGEST); class++) {
    for (next = &m->idle[class]; (b = *next) != NULL;) {
      if (is_idle(b))
        *next = b->next;
      else
        next = &b->next;
    }
  }
  while ((r = *link) != NULL) {
    if (is_idle(r)) {
      *link = r->next;
      m->count -= r->regions;
      drop_span(r);
    }
    else {
      r->idle = 0;
      link = &r->next;
    }
  }
  m->sweep_at = 2 * m->count;
}

/* A large block; idle regions may be what the system is short of. */
static void *make_large(neap__memory *m, size_t size) {
  void *p = malloc(size);
  if (p == NULL) {
    sweep(m);
    p = malloc(size);
  }
  return p;
}

/* False: no memory. */
static int add_span(neap__memory *m, size_t regions) {
  region *r = (region *)(regions == 1 ? make_one() : make_many());
  if (r == NULL)
    return 0;
  r->next = m->spans;
  r->regions = regions;
  r->usable = regions * USABLE;
  r->idle = 0;
  m->spans = r;
  m->regions_left = regions;
  m->count += regions;
  return 1;
}

/* Fresh blocks will come from the next region of the newest span, or of a new
   one. False: no memory. */
static int add_region(neap__memory *m) {
  region *r;
  if (m->regions_left == 0 &&
      !(m->count >= MANY_REGIONS && add_span(m, HUGE_REGIONS)) &&
      !add_span(m, 1))
    return 0;
  m->regions_left--;
  r = (region *)((char *)m->spans +
                 (m->spans->regions - 1 - m->regions_left) * REGION);
  r->span = m->spans;
  m->fresh.next = (char *)(r + 1);
  m->fresh.end = m->fresh.next + USABLE;
  return 1;
}

/* Memory has ended: smaller blocks can be cut from a larger one. */
static int cut_up(neap__memory *m, size_t class) {
  for (; class <= class_of(NEAP__LARGEST); class++) {
    block *b = m->idle[class];
    if (b != NULL) {
      m->idle[class] = b->next;
      m->fresh.next = (char *)b;
      m->fresh.end = m->fresh.next + class * NEAP__GRAIN;
      return 1;
    }
  }
  return 0;
}

/* What is left for fresh blocks is too small for one: it is kept for smaller
   ones, and what was kept before is dropped; or the other way round. The last
   bytes of a region are not used: in each there would be one such block, and
   who asks for so many bytes would keep all the regions. */
static void keep_rest(neap__memory *m) {
  neap__room dropped = m->fresh;
  if (size_of(&m->fresh) > size_of(&m->rest)) {
    dropped = m->rest;
    m->rest = m->fresh;
  }
  m->fresh.next = m->fresh.end = NULL;
  if (size_of(&dropped) > 0) {
    region *r = region_of(dropped.next);
    if (dropped.end == (char *)(r + 1) + USABLE)
      r->span->usable -= size_of(&dropped);
    else /* of a block that was cut up */
      put(m, dropped.next, class_of(size_of(&dropped)));
  }
}

static void *cut(neap__room *room, size_t class) {
  char *p = room->next;
  if (size_of(room) < class * NEAP__GRAIN)
    return NULL;
  room->next += class * NEAP__GRAIN;
  return p;
}

/* A block that has never been one. */
static void *make_fresh(neap__memory *m, size_t class) {
  void *p = cut(&m->rest, class);
  if (p == NULL)
    p = cut(&m->fresh, class);
  if (p != NULL)
    return p;
  keep_rest(m);
  if (m->count >= FEW_REGIONS && m->count >= m->sweep_at)
    sweep(m);
  if (!add_region(m) && !cut_up(m, class)) {
    sweep(m);
    if (!add_region(m))
      return NULL;
  }
  return cut(&m->fresh, class);
}

static void *make(neap__memory *m, size_t size) {
  size_t class = class_of(size);
  block *b;
  if (size > NEAP__LARGEST)
    return make_large(m, size);
  b = m->idle[class];
  if (b == NULL)
    return make_fresh(m, class);
  m->idle[class] = b->next;
  return b;
}

static void drop(neap__memory *m, void *p, size_t size) {
  if (size > NEAP__LARGEST)
    free(p);
  else
    put(m, p, class_of(size));
}

/* May fail when it shrinks a block, too: Lua 5.4 keeps the old one then. */
void *neap__memory_alloc(void *ud, void *old, size_t old_size, size_t size) {
  neap__memory *m = (neap__memory *)ud;
  void *p;
  if (old == NULL)
    return size == 0 ? NULL : make(m, size);
  if (size == 0) {
    drop(m, old, old_size);
    return NULL;
  }
  if (old_size > NEAP__LARGEST && size > NEAP__LARGEST) {
    p = realloc(old, size);
    if (p != NULL)
      return p;
  }
  else if (class_of(old_size) == class_of(size))
    return old;
  p = make(m, size);
  if (p != NULL) {
    memcpy(p, old, old_size < size ? old_size : size);
    drop(m, old, old_size);
  }
  return p;
}

void neap__memory_trim(neap__memory *m) {
  sweep(m);
#if defined(__GLIBC__)
  malloc_trim(0); /* which it does not do by itself */
#endif
}

void neap__memory_free(neap__memory *m) {
  region *r;
  while ((r = m->spans) != NULL) {
    m->spans = r->next;
    drop_span(r);
  }
}

#else

void *neap__memory_alloc(void *ud, void *old, size_t old_size, size_t size) {
  return neap__malloc(ud, old, old_size, size);
}

void neap__memory_trim(neap__memory *m) { (void)m; }
void neap__memory_free(neap__memory *m) { (void)m; }

#endif
