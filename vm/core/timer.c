/*
** timer.c - the timers of a VM: a 4-ary min-heap in one array.
**
** Four children a node halve the depth of a binary heap and share a
** cache line. Each timer knows its position, so that stopping one is
** O(log n) and leaves nothing behind. The deadlines stand in the array,
** beside the pointers: comparing touches no timer but on a tie.
*/
#include <math.h>

#include "vm.h"

typedef struct neap__heap_entry {
  uint64_t deadline;
  neap__timer *timer;
} entry;

#define ARITY 4u

static int before(const entry *a, const entry *b) {
  if (a->deadline != b->deadline)
    return a->deadline < b->deadline;
  return (int32_t)(a->timer->order - b->timer->order) < 0; /* may wrap */
}

static void place(neap__heap *heap, uint32_t i, entry e) {
  heap->entries[i] = e;
  e.timer->position = i + 1;
}

static void sift_up(neap__heap *heap, uint32_t i, entry e) {
  while (i > 0) {
    uint32_t parent = (i - 1) / ARITY;
    if (!before(&e, &heap->entries[parent]))
      break;
    place(heap, i, heap->entries[parent]);
    i = parent;
  }
  place(heap, i, e);
}

static void sift_down(neap__heap *heap, uint32_t i, entry e) {
  for (;;) {
    uint32_t child = i * ARITY + 1, end = child + ARITY, least;
    if (child >= heap->count)
      break;
    if (end > heap->count)
      end = heap->count;
    for (least = child++; child < end; child++) {
      if (before(&heap->entries[child], &heap->entries[least]))
        least = child;
    }
    if (!before(&heap->entries[least], &e))
      break;
    place(heap, i, heap->entries[least]);
    i = least;
  }
  place(heap, i, e);
}

/* Gives the array `capacity` entries. 0, or NEAP_ENOMEM. */
static int resize(neap_vm *vm, uint32_t capacity) {
  neap__heap *heap = &vm->timers;
  entry *entries =
      (entry *)neap__alloc(vm, heap->entries, heap->capacity * sizeof *entries,
                           capacity * sizeof *entries);
  if (entries == NULL && capacity > 0)
    return NEAP_ENOMEM;
  heap->entries = entries;
  heap->capacity = capacity;
  return 0;
}

int neap__timer_start(neap_vm *vm, neap__timer *timer, uint64_t deadline) {
  neap__heap *heap = &vm->timers;
  entry e;
  if (heap->count == heap->capacity) {
    int status = resize(vm, heap->capacity == 0 ? 16 : heap->capacity * 2);
    if (status != 0)
      return status;
  }
  timer->order = heap->next_order++;
  e.deadline = deadline;
  e.timer = timer;
  sift_up(heap, heap->count++, e);
  return 0;
}

void neap__timer_stop(neap_vm *vm, neap__timer *timer) {
  neap__heap *heap = &vm->timers;
  uint32_t i = timer->position - 1;
  entry last = heap->entries[--heap->count];
  timer->position = 0;
  if (i < heap->count) { /* was not the last one? */
    if (i > 0 && before(&last, &heap->entries[(i - 1) / ARITY]))
      sift_up(heap, i, last);
    else
      sift_down(heap, i, last);
  }
  /* a quarter used at most: give half back (an error leaves it large) */
  if (heap->capacity > 1024 && heap->count < heap->capacity / 4)
    (void)resize(vm, heap->capacity / 2);
}

uint64_t neap__timer_deadline(const neap_vm *vm, const neap__timer *timer) {
  return vm->timers.entries[timer->position - 1].deadline;
}

void neap__timers_expire(neap_vm *vm, uint64_t now) {
  neap__heap *heap = &vm->timers;
  while (heap->count > 0 && heap->entries[0].deadline <= now) {
    neap__timer *timer = heap->entries[0].timer;
    neap__timer_stop(vm, timer);
    neap__queue_push(&vm->ready, &timer->job);
  }
}

neap__timer *neap__timer_at(const neap_vm *vm, uint32_t place) {
  return place < vm->timers.count ? vm->timers.entries[place].timer : NULL;
}

uint64_t neap__timers_next(const neap_vm *vm) {
  return vm->timers.count > 0 ? vm->timers.entries[0].deadline : UINT64_MAX;
}

void neap__timers_free(neap_vm *vm) {
  if (vm->timers.entries != NULL)
    (void)resize(vm, 0);
}

uint64_t neap__deadline(double seconds) {
  const double most = 1e9; /* seconds: some 30 years, far from a wrap */
  uint64_t now = uv_hrtime(), distance;
  distance = (uint64_t)ceil(fmin(fabs(seconds), most) * 1e9);
  if (seconds >= 0)
    return now + distance;
  return distance < now ? now - distance : 0;
}
