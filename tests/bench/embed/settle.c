/*
** settle.c - a settle from another thread: a script awaits a native async
** function, whose promise that resolves. Prints us from neap_resolve until
** the task goes on, the median.
*/
#include "host.h"

#include "../raw/settler.h"

static neap_promise *promise;

static int wait_for(neap_frame *frame, void *ud) {
  int status = neap_promise_open(frame, NULL, NULL, &promise);
  (void)ud;
  if (status == NEAP_SUSPENDED)
    uv_sem_post(&asked);
  return status;
}

static int arrived(neap_frame *frame, void *ud) {
  (void)frame;
  (void)ud;
  settled();
  return NEAP_OK;
}

static void resolve(void) {
  neap_promise *mine = promise; /* until the next call puts its own there */
  neap_value result = neap_integer(1);
  if (neap_resolve(mine, &result, 1) != NEAP_OK)
    fail("a promise does not settle");
  neap_promise_release(mine);
}

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  static const char script[] = "for _ = 1, ... do await(wait()) arrived() end";
  neap_vm *vm = open_vm(NULL);
  neap_value count = neap_integer(n), function;
  uv_thread_t id;
  check(vm, neap_register_async(vm, "wait", wait_for, NULL));
  check(vm, neap_register(vm, "arrived", arrived, NULL));
  check(vm, neap_load(vm, "settle", script, sizeof script - 1, &function));
  check(vm, neap_spawn(vm, &function, &count, 1, 0, NULL, NULL, NULL));
  start_settler(n, resolve, &id);
  check(vm, neap_run(vm));
  print_median(&id);
  close_vm(vm);
  return 0;
}
