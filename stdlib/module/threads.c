/*
** threads.c - whether libuv can have its threads.
*/
#include <stdlib.h>

#include "module.h"

#define USUALLY 4 /* as libuv has it */
#define AT_MOST 1024

static void stay(void *end) { uv_sem_wait((uv_sem_t *)end); }

/* Libuv starts all of them when it needs the first, and aborts the process if
   it cannot: they are tried before. */
int module_threads(void) {
  static atomic_int there;
  const char *size = getenv("UV_THREADPOOL_SIZE");
  int count = size != NULL ? atoi(size) : USUALLY, made = 0, i, status;
  uv_thread_t threads[AT_MOST];
  uv_sem_t end;
  if (atomic_load(&there))
    return 0;
  if (count == 0)
    count = 1;
  else if (count < 0 || count > AT_MOST)
    count = AT_MOST;
  status = uv_sem_init(&end, 0);
  if (status != 0)
    return status;
  while (status == 0 && made < count) {
    status = uv_thread_create(&threads[made], stay, &end);
    made += status == 0;
  }
  for (i = 0; i < made; i++)
    uv_sem_post(&end);
  while (made > 0)
    (void)uv_thread_join(&threads[--made]); /* it ends, and was not joined */
  uv_sem_destroy(&end);
  atomic_store(&there, status == 0);
  return status;
}
