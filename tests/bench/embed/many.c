/*
** many.c - VMs on one loop of the host's, each with a task that sleeps.
** Prints bytes of resident memory for each, us of processor time to make
** each, and us to close it.
*/
#include "host.h"

static int closed;

static void on_closed(void *ud) {
  (void)ud;
  closed++;
}

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  static const char script[] = "await(sleep(3600))";
  neap_vm **vms = calloc((size_t)n, sizeof *vms);
  neap_task *tasks = calloc((size_t)n, sizeof *tasks);
  neap_config config;
  uv_loop_t loop;
  double before, start, made, ended;
  if (vms == NULL || tasks == NULL || uv_loop_init(&loop) != 0)
    fail("not enough memory");
  neap_config_init(&config);
  config.loop = &loop;
  before = resident();
  start = clock_now();
  for (int i = 0; i < n; i++) {
    neap_value function;
    neap_vm *vm = vms[i] = open_vm(&config);
    check(vm, neap_load(vm, "sleeper", script, sizeof script - 1, &function));
    check(vm, neap_spawn(vm, &function, NULL, 0, 0, NULL, NULL, &tasks[i]));
  }
  for (int turn = 0; turn < 3; turn++)
    uv_run(&loop, UV_RUN_NOWAIT);
  made = clock_now();
  printf("%.1f ", (resident() - before) / n);
  for (int i = 0; i < n; i++) {
    neap_statistics stats;
    check(vms[i], neap_stats(vms[i], &stats));
    if (!neap_pending(vms[i], tasks[i]) || stats.tasks != 1)
      fail("a task does not sleep");
  }
  ended = clock_now();
  for (int i = 0; i < n; i++)
    if (neap_close(vms[i], on_closed, NULL) != NEAP_OK)
      fail("a VM does not close");
  uv_run(&loop, UV_RUN_DEFAULT);
  printf("%.3f %.3f\n", (made - start) * 1e6 / n,
         (clock_now() - ended) * 1e6 / n);
  if (closed != n || uv_loop_close(&loop) != 0)
    fail("something is left on the loop");
  return 0;
}
