/*
** call.c - a call from C: a retained Lua function that adds two integers, in
** a VM without limits or, when the second argument is "limits", with them.
** Prints ns a call.
*/
#include "host.h"

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  neap_config config;
  neap_vm *vm;
  neap_value function, sum = neap_integer(0);
  double start;
  neap_config_init(&config);
  if (argc > 2 && strcmp(argv[2], "limits") == 0)
    limit(&config);
  vm = open_vm(&config);
  function = load_function(vm, "return function(a, b) return a + b end");
  start = clock_now();
  for (int i = 0; i < n; i++) {
    neap_value args[2];
    args[0] = sum;
    args[1] = neap_integer(1);
    check(vm, neap_call(vm, &function, args, 2, &sum, 1, 0));
  }
  printf("%.3f\n", (clock_now() - start) * 1e9 / n);
  if (sum.type != NEAP_INTEGER || sum.as.integer != n)
    fail("wrong sum");
  close_vm(vm);
  return 0;
}
