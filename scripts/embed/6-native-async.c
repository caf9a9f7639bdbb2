/*
** 6-native-async.c - functions of C that scripts await, in two ways.
**
** measure(n) opens a promise and starts a thread, which settles it. The task
** that has called it waits meanwhile, and all others run. To cancel that
** task is to call the promise's cancel callback, which stops the thread.
** checksum(text) needs no thread of ours: neap_offload has a pool of them.
*/
#include <neap.h>

#include <stdio.h>
#include <stdlib.h>

static const char *const script =
    "local both = await(gather(measure(3), measure(1)))\n"
    "print('measured', both[1], both[2])\n"
    "print(pcall(await, measure(0)))\n"
    "local slow = create_task(measure(1000))\n"
    "await(sleep(0.01))\n"
    "slow:cancel()\n"
    "await(sleep(0))\n"
    "print('cancelled', slow:cancelled())\n"
    "print('checksum', await(checksum('all of these bytes')))\n";

/* One call of measure(n). The thread works with it, and the cancel callback
   may: it is freed at the end, when neither can. */
typedef struct measurement {
  lua_Integer sensor;
  int stop; /* atomic; set by cancel, read by the thread */
  neap_promise *promise;
  uv_thread_t thread;
  struct measurement *next; /* all that there have been */
} measurement;

/* The thread. It settles the promise, which does nothing when nobody waits
   for it any longer, and in any case gives it back: if memory for the result
   was lacking, that makes the task fail. */
static void work(void *ud) {
  measurement *m = (measurement *)ud;
  lua_Integer left = m->sensor * 10;
  neap_value result = neap_integer(m->sensor * 100);
  while (left-- > 0 && !__atomic_load_n(&m->stop, __ATOMIC_RELAXED))
    uv_sleep(1);
  if (m->sensor == 0)
    neap_reject(m->promise, "there is no sensor 0");
  else
    neap_resolve(m->promise, &result, 1);
  neap_promise_release(m->promise);
}

/* On the VM's thread: nobody waits any longer. */
static void cancel(void *ud) {
  measurement *m = (measurement *)ud;
  printf("sensor " LUA_INTEGER_FMT " is told to stop\n", m->sensor);
  __atomic_store_n(&m->stop, 1, __ATOMIC_RELAXED);
}

static int measure(neap_frame *frame, void *ud) {
  measurement **all = (measurement **)ud;
  measurement *m;
  lua_Integer sensor;
  int status = neap_arg_integer(frame, 1, &sensor);
  if (status != NEAP_OK)
    return status; /* the script gets an error */
  m = (measurement *)calloc(1, sizeof *m);
  if (m == NULL)
    return NEAP_ENOMEM;
  m->sensor = sensor;
  status = neap_promise_open(frame, cancel, m, &m->promise);
  if (status == NEAP_SUSPENDED && uv_thread_create(&m->thread, work, m) == 0) {
    m->next = *all;
    *all = m;
    return status;
  }
  if (status == NEAP_SUSPENDED) /* no thread: the task gets an error */
    neap_promise_release(m->promise);
  free(m);
  return status;
}

typedef struct sum {
  lua_Integer value;
  size_t size;
  char text[1]; /* `size` bytes: a copy, as the argument is Lua's */
} sum;

/* A thread of the pool. */
static void add_up(void *ud) {
  sum *s = (sum *)ud;
  size_t i;
  for (i = 0; i < s->size; i++)
    s->value = (s->value * 31 + (unsigned char)s->text[i]) % 65521;
}

/* The VM's thread again, in the task. Then `s` is freed. */
static int give_sum(neap_frame *frame, void *ud) {
  sum *s = (sum *)ud;
  return neap_return(frame, neap_integer(s->value));
}

static int checksum(neap_frame *frame, void *ud) {
  const char *text;
  size_t size;
  sum *s;
  int status = neap_arg_string(frame, 1, &text, &size);
  (void)ud;
  if (status != NEAP_OK)
    return status;
  s = (sum *)malloc(sizeof *s + size);
  if (s == NULL)
    return NEAP_ENOMEM;
  s->value = 0;
  s->size = size;
  memcpy(s->text, text, size);
  return neap_offload(frame, add_up, give_sum, free, s);
}

int main(void) {
  neap_config config;
  neap_vm *vm;
  neap_value chunk;
  measurement *all = NULL;
  int status;
  neap_config_init(&config);
  config.report = neap_report_stderr; /* an error of the script, too */
  status = neap_new(&vm, &config);
  if (status != NEAP_OK) {
    fprintf(stderr, "%s\n", neap_strerror(status));
    return EXIT_FAILURE;
  }
  if ((status = neap_register_async(vm, "measure", measure, &all)) < 0 ||
      (status = neap_register_async(vm, "checksum", checksum, NULL)) < 0 ||
      (status = neap_load(vm, "script", script, strlen(script), &chunk)) < 0 ||
      (status = neap_spawn(vm, &chunk, NULL, 0, 0, NULL, NULL, NULL)) < 0 ||
      (status = neap_run(vm)) < 0) {
    neap_error_info error;
    neap_error(vm, &error);
    fprintf(stderr, "%s%s\n", error.message, error.traceback);
  }
  if (neap_close(vm, NULL, NULL) != NEAP_OK)
    return EXIT_FAILURE;
  while (all != NULL) { /* the threads may have outlived the VM */
    measurement *m = all;
    all = m->next;
    uv_thread_join(&m->thread);
    free(m);
  }
  return status == NEAP_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
