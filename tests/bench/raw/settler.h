/*
** settler.h - a thread that settles what others wait for, and how long it
** takes from there until they know: for the programs that measure it.
*/
#ifndef SETTLER_H
#define SETTLER_H

#include <unistd.h>
#include <uv.h>

#include "bench.h"

#define PAUSE 50 /* us, in which the other thread falls asleep */

static uv_sem_t asked; /* one waits */
static int rounds;     /* how many times it is to settle */
static void (*settle)(void); /* called by the thread in each */
static uint64_t began; /* ns, when it was */
static double *delays; /* us, in the order of their rounds */
static int ndelays;

static void settler(void *ud) {
  (void)ud;
  for (int i = rounds; i > 0; i--) {
    uv_sem_wait(&asked);
    usleep(PAUSE);
    began = uv_hrtime();
    settle();
  }
}

/* The one who waited has it. */
static inline void settled(void) {
  delays[ndelays++] = (double)(uv_hrtime() - began) / 1e3;
}

static inline void start_settler(int n, void (*f)(void), uv_thread_t *thread) {
  rounds = n;
  settle = f;
  delays = calloc((size_t)n, sizeof *delays);
  if (delays == NULL || uv_sem_init(&asked, 0) != 0 ||
      uv_thread_create(thread, settler, NULL) != 0)
    fail("no thread");
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* waits for the thread's end and prints the median */
static inline void print_median(uv_thread_t *thread) {
  uv_thread_join(thread);
  if (ndelays != rounds)
    fail("not all were settled");
  qsort(delays, (size_t)ndelays, sizeof *delays, by_size);
  printf("%.3f\n", delays[ndelays / 2]);
}

#endif
