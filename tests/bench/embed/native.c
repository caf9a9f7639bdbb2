/*
** native.c - a native function: a script's loop calls one that adds two
** integers. Prints ns a call.
*/
#include "host.h"

static int add(neap_frame *frame, void *ud) {
  lua_Integer a, b;
  int status;
  (void)ud;
  if ((status = neap_arg_integer(frame, 1, &a)) != NEAP_OK ||
      (status = neap_arg_integer(frame, 2, &b)) != NEAP_OK)
    return status;
  return neap_return(frame, neap_integer(a + b));
}

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  neap_vm *vm = open_vm(NULL);
  neap_value count = neap_integer(n), function, sum;
  double start;
  check(vm, neap_register(vm, "add", add, NULL));
  function = load_function(vm, "local add = add "
                               "return function(n) "
                               "  local sum = 0 "
                               "  for _ = 1, n do sum = add(sum, 1) end "
                               "  return sum "
                               "end");
  start = clock_now();
  check(vm, neap_call(vm, &function, &count, 1, &sum, 1, 0));
  printf("%.3f\n", (clock_now() - start) * 1e9 / n);
  if (sum.type != NEAP_INTEGER || sum.as.integer != n)
    fail("wrong sum");
  close_vm(vm);
  return 0;
}
