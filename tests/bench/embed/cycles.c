/*
** cycles.c - VMs with limits, created and closed one after the other; each
** runs a script. Prints how many times the resident memory after a tenth of
** them it is after all.
*/
#include "host.h"

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  static const char script[] =
    "local tasks = {}"
    "for i = 1, 10 do"
    "  tasks[i] = create_task(async(function() await(sleep(0)) end)())"
    "end "
    "await(gather(tasks))";
  neap_config config;
  double early = 0;
  neap_config_init(&config);
  limit(&config);
  for (int i = 0; i < n; i++) {
    neap_vm *vm = open_vm(&config);
    neap_value function;
    check(vm, neap_load(vm, "cycle", script, sizeof script - 1, &function));
    check(vm, neap_spawn(vm, &function, NULL, 0, 0, NULL, NULL, NULL));
    check(vm, neap_run(vm));
    close_vm(vm);
    if (i == n / 10)
      early = resident();
  }
  printf("%.4f\n", resident() / early);
  return 0;
}
